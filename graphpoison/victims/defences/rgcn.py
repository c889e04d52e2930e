"""Robust GCN (Zhu et al. 2019): nodes are Gaussians; neighbours of large variance count less."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, elu
from torch_geometric.utils import add_remaining_self_loops, scatter

EPSILON = 1e-8


class GaussianLayer(nn.Module):
    r"""Means and variances of the neighbours; neighbours of large variance have less weight.

    .. math::
        M = \tilde D^{-1/2} \tilde A \tilde D^{-1/2} (\mu \odot e^{-\sigma}), \qquad
        \Sigma = \tilde D^{-1} \tilde A \tilde D^{-1} (\sigma \odot e^{-2 \sigma})

    with :math:`\mu = \text{elu}(M' W_\mu)` and :math:`\sigma = \text{relu}(\Sigma' W_\sigma)` from
    the means and variances of the previous layer. The attention is equation 6 of the paper with
    gamma = 1.
    """

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.mean = nn.Linear(num_inputs, num_outputs, bias=False)
        self.variance = nn.Linear(num_inputs, num_outputs, bias=False)

    def forward(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        return elu(self.mean(mean)), self.variance(variance).relu()


class RGCN(nn.Module):
    """Two Gaussian layers, 16 hidden units, dropout 0.6.

    Training draws a sample of each node's output, evaluation takes its mean. :meth:`penalty` is
    5e-4 times the divergence of the hidden Gaussians from the standard normal distribution,
    summed over nodes, plus 5e-4 times the squares of the first layer's weights.
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.first = GaussianLayer(num_features, 16)
        self.second = GaussianLayer(16, num_classes)
        self._hidden: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        edges, weight = add_remaining_self_loops(edge_index, edge_weight, 1.0, x.size(0))
        weight = x.new_ones(edges.size(1)) if weight is None else weight
        mean, variance = self._hidden = self.first(x, x)
        mean, variance = propagated(mean, variance, edges, weight)
        mean, variance = (dropout(part, 0.6, self.training) for part in (mean, variance))
        mean, variance = self.second(mean, variance)
        mean, variance = propagated(mean, variance, edges, weight)
        if not self.training:
            return mean
        return mean + torch.randn_like(mean) * (variance + EPSILON).sqrt()

    def penalty(self) -> Tensor:
        """The penalty of the last forward pass, which is added to its loss."""
        assert self._hidden is not None
        mean, variance = self._hidden
        divergence = (mean.square() + variance - (variance + EPSILON).log()).mean(dim=1).sum() / 2
        squares = sum(weight.square().sum() for weight in self.first.parameters())
        return 5e-4 * (divergence + squares)


def propagated(
    mean: Tensor, variance: Tensor, edge_index: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Means and variances [N, D] after attention and propagation along ``weight`` [E]."""
    source, target = edge_index
    count = mean.size(0)
    degree = scatter(weight, target, dim_size=count)
    product = degree[source] * degree[target]
    attention = torch.exp(-variance)

    def spread(weights: Tensor, values: Tensor) -> Tensor:
        total: Tensor = scatter(weights.unsqueeze(1) * values[source], target, dim_size=count)
        return total

    return (
        spread(weight / product.sqrt(), mean * attention),
        spread(weight / product, variance * attention.square()),
    )
