r"""Dropout on embeddings, as a field that changes from step to step.

Step t follows the gradient of the loss of masked tables, :math:`L_t(\theta) = L(m_t \odot \theta)`:

.. math::
    F_t(\theta) = m_t \odot F(m_t \odot \theta), \qquad
    (\partial F_t / \partial \theta)^\top v =
    m_t \odot (\partial F / \partial \theta)^\top (m_t \odot v)

An entry of :math:`m_t` is 0 with probability p and 1 / (1 - p) otherwise (inverted dropout,
Srivastava et al. 2014). Any closed form of F is used unchanged, and the meta-gradient is exact for
the drawn masks. The masks depend only on the initial parameters and the step. A step that is
computed again therefore has the same masks, and other initial parameters have other masks.
"""

import zlib

import torch
from torch import Tensor

from .._random import generator
from .field import Cotangents, Linearisation, TrainingField
from .prepared import Params


class MaskedField(TrainingField):
    """The loss of masked parameters.

    Args:
        whole: the field without masks, whose coordinates are the parameters.
        masks: number of a parameter -> the tensor that it is multiplied by.
    """

    def __init__(self, whole: TrainingField, masks: dict[int, Tensor]) -> None:
        self.whole, self.masks = whole, masks
        self.tensors = whole.tensors

    def masked(self, params: Params) -> Params:
        """``params``, or cotangents of them, times the masks."""
        return tuple(
            param * self.masks[number] if number in self.masks else param
            for number, param in enumerate(params)
        )

    def gradient(self, coordinates: Params) -> Params:
        return self.masked(self.whole.gradient(self.masked(coordinates)))

    def linearise(self, coordinates: Params) -> Linearisation:
        return _MaskedPoint(self, self.whole.linearise(self.masked(coordinates)))

    def tensors_vjp(self, cotangents: Cotangents) -> Cotangents:
        return self.whole.tensors_vjp(cotangents)


class DropoutField(MaskedField):
    """New masks at every step; without :meth:`at_step`, the masks of step 0 apply.

    Args:
        whole: the field without masks, whose coordinates are the parameters.
        start: the parameters that training starts from.
        tables: the numbers of the masked parameters.
        rate: the probability p, less than 1.
    """

    def __init__(
        self, whole: TrainingField, start: Params, tables: tuple[int, ...], rate: float
    ) -> None:
        self.start, self.tables, self.rate = start, tables, rate
        self.seed = zlib.crc32(start[tables[0]][0].detach().cpu().numpy().tobytes())
        super().__init__(whole, self.draw(0))

    def at_step(self, step: int) -> TrainingField:
        return MaskedField(self.whole, self.draw(step))

    def draw(self, step: int) -> dict[int, Tensor]:
        """The masks of ``step``, drawn on the CPU."""
        draw = generator(self.seed, step)
        masks = {}
        for number in self.tables:
            table = self.start[number]
            kept = torch.rand(table.shape, generator=draw) >= self.rate
            masks[number] = kept.to(table).div_(1.0 - self.rate)
        return masks


class _MaskedPoint(Linearisation):
    def __init__(self, training: MaskedField, point: Linearisation) -> None:
        self.masked, self.point = training.masked, point

    @property
    def gradient(self) -> Params:
        return self.masked(self.point.gradient)

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        on_coordinates, on_tensors = self.point.vjp(self.masked(cotangents))
        return self.masked(on_coordinates), on_tensors
