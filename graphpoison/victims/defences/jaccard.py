"""GCN-Jaccard (Wu et al. 2019): edges between dissimilar nodes are removed before training."""

from ...graphs import NodeGraph
from .similarity import dot_products


def drop_dissimilar(graph: NodeGraph, threshold: float = 0.01) -> NodeGraph:
    r"""``graph`` without edges between dissimilar nodes (Wu et al. 2019).

    An edge stays if the Jaccard similarity of the sets of features that are not 0,
    :math:`|F_u \cap F_v| / |F_u \cup F_v|`, is at least ``threshold``.

    Args:
        graph: the graph; some of its features must be 0.
        threshold: smallest similarity of a kept edge; 0.01, the usual value, requires one common
            word.

    Raises:
        ValueError: no feature is 0, so that all similarities are 1.
    """
    words = graph.x != 0
    if bool(words.all()):
        raise ValueError(
            "data.x has no zeros; Jaccard similarity compares sets of features such as words. Use "
            "another victim, or binary features."
        )
    source, target = graph.edge_index
    common = dot_products(words.float(), graph.edge_index)
    sizes = words.sum(dim=1)
    union = sizes[source] + sizes[target] - common
    kept = (common >= threshold * union) & (union > 0)
    weight = graph.edge_weight
    return graph.with_edges(graph.edge_index[:, kept], None if weight is None else weight[kept])
