"""Flips made on a PyG graph, with everything that goes with its edges kept in step."""

import copy
import logging
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from .fake_users import FakeUsers
from .graph.binary import flip_binary, read_binary
from .graph.bipartite import (
    EdgeType,
    bipartite_edge_type,
    flip_interactions,
    num_nodes,
    read_interactions,
)
from .graph.edit import edge_attributes, flip_edges
from .graph.homogeneous import undirected_pairs

if TYPE_CHECKING:
    from .perturbation import Perturbation

logger = logging.getLogger(__name__)


def apply_to_nodes(perturbation: "Perturbation", data: Data) -> Data:
    """See :meth:`graphpoison.Perturbation.apply`."""
    num_nodes = int(data.num_nodes or 0)
    pairs = perturbation.pairs.to(data.edge_index.device)
    _check_range(pairs, (num_nodes, num_nodes))
    poisoned, entries = copy.copy(data), perturbation.feature_flips
    present = None
    if entries.size(1):
        present, poisoned.x = read_binary(data.x, entries), flip_binary(data.x, entries)
    edges = undirected_pairs(data)
    _check_presence(perturbation, edges, num_nodes, present)
    _check_size(perturbation, edges)
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    attributes = edge_attributes(data._store)
    poisoned.edge_index, changed = flip_edges(data.edge_index, attributes, both, num_nodes)
    for name, values in changed.items():
        poisoned[name] = values
    return poisoned


def apply_to_interactions(perturbation: "Perturbation", data: HeteroData) -> HeteroData:
    """See :meth:`graphpoison.Perturbation.apply`."""
    kind = bipartite_edge_type(data, tuple(perturbation.meta["edge_type"]))
    if perturbation.fake_users is not None:
        data = _join(perturbation, perturbation.fake_users, data, kind)
    found = read_interactions(data, kind)
    pairs = perturbation.pairs.to(found.positive.device)
    _check_range(pairs, found.shape)
    _check_presence(perturbation, found.positive, found.shape[1])
    _check_size(perturbation, found.positive)
    return flip_interactions(data, kind, pairs)


def _join(
    perturbation: "Perturbation", fake_users: FakeUsers, data: HeteroData, kind: EdgeType
) -> HeteroData:
    users, real = num_nodes(data, kind[0]), perturbation.meta["shape"][0] - fake_users.count
    if users != real:
        raise ValueError(
            f"data has {users} users where the graph attacked had {real} before {fake_users.count} "
            "fake ones joined: it is not that graph, or they have joined already."
        )
    return fake_users.join(data, kind)


def _check_presence(
    perturbation: "Perturbation", edges: Tensor, num_targets: int, entries: Tensor | None = None
) -> None:
    """Every added pair must be absent and every removed one present, or all the other way round.

    ``entries`` are the features flipped, as they are in the graph.
    """
    pairs = perturbation.pairs.to(edges.device)
    present = torch.isin(pairs[0] * num_targets + pairs[1], edges[0] * num_targets + edges[1]).cpu()
    table = perturbation.flips.sort_values("kind", kind="stable")  # edges first
    if entries is not None:
        present = torch.cat([present, entries.cpu()])
    expected = ~torch.tensor(table["added"].to_numpy(), dtype=torch.bool)
    wrong = int((present != expected).sum())
    if wrong not in (0, len(perturbation)):
        raise ValueError(
            f"{wrong} of {len(perturbation)} flips do not fit this graph (an added edge is there "
            "already, or a removed one is not): it is not the graph that was attacked."
        )


def _check_size(perturbation: "Perturbation", edges: Tensor) -> None:
    """Warn where so many ``edges`` [2, E] are more or fewer than flips of the graph attacked, or
    their return, would leave."""
    clean = perturbation.meta.get("num_edges")
    if clean is not None and abs(edges.size(1) - clean) > len(perturbation):
        logger.warning(
            "these flips were made on a graph of %d edges, and this one has %d: they fit, but it "
            "is not the graph that was attacked.",
            *(clean, edges.size(1)),
        )


def _check_range(pairs: Tensor, shape: tuple[int, int]) -> None:
    if pairs.size(1) and (int(pairs[0].max()) >= shape[0] or int(pairs[1].max()) >= shape[1]):
        raise ValueError(f"the flips name nodes beyond the graph's {shape[0]} x {shape[1]}.")
