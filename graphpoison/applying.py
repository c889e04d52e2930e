"""Flips made on a PyG graph, with everything that goes with its edges kept in step."""

import copy
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data, HeteroData

from ._settings import digest
from .fake_users import FakeUsers
from .graph.adjacency import with_edge_index
from .graph.binary import flip_binary, read_binary
from .graph.bipartite import (
    EdgeType,
    bipartite_edge_type,
    flip_interactions,
    num_nodes,
    read_interactions,
)
from .graph.edit import edge_attributes, flip_edges
from .graph.homogeneous import among, encode, undirected_pairs

if TYPE_CHECKING:
    from .perturbation import Perturbation

logger = logging.getLogger(__name__)


def edges_digest(edges: Tensor, shape: tuple[int, int]) -> str:
    """Sixteen hexadecimal digits that tell sets of ``edges`` [2, E] of a graph of ``shape`` apart.

    Of a homogeneous graph each edge comes once, smaller number first.
    """
    return digest(torch.tensor(shape), encode(edges, shape[1]).sort().values)


Standing = Literal["attacked", "poisoned", "other", "unknown"]


def _standing(perturbation: "Perturbation", edges: Tensor, shape: tuple[int, int]) -> Standing:
    """Whether ``edges`` [2, E] are those that the flips were made on, those and all flips, or
    others; unknown of flips that no attack of this library made."""
    known = perturbation.meta.get("edges")
    if known is None:
        return "unknown"
    if known == edges_digest(edges, shape):
        return "attacked"
    before, _ = flip_edges(edges, {}, perturbation.pairs.to(edges.device), shape[1])
    return "poisoned" if known == edges_digest(before, shape) else "other"


def refuse_other_kind(perturbation: "Perturbation", data: object) -> None:
    """Raise a TypeError unless ``data`` is one graph of the kind attacked."""
    if isinstance(data, Batch):
        raise TypeError("data is a Batch of several graphs; apply to each before it is batched.")
    kind = Data if perturbation.meta.get("edge_type") is None else HeteroData
    if not isinstance(data, kind):
        raise TypeError(
            f"data must be {kind.__name__}, the kind attacked; found {type(data).__name__}."
        )


def refuse_another_graph(
    attacks: "Mapping[str, Perturbation]", data: Data | HeteroData, strict: bool = True
) -> None:
    """Raise a ValueError if one of ``attacks`` by name was made on other edges than ``data`` has,
    a TypeError if on another kind of graph. Unless ``strict``, a warning is enough where the edges
    are not the poisoned ones."""
    for attack in attacks.values():
        refuse_other_kind(attack, data)
    data = with_edge_index(data)
    read: dict[tuple[int, EdgeType | None], tuple[Tensor, tuple[int, int]]] = {}
    for name, attack in attacks.items():
        key = id(attack.fake_users), attack.meta.get("edge_type")  # which prefixes of one share
        if key not in read:
            read[key] = _edges(attack, data)
        found = _standing(attack, *read[key])
        if found == "poisoned":
            raise ValueError(
                f"the flips of {name!r} are in this graph already: give the clean one."
            )
        if found == "other":
            said = (
                f"the flips of {name!r} were made on another graph: its edges were others. Data, "
                "split or the numbers of nodes differ."
            )
            if strict:
                raise ValueError(said)
            logger.warning(said)


def _edges(perturbation: "Perturbation", data: Data | HeteroData) -> tuple[Tensor, tuple[int, int]]:
    """The edges of ``data``, with those of fake users, and its shape."""
    if isinstance(data, Data):
        return undirected_pairs(data), (int(data.num_nodes or 0),) * 2
    kind = bipartite_edge_type(data, perturbation.meta["edge_type"])
    if perturbation.fake_users is not None:
        data = _join(perturbation, perturbation.fake_users, data, kind)
    found = read_interactions(data, kind)
    return found.positive, found.shape


def apply_to_nodes(perturbation: "Perturbation", data: Data, warn: bool = True) -> Data:
    """See :meth:`graphpoison.Perturbation.apply`. Without ``warn``, any graph that fits will do."""
    num_nodes = int(data.num_nodes or 0)
    pairs = perturbation.pairs.to(data.edge_index.device)
    _check_range(pairs, (num_nodes, num_nodes))
    poisoned, entries = copy.copy(data), perturbation.feature_flips
    present = None
    if entries.size(1):
        present, poisoned.x = read_binary(data.x, entries), flip_binary(data.x, entries)
    edges = undirected_pairs(data)
    _check_presence(perturbation, edges, num_nodes, present)
    if warn:
        _recognise(perturbation, edges, (num_nodes, num_nodes))
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
    _recognise(perturbation, found.positive, found.shape)
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
    present = among(pairs, edges, num_targets).cpu()
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


def _recognise(perturbation: "Perturbation", edges: Tensor, shape: tuple[int, int]) -> None:
    """Warn where ``edges`` [2, E] are not those that the flips were made on."""
    found = _standing(perturbation, edges, shape)
    if found == "poisoned":
        logger.warning(
            "these flips were in the graph already: applied once more, they restore the one before."
        )
    elif found == "other":
        logger.warning(
            "these flips fit, but this is not the graph that was attacked: its edges are others."
        )


def _check_range(pairs: Tensor, shape: tuple[int, int]) -> None:
    if pairs.size(1) and (int(pairs[0].max()) >= shape[0] or int(pairs[1].max()) >= shape[1]):
        raise ValueError(f"the flips name nodes beyond the graph's {shape[0]} x {shape[1]}.")
