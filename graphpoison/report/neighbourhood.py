"""A readable part of a perturbed graph: the nodes with most flips, some neighbours, a layout."""

from collections import Counter
from dataclasses import dataclass

import networkx as nx
import numpy as np

from .changes import Change

Node = tuple[int, int]
"""Side (0 or 1; always 0 in a homogeneous graph) and number."""
PARTNERS, CONTEXT = 8, 2  # at most this many flip partners and other neighbours of one hub
MAX_FLIPS = 80  # with more flips, fewer nodes are drawn, until there are about MIN_NODES
MIN_NODES = 12


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The part of a perturbed graph that a figure shows.

    Args:
        places: the position of each node.
        flips: the number of flips of each node, of edges and of features, in the whole graph.
        kept, added, removed: the edges between the nodes.
        fake: the fake users among the nodes.
        kinds: the kinds of the two sides.
    """

    places: dict[Node, tuple[float, float]]
    flips: dict[Node, int]
    kept: list[tuple[Node, Node]]
    added: list[tuple[Node, Node]]
    removed: list[tuple[Node, Node]]
    fake: set[Node]
    kinds: tuple[str, str]

    @property
    def bipartite(self) -> bool:
        return self.kinds[0] != self.kinds[1]


def neighbourhood(found: Change, nodes: int = 40, seed: int = 0) -> Neighbourhood:
    """A part of the graph with at most ``nodes`` nodes.

    Nodes are added in the order of their flips. Each is added with some partners of its flips, in
    the same order, and with some neighbours by edges that are not flipped.

    A bipartite graph is laid out in two columns, with at most half of ``nodes`` in each. Other
    graphs are laid out by networkx (Fruchterman and Reingold, started from ``seed``, then Kamada
    and Kawai). If there are more than :data:`MAX_FLIPS` flips between the nodes, fewer nodes are
    taken.
    """
    second = int(found.bipartite)

    def edges(pairs: np.ndarray | None) -> list[tuple[Node, Node]]:
        return [((0, int(a)), (second, int(b))) for a, b in ([] if pairs is None else pairs.T)]

    added, removed = edges(found.added), edges(found.removed)
    flipped = nx.Graph([*added, *removed])
    owners = [(0, int(node)) for node in found.features[0]]
    flipped.add_nodes_from(owners)
    counts = Counter(dict(flipped.degree))
    counts.update(owners)
    hubs = sorted(flipped, key=lambda node: -counts[node])
    rank = {node: place for place, node in enumerate(hubs)}
    standing = found.joined if found.kept is None else np.hstack([found.kept, found.joined])
    gone = set(removed)
    room = [nodes // 2, nodes // 2] if found.bipartite else [nodes]
    chosen: dict[Node, None] = {}
    for hub in hubs:
        if not any(room):
            break
        alone = not room[second - hub[0]] and not any(node in chosen for node in flipped[hub])
        if alone or (hub not in chosen and not room[hub[0]]):
            continue
        partners = sorted(flipped[hub], key=lambda node: rank[node])[:PARTNERS]
        for node in [hub, *partners, *_neighbours(standing, hub, found.bipartite)[:CONTEXT]]:
            if node not in chosen and room[node[0]]:
                chosen[node] = None
                room[node[0]] -= 1
    inside = edges(_between(standing, chosen, found.bipartite))
    kept = [edge for edge in inside if edge not in gone]
    drawn = [
        [edge for edge in kind if edge[0] in chosen and edge[1] in chosen]
        for kind in (added, removed)
    ]
    if nodes > MIN_NODES and len(drawn[0]) + len(drawn[1]) > MAX_FLIPS:
        return neighbourhood(found, nodes * 3 // 4, seed)
    graph = nx.Graph()
    graph.add_nodes_from(chosen)
    graph.add_edges_from([*kept, *drawn[0], *drawn[1]])
    first_fake = found.sizes[0] - found.num_fake
    return Neighbourhood(
        places=_columns(graph) if found.bipartite else _springs(graph, seed),
        flips={node: counts[node] for node in chosen},
        kept=kept,
        added=drawn[0],
        removed=drawn[1],
        fake={node for node in chosen if found.num_fake and node[0] == 0 and node[1] >= first_fake},
        kinds=found.kinds,
    )


def _neighbours(edges: np.ndarray, node: Node, bipartite: bool) -> list[Node]:
    """The neighbours of ``node`` by ``edges``, sorted in a homogeneous graph."""
    side, number = node
    if bipartite:
        return [(1 - side, int(other)) for other in edges[1 - side][edges[side] == number]]
    found = [*edges[1][edges[0] == number], *edges[0][edges[1] == number]]
    return [(0, int(other)) for other in sorted(found)]


def _between(edges: np.ndarray, chosen: dict[Node, None], bipartite: bool) -> np.ndarray:
    """The edges that have both ends among ``chosen``."""
    ends = [[number for side, number in chosen if side == end] for end in (0, int(bipartite))]
    inside: np.ndarray = edges[:, np.isin(edges[0], ends[0]) & np.isin(edges[1], ends[1])]
    return inside


def _springs(graph: nx.Graph, seed: int) -> dict[Node, tuple[float, float]]:
    """A layout for each connected component; components are placed in rows, large ones first."""
    parts = sorted(nx.connected_components(graph), key=lambda part: (-len(part), min(part)))
    wide = 1.3 * sum(len(part) for part in parts) ** 0.5
    places: dict[Node, tuple[float, float]] = {}
    x = y = tall = 0.0
    for part in parts:
        side = len(part) ** 0.5
        if x and x + side > wide:
            x, y, tall = 0.0, y - tall - 0.6, 0.0
        for node, (right, up) in _part(graph, part, seed).items():
            places[node] = (x + side * right, y - side * up)
        x, tall = x + side + 0.6, max(tall, side)
    return places


def _part(graph: nx.Graph, part: set[Node], seed: int) -> dict[Node, np.ndarray]:
    """The layout of a connected component in the unit square."""
    alone = nx.Graph()
    alone.add_nodes_from(sorted(part))
    alone.add_edges_from(graph.subgraph(part).edges)
    start = nx.spring_layout(alone, seed=seed)
    found = nx.kamada_kawai_layout(alone, pos=start)
    corner = np.min(list(found.values()), axis=0)
    size = np.ptp(list(found.values()), axis=0).max() or 1.0
    return {node: (place - corner) / size for node, place in found.items()}


def _columns(graph: nx.Graph) -> dict[Node, tuple[float, float]]:
    """A layout in two columns, ordered so that the ends of an edge have about the same height."""
    height = {
        node: float(place)
        for side in (0, 1)
        for place, node in enumerate(node for node in graph if node[0] == side)
    }
    for side in (1, 0, 1, 0, 1, 0):
        column = [node for node in graph if node[0] == side]
        mean = {
            node: np.mean([height[other] for other in graph[node]] or [height[node]])
            for node in column
        }
        spread = np.linspace(0.0, 1.0, len(column)) if len(column) > 1 else [0.5] * len(column)
        for node, level in zip(sorted(column, key=lambda node: mean[node]), spread, strict=True):
            height[node] = float(level)
    return {node: (float(node[0]), -height[node]) for node in graph}
