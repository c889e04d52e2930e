"""Nettack's co-occurrence test of binary features."""

import torch
from torch import Tensor
from torch_geometric.data import Data

from ..graphs import NodeGraph
from ..graphs.binary_features import check_binary


def cooccurring_features(data: Data | NodeGraph) -> Tensor:
    r"""Nettack's co-occurrence test, as ``feature_candidates`` of a task.

    A feature i may be added to a node with the features S if one step of a random walk from S over
    co-occurring features reaches i with a large enough probability (Zügner, Akbarnejad and
    Günnemann 2018, section 4.1):

    .. math::
        \frac{1}{|S|} \sum_{j \in S} \frac{E_{ij}}{d_j} > \frac{1}{2 |S|} \sum_{j \in S}
        \frac{1}{d_j}

    with :math:`E_{ij}` = 1 where i and j are features of the same node of the clean graph, and
    :math:`d_j = \sum_i E_{ij}`. Features j that occur with no other are left out of both sums.
    Every feature of a node may be removed. The code of Metattack (Zügner and Günnemann 2019) does
    not have this test.

    Args:
        data: ``Data`` with binary ``x`` [N, F]. The test takes memory for F x F numbers.

    Returns:
        BoolTensor [N, F], the entries that may be flipped.

    Raises:
        TypeError: ``data.x`` is missing.
        ValueError: ``data.x`` is not all 0 or 1.
    """
    if getattr(data, "x", None) is None:
        raise TypeError("data.x (node features) is missing.")
    x = data.x.to_dense()
    check_binary(x)
    present = x.float()
    together = (present.t() @ present > 0).fill_diagonal_(False)
    degree = together.sum(dim=0)
    weighted = present * torch.where(degree > 0, degree, torch.inf).reciprocal()
    reached = weighted @ together.float()
    likely = reached > 0.5 * weighted.sum(dim=1, keepdim=True)
    allowed: Tensor = likely | (x != 0)
    return allowed
