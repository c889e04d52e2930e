r"""GRAND (Feng et al. 2020): consistent predictions under random propagation.

.. math::
    \bar X = \frac{1}{K + 1} \sum_{k=0}^{K} \hat A^k \, \mathrm{diag}(m) X / (1 - \delta),
    \qquad m_i \sim \mathrm{Bernoulli}(1 - \delta)

Each of S samples drops whole nodes. Training minimises the mean cross-entropy of the samples and
``weight`` times their squared distance from the sharpened mean prediction (equations 2 to 6).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import spmm, to_torch_csr_tensor


class GRAND(nn.Module):
    """32 hidden units, S = 4 samples, K = 8, delta = 0.5, dropout 0.5, temperature 0.5: the
    authors' settings for Cora.

    The first layer is linear, so that features are multiplied by its weights before they are
    propagated. The authors' dropout of propagated features is left out, as by them on CiteSeer.
    """

    def __init__(
        self, num_features: int, num_classes: int, order: int = 8, weight: float = 1.0
    ) -> None:
        super().__init__()
        self.first = nn.Linear(num_features, 32)
        self.second = nn.Linear(32, num_classes)
        self.order, self.weight, self.samples = order, weight, 4
        self._divergence: Tensor | None = None

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """Logits [S, N, C] in training, [N, C] in evaluation."""
        edges, weight = gcn_norm(edge_index, edge_weight, x.size(0), dtype=x.dtype)
        matrix = to_torch_csr_tensor(edges.flip(0), weight, (x.size(0), x.size(0)))
        hidden, width = nn.functional.linear(x, self.first.weight), self.first.out_features
        if not self.training:
            return self._classify(self._propagate(matrix, hidden))
        kept = torch.rand(x.size(0), self.samples, 1, device=x.device, dtype=x.dtype) < 0.5
        dropped = (hidden.unsqueeze(1) * kept / 0.5).flatten(1)
        mixed = self._propagate(matrix, dropped).view(-1, self.samples, width)
        logits = self._classify(mixed).transpose(0, 1)
        self._divergence = divergence(logits)
        return logits

    def penalty(self) -> Tensor:
        """``weight`` times the divergence of the samples of the last forward pass."""
        assert self._divergence is not None
        return self.weight * self._divergence

    def _propagate(self, matrix: Tensor, values: Tensor) -> Tensor:
        total = values
        for _ in range(self.order):
            values = spmm(matrix, values)
            total = total + values
        return total / (self.order + 1)

    def _classify(self, propagated: Tensor) -> Tensor:
        hidden = (propagated + self.first.bias).relu()
        logits: Tensor = self.second(dropout(hidden, 0.5, self.training))
        return logits


def divergence(logits: Tensor, temperature: float = 0.5) -> Tensor:
    """The mean squared distance of the predictions ``logits`` [S, N, C] from their sharpened
    mean, over samples and nodes."""
    predicted = logits.softmax(dim=-1)
    with torch.no_grad():
        sharpened = predicted.mean(dim=0).pow(1 / temperature)
        sharpened = sharpened / sharpened.sum(dim=-1, keepdim=True)
    return (predicted - sharpened).square().sum(dim=-1).mean()
