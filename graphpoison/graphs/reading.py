"""Reading of a PyG graph of either kind, with which public functions begin."""

from typing import overload

from torch_geometric.data import Data, HeteroData

from .._checks import refuse_batch
from .interactions import EdgeType, Interactions, read_interactions
from .nodes import NodeGraph, read_nodes

Graph = NodeGraph | Interactions


@overload
def read_graph(data: Data | NodeGraph, edge_type: EdgeType | None = None) -> NodeGraph: ...
@overload
def read_graph(
    data: HeteroData | Interactions, edge_type: EdgeType | None = None
) -> Interactions: ...
@overload
def read_graph(data: Data | HeteroData | Graph, edge_type: EdgeType | None = None) -> Graph: ...
def read_graph(data: Data | HeteroData | Graph, edge_type: EdgeType | None = None) -> Graph:
    """A :class:`NodeGraph` of ``Data``, :class:`Interactions` of ``HeteroData``.

    A graph that has been read already is returned unchanged.

    Args:
        data: a PyG graph, or the result of an earlier call.
        edge_type: the interactions to read, if a ``HeteroData`` has several edge types.

    Raises:
        TypeError: ``data`` is another kind of object, such as a ``Batch``, or lacks features or
            labels.
        ValueError: the graph is directed, an index is out of range, features or labels have a wrong
            shape or wrong values, or the edge type is absent, ambiguous or of another graph.
    """
    refuse_batch(data)
    if isinstance(data, NodeGraph | Data):
        if edge_type is not None:
            raise ValueError("edge_type is for graphs of interactions, found one of nodes.")
        return read_nodes(data)
    if isinstance(data, Interactions | HeteroData):
        return read_interactions(data, edge_type)
    raise TypeError(
        f"data must be a torch_geometric Data or HeteroData, found {type(data).__name__}."
    )
