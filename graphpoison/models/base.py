"""A model as pure functions of its parameters, and the closed form of its training if it has one.

A node classifier derives from :class:`NodeClassifier`, a recommender from :class:`Recommender` or,
if the score of a pair depends only on the pair and the parameters, from
:class:`PairwiseRecommender`.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import Generic, TypeVar, final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..graphs import PairState
from ..sparse import FactoredGradient, Pattern
from ..training import (
    AutogradField,
    NodeInputs,
    Params,
    PreparedNodes,
    PreparedPairs,
    TrainingField,
)
from ..training.all_pairs_loss import AllPairsLoss
from ..training.criteria import Criterion, log_losses
from ..training.dropout import DropoutField
from ..training.pair_loss import PairLoss
from ..training.pair_scores import PairScores
from ..training.pairwise import PairwiseField, closed_form_loss, log_loss

Structure = TypeVar("Structure")


class NodeClassifier(ABC, Generic[Structure]):
    """A node classifier over weighted edges; ``Structure`` is its representation of the edges."""

    @property
    def takes_all_pairs(self) -> bool:
        """Whether all pairs can be candidates without a list of them."""
        return True

    def refuse(self, inputs: NodeInputs, state: PairState) -> None:
        """Raise an error if the model has no gradient w.r.t. the candidates of ``state``."""

    @abstractmethod
    def init(self, inputs: NodeInputs, generator: torch.Generator) -> Params:
        """Fresh parameters, drawn on the CPU from ``generator``."""

    @abstractmethod
    def prepare(
        self, inputs: NodeInputs, state: PairState, weight: Tensor
    ) -> PreparedNodes[Structure]:
        """Everything that depends on ``weight`` [M], the weights of the pairs of ``state``."""

    @abstractmethod
    def train_logits(self, params: Params, prepared: PreparedNodes[Structure]) -> Tensor:
        """Logits [L, C] of the labelled nodes."""

    @abstractmethod
    def logits(self, params: Params, prepared: PreparedNodes[Structure]) -> Tensor:
        """Logits [N, C] of all nodes."""

    @final
    def train_loss(
        self, labels: Tensor, params: Params, prepared: PreparedNodes[Structure]
    ) -> Tensor:
        """The mean cross-entropy of the labelled nodes with ``labels`` [L], a scalar."""
        return cross_entropy(self.train_logits(params, prepared), labels)

    @final
    def training_field(
        self, labels: Tensor, prepared: PreparedNodes[Structure], params: Params, linear: bool
    ) -> TrainingField:
        """The gradient of :meth:`train_loss`, in closed form if there is one.

        ``linear``: whether the optimiser commutes with linear changes of coordinates.
        """
        closed = self.closed_form(labels, prepared, params, linear)
        return closed or AutogradField(partial(self.train_loss, labels), prepared)

    def closed_form(
        self, labels: Tensor, prepared: PreparedNodes[Structure], params: Params, linear: bool
    ) -> TrainingField | None:
        """Training from ``params`` in closed form; None leaves it to autograd."""
        return None

    @abstractmethod
    def pair_gradient(
        self, prepared: PreparedNodes[Structure], cotangents: Params
    ) -> Tensor | FactoredGradient:
        """The gradient w.r.t. the listed pairs [M], or w.r.t. all pairs if all are candidates,
        from ``cotangents`` of the prepared tensors."""

    @abstractmethod
    def feature_gradient(
        self, prepared: PreparedNodes[Structure], cotangents: Params
    ) -> FactoredGradient:
        """The gradient w.r.t. all entries of features [N, F] that the attacker may flip.

        Where the features have a tape, their ``values`` are among ``prepared.tensors``.
        """


class Recommender(ABC):
    """A link predictor on user-item pairs."""

    def refuse(self, state: PairState, dtype: torch.dtype) -> None:  # noqa: B027 (most refuse nothing)
        """Raise an error if training on ``state`` has no meta-gradient."""

    @property
    def embedding_params(self) -> tuple[int, ...]:
        """Indices of the parameters that are tables of embeddings."""
        return 0, 1

    @property
    def dropout(self) -> float:
        """The share of entries of the embeddings that each training step leaves out."""
        return 0.0

    @property
    def takes_all_pairs(self) -> bool:
        """Whether all pairs can be training pairs without a list of them."""
        return False

    @property
    def is_closed_form(self) -> bool:
        """Whether the trained scores are a function of the interactions, without steps."""
        return False

    @abstractmethod
    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        """Fresh parameters for ``shape`` = (users, items), drawn on the CPU."""

    def entries(self, graph: Pattern, weight: Tensor) -> Tensor:
        """The entries [M] of the propagation matrix, from the edge weights [M].

        They are computed once a meta-step. By default they are the weights.
        """
        return weight

    @abstractmethod
    def scores(self, params: Params, graph: Pattern, entries: Tensor, pairs: Pattern) -> Tensor:
        """Logits [K] of ``pairs``, trained on ``graph`` with ``entries`` [M]."""

    def prepare(self, criterion: Criterion, state: PairState, weight: Tensor) -> PreparedPairs:
        """Everything that depends on ``weight`` [M], the weights of the pairs of ``state``."""
        labels = weight.clone()  # not a leaf: training uses tensors computed from the weights
        targets = criterion.targets(state.pattern, labels)
        tensors = (targets, self.entries(state.pattern, labels))
        return PreparedPairs(weight, tensors, state.pattern)

    @final
    def pair_scores(self, params: Params, prepared: PreparedPairs, pairs: Pattern) -> Tensor:
        """Logits [K] of ``pairs``, trained on the ``prepared`` graph."""
        return self.scores(params, prepared.pattern, prepared.tensors[-1], pairs)

    def user_scores(
        self, params: Params, prepared: PreparedPairs, users: Tensor, hidden: Tensor
    ) -> Tensor:
        """Scores [n, I] of ``users`` [n] for all items, differentiable once.

        ``hidden`` [2, H]: interactions that training must not see. For a recommender trained in
        steps they have no effect, since its graph does not contain them.
        """
        items = prepared.pattern.shape[1]
        every = torch.arange(items, device=users.device)
        index = torch.stack([users.repeat_interleave(items), every.repeat(users.numel())])
        pairs = Pattern.of(index, prepared.pattern.shape)
        return self.pair_scores(params, prepared, pairs).view(-1, items)

    def train_loss(self, criterion: Criterion, params: Params, prepared: PreparedPairs) -> Tensor:
        """The loss that training minimises, a scalar."""
        scores = self.pair_scores(params, prepared, prepared.pattern)
        return criterion(prepared.pattern, scores, prepared.tensors[0])

    def attack_loss(self, criterion: Criterion, params: Params, prepared: PreparedPairs) -> Tensor:
        """The value of :meth:`train_loss`, differentiable once: the attack loss is differentiated
        once, the training loss twice."""
        return self.train_loss(criterion, params, prepared)

    def log_loss(
        self, params: Params, prepared: PreparedPairs, pairs: Pattern, labels: Tensor
    ) -> Tensor:
        """The mean log loss of ``pairs`` with ``labels`` [K], differentiable once."""
        return log_losses(self.pair_scores(params, prepared, pairs), labels).mean()

    @final
    def training_field(
        self, criterion: Criterion, prepared: PreparedPairs, params: Params
    ) -> TrainingField:
        """The gradient of :meth:`train_loss`, in closed form if there is one, with dropout."""
        field = self.closed_form(criterion, prepared, params)
        field = field or AutogradField(partial(self.train_loss, criterion), prepared)
        if not self.dropout:
            return field
        return DropoutField(field, params, self.embedding_params, self.dropout)

    def closed_form(
        self, criterion: Criterion, prepared: PreparedPairs, params: Params
    ) -> TrainingField | None:
        """Training without dropout in closed form; None leaves it to autograd."""
        return None

    def pair_gradient(
        self, prepared: PreparedPairs, cotangents: Params
    ) -> Tensor | FactoredGradient:
        """The gradient w.r.t. the listed pairs [M], or w.r.t. all pairs if all are candidates,
        from ``cotangents`` of the prepared tensors."""
        return prepared.weight_gradient(cotangents)


class PairwiseRecommender(Recommender):
    """A recommender whose score of a pair depends only on the pair and the parameters.

    The log loss of its pairs has a closed form, see :mod:`graphpoison.training.pairwise`.
    """

    @property
    @abstractmethod
    def scoring(self) -> PairScores:
        """How pairs are scored from :meth:`score_params`."""

    @abstractmethod
    def score_params(self, params: Params) -> Params:
        """Tables of users and items, and any head; may be ``params`` itself."""

    @property
    def takes_all_pairs(self) -> bool:
        return self.scoring.tower is None

    @final
    def scores(self, params: Params, graph: Pattern, entries: Tensor, pairs: Pattern) -> Tensor:
        return self.scoring(self.score_params(params), pairs)

    @final
    def prepare(self, criterion: Criterion, state: PairState, weight: Tensor) -> PreparedPairs:
        labels = weight.clone()
        targets = criterion.targets(state.pattern, labels)
        whole = AllPairsLoss(state.pattern, labels.detach()) if state.implicit_candidates else None
        return PreparedPairs(weight, (targets,), state.pattern, whole)

    @final
    def train_loss(self, criterion: Criterion, params: Params, prepared: PreparedPairs) -> Tensor:
        if prepared.all_pairs is not None:
            return self.attack_loss(criterion, params, prepared)
        if criterion.ranks:
            params = self._without_offset(params)
        return super().train_loss(criterion, params, prepared)

    @final
    def attack_loss(self, criterion: Criterion, params: Params, prepared: PreparedPairs) -> Tensor:
        if criterion.ranks:
            return self.train_loss(criterion, params, prepared)
        loss = self._training_loss(criterion, prepared)
        assert loss is not None  # the log loss has a closed form for any scores
        return loss.loss(prepared.tensors[0], *self.score_params(params))

    @final
    def log_loss(
        self, params: Params, prepared: PreparedPairs, pairs: Pattern, labels: Tensor
    ) -> Tensor:
        return log_loss(self.scoring, pairs, labels).loss(labels, *self.score_params(params))

    @final
    def closed_form(
        self, criterion: Criterion, prepared: PreparedPairs, params: Params
    ) -> TrainingField | None:
        score_params = self.score_params(params)
        self.scoring.split(score_params)  # raises an error if tables do not fit
        loss = self._training_loss(criterion, prepared)
        if loss is None:
            return None
        same = score_params is params
        return PairwiseField(loss, prepared.tensors[0], None if same else self.score_params)

    @final
    def pair_gradient(
        self, prepared: PreparedPairs, cotangents: Params
    ) -> Tensor | FactoredGradient:
        if prepared.all_pairs is not None:
            return prepared.all_pairs.gradient()
        return prepared.weight_gradient(cotangents)

    def _training_loss(self, criterion: Criterion, prepared: PreparedPairs) -> PairLoss | None:
        """The loss of the training pairs in closed form, if there is one."""
        if prepared.all_pairs is not None:
            return prepared.all_pairs
        if criterion not in prepared.losses:
            inputs = self.scoring, prepared.pattern, prepared.tensors[0]
            prepared.losses[criterion] = closed_form_loss(criterion, *inputs)
        return prepared.losses[criterion]

    def _without_offset(self, params: Params) -> Params:
        """``params`` with an output bias of 0, on which no ranking depends. Its gradient becomes
        exactly 0: Adam would turn its rounding errors into steps."""
        return params if self.scoring.tower is None else (*params[:-1], 0.0 * params[-1])
