"""Application of flips to a graph. Every poisoned graph that a victim trains on is made here.

:func:`poisoned` takes and returns a value of :mod:`graphpoison.graphs`. :func:`poisoned_data` does
the same for a PyG graph: it checks the flips on the graph as read, and writes them to a copy.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from ._checks import refuse_batch
from ._settings import digest
from .graphs import Graph, Interactions, NodeGraph, read_graph, read_interactions, writing
from .graphs.adjacency import like, with_edge_index
from .graphs.adjacency_formats import edges_of_adjacency
from .graphs.binary_features import flip_binary, read_binary
from .graphs.codes import among, encode
from .graphs.edge_flips import flip_edges, flip_negatives
from .graphs.nodes import undirected_pairs

if TYPE_CHECKING:
    from .perturbation import Perturbation

logger = logging.getLogger(__name__)

PyGGraph = TypeVar("PyGGraph", Data, HeteroData)
Shape = tuple[int, int]
Standing = Literal["attacked", "poisoned", "other", "unknown"]


@overload
def poisoned(perturbation: "Perturbation", graph: NodeGraph) -> NodeGraph: ...
@overload
def poisoned(perturbation: "Perturbation", graph: Interactions) -> Interactions: ...
@overload
def poisoned(perturbation: "Perturbation", graph: Graph) -> Graph: ...
def poisoned(perturbation: "Perturbation", graph: Graph) -> Graph:
    """Returns ``graph`` with the flips applied, and with the fake users of the attack.

    Raises:
        TypeError: ``graph`` is not of the kind that was attacked.
        ValueError: the flips name nodes that the graph lacks; an added pair is an edge already, or
            a removed pair is not an edge; the interactions are of another edge type.
    """
    _refuse_other_kind(perturbation, isinstance(graph, NodeGraph), graph)
    if isinstance(graph, NodeGraph):
        return _poisoned_nodes(perturbation, graph)
    if graph.edge_type != _edge_type(perturbation):
        raise ValueError(
            f"perturbation is of edge type {_edge_type(perturbation)}, found a graph of "
            f"{graph.edge_type}."
        )
    return _poisoned_interactions(perturbation, _joined(perturbation, graph))


def poisoned_data(perturbation: "Perturbation", data: PyGGraph) -> PyGGraph:
    """See :meth:`graphpoison.Perturbation.apply`."""
    _refuse_other_data(perturbation, data)
    plain = with_edge_index(data)
    pairs, entries = perturbation.pairs, perturbation.feature_flips
    if isinstance(plain, Data):
        count = int(plain.num_nodes or 0)
        edges, shape = undirected_pairs(plain), (count, count)
        _check_flips(perturbation, edges, shape, plain.x)
        recognise(perturbation, edges, shape)
        return like(writing.flip_nodes(plain, pairs, entries), data)
    graph = _joined(perturbation, read_interactions(plain, _edge_type(perturbation)))
    _check_flips(perturbation, graph.edge_index, graph.shape)
    recognise(perturbation, graph.edge_index, graph.shape)
    if perturbation.fake_users is not None:
        plain = writing.join_users(plain, graph.edge_type, perturbation.fake_users)
    return like(writing.flip_interactions(plain, graph.edge_type, pairs), data)


def refuse_another_graph(
    attacks: "Mapping[str, Perturbation]", graph: Graph, strict: bool = True
) -> None:
    """Check that each of ``attacks`` (by name) was made on ``graph``.

    Raises:
        TypeError: an attack was made on another kind of graph.
        ValueError: ``graph`` contains the flips already; or, if ``strict``, an attack was made on a
            graph with other edges. If not ``strict``, other edges only cause a warning.
    """
    for attack in attacks.values():
        _refuse_other_kind(attack, isinstance(graph, NodeGraph), graph)
    joined: dict[int, Graph] = {}  # prefixes of one attack share its fake users
    for name, attack in attacks.items():
        key = id(attack.fake_users)
        if key not in joined:
            joined[key] = graph if isinstance(graph, NodeGraph) else _joined(attack, graph)
        found = _standing(attack, edges_of(joined[key]), joined[key].shape)
        if found == "poisoned":
            raise ValueError(
                f"the flips of {name!r} are in this graph already: give the clean one."
            )
        if found == "other":
            said = (
                f"the flips of {name!r} were made on another graph, with other edges: the data, "
                "the split or the numbers of nodes differ."
            )
            if strict:
                raise ValueError(said)
            logger.warning(said)


def edges_of(graph: Graph) -> Tensor:
    """LongTensor [2, E] of the edges, each undirected edge once."""
    return graph.pairs if isinstance(graph, NodeGraph) else graph.edge_index


def edges_digest(edges: Tensor, shape: Shape) -> str:
    """A digest (16 hexadecimal digits) of the set of ``edges`` [2, E] of a graph of ``shape``.

    An undirected edge is listed once, with the smaller number first.
    """
    return digest(torch.tensor(shape), encode(edges, shape[1]).sort().values)


def _poisoned_nodes(perturbation: "Perturbation", graph: NodeGraph) -> NodeGraph:
    entries = perturbation.feature_flips
    _check_flips(perturbation, graph.pairs, graph.shape, graph.x)
    known = {} if graph.pair_weight is None else {"edge_weight": graph.pair_weight}
    pairs = perturbation.pairs.to(graph.pairs.device)
    edges, changed = flip_edges(graph.pairs, known, pairs, graph.num_nodes)
    flipped = graph.with_pairs(edges, changed.get("edge_weight"))
    return replace(flipped, x=flip_binary(graph.x, entries)) if entries.size(1) else flipped


def _poisoned_interactions(perturbation: "Perturbation", graph: Interactions) -> Interactions:
    _check_flips(perturbation, graph.edge_index, graph.shape)
    pairs, count = perturbation.pairs.to(graph.edge_index.device), graph.num_items
    edges, _ = flip_edges(graph.edge_index, {}, pairs, count)
    negatives = graph.negatives
    if negatives is not None:
        negatives = flip_negatives(negatives, pairs, edges, count)
    return replace(graph, edge_index=edges, negatives=negatives)


def _joined(perturbation: "Perturbation", graph: Interactions) -> Interactions:
    """``graph`` with the fake users of the attack added, if it has any."""
    users = perturbation.fake_users
    if users is None:
        return graph
    real = perturbation.meta["shape"][0] - users.count
    if graph.num_users != real:
        raise ValueError(
            f"data has {graph.num_users} users, but the attacked graph had {real} before "
            f"{users.count} fake users joined: it is another graph, or they have joined already."
        )
    return graph.joined_by(users)


def _edge_type(perturbation: "Perturbation") -> tuple[str, str, str] | None:
    kind = perturbation.meta.get("edge_type")
    return None if kind is None else (str(kind[0]), str(kind[1]), str(kind[2]))


def _refuse_other_data(perturbation: "Perturbation", data: object) -> None:
    """Raise a TypeError unless ``data`` is one PyG graph of the kind attacked."""
    refuse_batch(data)
    nodes = isinstance(data, Data)
    _refuse_other_kind(perturbation, nodes, data)
    if not nodes and not isinstance(data, HeteroData):
        raise TypeError(f"data must be a PyG graph, found {type(data).__name__}.")


def _refuse_other_kind(perturbation: "Perturbation", nodes: bool, graph: object) -> None:
    """Raise a TypeError unless the flips were made on the same kind of graph: a ``Data`` if
    ``nodes``, else a ``HeteroData``."""
    of_nodes = perturbation.meta.get("edge_type") is None
    if nodes != of_nodes:
        kind, found = ("Data", "HeteroData") if of_nodes else ("HeteroData", "Data")
        name = type(graph).__name__
        found = found if isinstance(graph, NodeGraph | Interactions) else name
        raise TypeError(f"data must be {kind}, the kind attacked; found {found}.")


def _standing(perturbation: "Perturbation", edges: Tensor, shape: Shape) -> Standing:
    """How ``edges`` [2, E] relate to the clean edges of the attack: equal (``"attacked"``), equal
    once all flips are applied to these (``"poisoned"``), or different (``"other"``). ``"unknown"``
    if the perturbation does not record its clean edges."""
    known = perturbation.meta.get("edges")
    if known is None:
        return "unknown"
    if known == edges_digest(edges, shape):
        return "attacked"
    before, _ = flip_edges(edges, {}, perturbation.pairs.to(edges.device), shape[1])
    return "poisoned" if known == edges_digest(before, shape) else "other"


def recognise(perturbation: "Perturbation", edges: Tensor, shape: Shape) -> None:
    """Log a warning if ``edges`` [2, E] are not the clean edges of the attack."""
    found = _standing(perturbation, edges, shape)
    if found == "poisoned":
        logger.warning(
            "these flips are in the graph already; applying them again restores the clean graph."
        )
    elif found == "other":
        logger.warning(
            "these flips fit, but this is not the graph that was attacked: its edges differ."
        )


def _check_flips(
    perturbation: "Perturbation", edges: Tensor, shape: Shape, x: Tensor | None = None
) -> None:
    """Raise a ValueError unless the flips fit the graph: their nodes exist, all added pairs are
    absent and all removed pairs present, or the reverse of both. ``x`` [N, F] holds the features,
    if features are flipped."""
    pairs = perturbation.pairs.to(edges.device)
    if pairs.size(1) and (int(pairs[0].max()) >= shape[0] or int(pairs[1].max()) >= shape[1]):
        raise ValueError(f"the flips name nodes beyond the graph's {shape[0]} x {shape[1]}.")
    present = among(pairs, edges, shape[1]).cpu()
    table = perturbation.flips.sort_values("kind", kind="stable")  # edges first
    if perturbation.feature_flips.size(1):
        present = torch.cat([present, read_binary(x, perturbation.feature_flips).cpu()])
    expected = ~torch.tensor(table["added"].to_numpy(), dtype=torch.bool)
    wrong = int((present != expected).sum())
    if wrong not in (0, len(perturbation)):
        raise ValueError(
            f"{wrong} of {len(perturbation)} flips do not fit this graph (an added edge is present "
            "already, or a removed edge is absent): it is not the graph that was attacked."
        )


def edges_after(before: NodeGraph | Interactions, after: Any, edge_type: Any) -> Tensor:
    """The edges [2, E] of ``after``, a graph of the kind of ``before`` or an adjacency."""
    if not isinstance(after, Data | HeteroData | NodeGraph | Interactions):
        return edges_of_adjacency(after, before)
    graph = read_graph(after, edge_type)
    if type(graph) is not type(before):
        raise TypeError(
            f"poisoned must be a graph of the kind of clean, found {type(after).__name__}."
        )
    if graph.shape != before.shape:
        raise ValueError(
            f"poisoned has {graph.shape} nodes and clean has {before.shape}; both must have the "
            "same nodes in the same order."
        )
    x, other = (kept.x if isinstance(kept, NodeGraph) else None for kept in (before, graph))
    if x is not None and other is not None and not torch.equal(x.cpu(), other.cpu()):
        raise ValueError("features differ between clean and poisoned; only edges may differ.")
    for name, kept in (("clean", before), ("poisoned", graph)):
        if isinstance(kept, NodeGraph) and kept.pair_weight is not None:
            raise ValueError(f"{name} has edge_weight; give graphs without weights.")
    kinds = [kept.edge_type for kept in (before, graph) if isinstance(kept, Interactions)]
    if len(set(kinds)) > 1:
        raise ValueError(f"poisoned has edges {kinds[1]}, and clean has {kinds[0]}.")
    return edges_of(graph).cpu()
