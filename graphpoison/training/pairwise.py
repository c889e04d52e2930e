"""The training field of models that score each pair separately, with the loss in closed form."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..sparse import Pattern
from ..sparse.shares import Block, Shares, blocks
from .all_pairs_loss import AllPairsLoss
from .bpr import Triples
from .criteria import Criterion, LogLoss, Ranking
from .divided import DividedPairs
from .field import Cotangents, Linearisation, TrainingField, as_leaves, jvp, vjp
from .mlp_pair_loss import MLPPairLoss
from .pair_loss import BlockLoss, PairLoss
from .pair_scores import PairScores
from .prepared import Params
from .ranked_pair_loss import RankedPairLoss
from .sparse_pair_loss import SparsePairLoss
from .workspace import Workspace


def log_loss(scoring: PairScores, pairs: Pattern, labels: Tensor) -> PairLoss:
    """The log loss of ``pairs`` with ``labels`` [M], in the closed form for ``scoring``."""
    labels, count, workspace = labels.detach(), pairs.num_entries, Workspace()

    def make(block: Block) -> BlockLoss:
        if scoring.tower is None:
            return SparsePairLoss(block, labels[block.entries], count, workspace)
        return MLPPairLoss(block, labels[block.entries], scoring, count)

    single = scoring.tower is not None and not MLPPairLoss.takes_parts(labels)
    return _of_pairs(pairs, make, scoring, lambda entries: (entries,), single)


def closed_form_loss(
    criterion: Criterion, scoring: PairScores, pairs: Pattern, targets: Tensor
) -> PairLoss | None:
    """The loss of the training ``pairs`` in closed form; None for a ranking loss with a tower."""
    if isinstance(criterion, LogLoss):
        return log_loss(scoring, pairs, targets)
    if not isinstance(criterion, Ranking) or scoring.tower is not None:
        return None
    compared, weights = criterion.compared(pairs), targets.detach()

    def make(block: Block) -> BlockLoss:
        parts = torch.cat([weights[part] for part in compared.targets(block.entries)])
        return RankedPairLoss(block, compared.within(block.entries), parts)

    single = not isinstance(compared, Triples)
    return _of_pairs(pairs, make, scoring, compared.targets, single)


def _of_pairs(
    pairs: Pattern,
    make: Callable[[Block], BlockLoss],
    scoring: PairScores,
    targets: Callable[[slice], tuple[slice, ...]],
    single: bool,
) -> PairLoss:
    """The loss of listed ``pairs``; ``single`` asks for one part in each block."""
    return PairLoss(Shares.of(pairs), blocks(pairs, single), make, scoring.user_tables, targets)


class PairwiseField(TrainingField):
    """The mean loss of pairs; coordinates are the parameters.

    Args:
        loss: the loss of the training pairs.
        targets: the tensor whose cotangents ``loss`` returns.
        score_params: maps parameters to score parameters, see
            :class:`~graphpoison.training.pair_scores.PairScores`; None if both are the same.
    """

    def __init__(
        self,
        loss: PairLoss,
        targets: Tensor,
        score_params: Callable[[Params], Params] | None = None,
    ) -> None:
        self.loss = loss
        self.score_params = score_params
        self.tensors = (targets,)

    def over_ranks(self, params: Params) -> TrainingField:
        loss = self.loss
        if loss.shares.ranks.size == 1 or self.score_params or loss.tables != {0}:
            return self
        if isinstance(loss, AllPairsLoss):  # collects factors of all users
            return self
        return DividedPairs(self, loss, len(params[1]))

    def tensors_vjp(self, cotangents: Cotangents) -> Cotangents:
        return (self.loss.targets_vjp(cotangents[0]),)

    def linearise(self, coordinates: Params) -> Linearisation:
        if self.score_params is None:
            return self.loss.linearise(*coordinates)
        return _ScoreParamsPoint(self.loss, self.score_params, coordinates)


class _ScoreParamsPoint(Linearisation):
    r"""The field at coordinates c, with score parameters S(c).

    Let g be the gradient w.r.t. the score parameters and J the Jacobian of S. The field is
    :math:`J^\top g`. Its derivative in a direction :math:`\dot c` needs only the derivative of g in
    the direction :math:`J \dot c`:

    .. math::
        J^\top \, \nabla g \, (J \dot c) + \nabla_c \langle g, J \dot c \rangle
    """

    def __init__(
        self, loss: PairLoss, function: Callable[[Params], Params], coordinates: Params
    ) -> None:
        self.leaves = as_leaves(coordinates)
        with torch.enable_grad():
            self.score_params = function(self.leaves)
        self.point = loss.linearise(*map(torch.detach, self.score_params))

    @property
    def gradient(self) -> Params:
        return torch.autograd.grad(
            self.score_params, self.leaves, self.point.gradient, retain_graph=True
        )

    def vjp(self, cotangents: Params) -> tuple[Params, Cotangents]:
        with torch.enable_grad():
            change = jvp(self.score_params, self.leaves, cotangents)
        tangent = tuple(map(torch.detach, change))
        gradient, derivative, on_tensors = self.point.gradient_and_vjp(tangent)
        back = vjp((*self.score_params, *change), self.leaves, (*derivative, *gradient))
        return back, on_tensors
