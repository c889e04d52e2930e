"""Link-prediction recommenders on a bipartite graph, attacked through its interactions."""

import copy
from dataclasses import replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from .._checks import choice, in_range
from .._random import derive_seed, generator
from ..graphs import EdgeType, Interactions, PairState, read_interactions
from ..models import Recommender, recommender
from ..models.extra_users import ExtraUsers
from ..sparse import FactoredGradient, Pattern
from ..sparse.kernels import check_backend
from ..training import Params, PreparedPairs, Training, TrainingField
from ..training.criteria import CRITERIA, Loss, criterion
from .base import Task
from .named_objectives import settled, usual_objective
from .objectives import Objective
from .targets import Targets
from .training_pairs import (
    CLEAN,
    DRAWS,
    TRIPLES,
    hold_out,
    matrix_state,
    pair_state,
    unobserved,
    without,
)


class Recommendation(Task[PreparedPairs]):
    r"""Poisoning of a recommender: the graph, the surrogate and the objective of an attack.

    The default surrogate is ``"ease"``. A surrogate in closed form (``"ease"``, ``"wmf"``) is
    trained on the whole interaction matrix, and its scores are differentiated w.r.t. every entry.
    The attacker maximises an :class:`~graphpoison.tasks.objectives.Objective` of the rankings, such
    as :class:`~graphpoison.Degrade` (the default) or :class:`~graphpoison.Promote`.

    Other surrogates are trained in steps on M training pairs, interactions and sampled
    non-interactions. Their training loss is the mean log loss of the scores :math:`s_{ui}` of user
    u and item i, with the weights :math:`w_{ui}` (1 or 0) as labels (thesis, equation 3.1):

    .. math::
        L = \frac{1}{M} \sum_{(u, i)} \log(1 + e^{s_{ui}}) - w_{ui} s_{ui}

    With ``loss="bpr"``, the training loss is the mean of :math:`\log(1 + e^{s_{uj} - s_{ui}})` with
    weights :math:`w_{ui} (1 - w_{uj})`, over triples (u, i, j) drawn once
    (:mod:`graphpoison.training.bpr`). With ``loss="softmax"`` each interaction is compared with
    several pairs of its user at once (:mod:`graphpoison.training.sampled_softmax`). Surrogates that
    are trained in steps also take the objectives of the thesis:

    - ``"train"``: the training loss, including its labels (thesis, Algorithm 1);
    - ``"self"``: the log loss of unobserved pairs, as many as training pairs. Their labels are the
      probabilities of another surrogate, trained on the clean graph from other initial parameters.
      (If the labels were the probabilities of the attacked surrogate itself, the gradient would be
      0.)
    - ``"heldout"``: the log loss of held-out training pairs. The surrogate is not trained on these
      pairs, and the attacker does not flip them.

    Args:
        data: bipartite ``HeteroData``. ``edge_index`` of ``edge_type`` holds the interactions and
            ``neg_edge_index``, if present, the sampled non-interactions. ``edge_label_index`` and
            ``edge_label`` of ``RandomLinkSplit`` may replace them. Edge attributes such as ratings
            are ignored.
        surrogate: ``"ease"``, ``"wmf"``, ``"cf"``, ``"gmf"``, ``"mlp"`` (CF with a feed-forward
            head), ``"neumf"``, ``"lightgcn"``, settings such as ``CF(dim=8)``, or any module with
            ``scores(pairs, edge_index, edge_weight)``. By default ``"ease"``, but ``"cf"`` if an
            objective of the thesis or a ranking loss is given.
        objective: see above. By default ``Degrade()`` for a surrogate in closed form, and
            ``"train"`` for the others.
        edge_type: the edge type of the interactions; optional if ``data`` has only one.
        candidates: the pairs that may be flipped. ``"sampled"``: the training pairs. Negatives are
            taken from ``data``; if it has none, as many as there are interactions are drawn from
            ``seed``. ``"all"``: every pair; pairs without an interaction are training negatives.
            Memory grows with all pairs; only CF, and GMF without layers, store no more than the
            interactions, if the objective is ``"train"`` and the loss ``"log"``. A LongTensor
            [2, K]: these pairs, which are training pairs too. By default ``"all"`` for a surrogate
            in closed form, without the unseen interactions, and ``"sampled"`` for the others.
        heldout_fraction: the share of training pairs that ``"heldout"`` holds out.
        seed: seed of the draws of negatives, held-out, hidden and unobserved pairs, and of the
            pairs that a ranking loss compares.
        dtype: type of the surrogate's parameters.
        backend: how sparse matrices are multiplied, see :mod:`graphpoison.sparse.kernels`.
        loss: the training loss, ``"log"``, ``"bpr"`` or ``"softmax"``.

    Raises:
        TypeError, ValueError: ``data`` is not bipartite or has no interactions; no negatives can be
            drawn; there is nothing to rank.
    """

    clean_stream = (CLEAN,)
    objective: str | Objective

    def __init__(
        self,
        data: HeteroData | Interactions,
        surrogate: str | nn.Module | Recommender | None = None,
        objective: Literal["train", "self", "heldout"] | Objective | None = None,
        edge_type: EdgeType | None = None,
        candidates: Literal["sampled", "all"] | Tensor | None = None,
        heldout_fraction: float = 0.2,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        backend: str = "auto",
        loss: Loss = "log",
    ) -> None:
        usual = "cf" if isinstance(objective, str) or loss != "log" else "ease"
        self._given = model = recommender(usual if surrogate is None else surrogate)
        self.objective = chosen = usual_objective(objective, model)
        self.surrogate = settled(model, chosen)
        choice("loss", loss, CRITERIA)
        if loss != "log" and model.is_closed_form:
            raise ValueError(f"loss={loss!r} is for training in steps; {model!r} takes none.")
        self.loss = loss
        self.criterion = criterion(loss, derive_seed(seed, TRIPLES))
        self.dtype = dtype
        check_backend(backend)
        self.graph = graph = read_interactions(data, edge_type)
        self.edge_type = graph.edge_type
        self.seed = seed
        self.heldout_fraction = in_range(
            "heldout_fraction", heldout_fraction, 0.0, 0.9, open_low=True
        )
        self.target_pairs: Pattern | None = None
        self.target_labels: Tensor | None = None
        self.targets: Targets | None = None
        if model.is_closed_form:
            state = matrix_state(graph, "all" if candidates is None else candidates, seed)
        else:
            implicit = (
                model.takes_all_pairs and self.objective == "train" and not self.criterion.ranks
            )
            wanted = "sampled" if candidates is None else candidates
            state = pair_state(graph, wanted, seed, implicit)
        if isinstance(self.objective, Objective):
            self.targets = self.objective.targets(graph, generator(seed, DRAWS))
            if not model.is_closed_form:
                state = without(state, self.targets.hidden)
        elif self.objective == "heldout":
            parts = hold_out(state, self.heldout_fraction, seed)
            state, self.target_pairs, self.target_labels = parts
        elif self.objective == "self":
            self.target_pairs = unobserved(state, seed)
        self.state = state.with_backend(backend)
        self.surrogate.refuse(self.state, dtype)

    @property
    def is_closed_form(self) -> bool:
        return self.surrogate.is_closed_form

    def redrawn(self, number: int, stream: int = 0) -> Self:
        """Returns the task with other hidden interactions, the draw ``number`` of ``stream``.

        Raises:
            ValueError: the surrogate is trained in steps, on the graph of the first draw.
        """
        if not isinstance(self.objective, Objective) or not self.surrogate.is_closed_form:
            raise ValueError(
                f"{self.describe()} cannot hide other interactions; use a surrogate in closed form "
                "and an objective such as Degrade()."
            )
        task = copy.copy(self)
        task.objective = self.objective.turn(number)
        draw = generator(self.seed, DRAWS, number, stream)
        relevant = self.targets.relevant if self.targets and self.objective.clean_lists else None
        task.targets = self.objective.targets(self.graph, draw)
        if relevant is not None:
            task.targets = replace(task.targets, relevant=relevant)
        return task

    def with_seen(self, pairs: Tensor) -> Self:
        """Returns the task in which ``pairs`` [2, K] are not ranked either."""
        task = copy.copy(self)
        assert task.targets is not None
        task.targets = task.targets.also_seen(pairs)
        return task

    def with_objective(self, objective: Objective) -> Self:
        """Returns the task with another objective of rankings, for a surrogate in closed form."""
        task = copy.copy(self)
        task.surrogate = settled(self._given, objective)
        task.objective, task.targets = objective, None
        task.targets = task.redrawn(0).targets
        return task

    @property
    def clean_edges(self) -> Tensor:
        if self.targets is not None and not self.surrogate.is_closed_form:
            return torch.cat([super().clean_edges, self.targets.hidden], dim=1)
        if self.objective != "heldout":
            return super().clean_edges
        assert self.target_pairs is not None
        assert self.target_labels is not None
        held_out = self.target_pairs.index[:, self.target_labels > 0]
        return torch.cat([super().clean_edges, held_out], dim=1)

    def describe(self) -> str:
        return (
            f"Recommendation({self.surrogate!r}, objective={self.objective!r}, loss={self.loss!r})"
        )

    def settings(self) -> dict[str, Any]:
        names = ("objective", "loss", "seed", "dtype", "heldout_fraction")
        model = self.surrogate
        known = model.model if isinstance(model, ExtraUsers) else self._given
        return {"surrogate": known, **{name: getattr(self, name) for name in names}}

    def inputs_digested(self) -> tuple[Tensor, ...]:
        targets: tuple[Tensor, ...] = ()
        if self.target_pairs is not None:
            targets = (self.target_pairs.codes,)
        if self.targets is not None:
            targets = (self.targets.users, self.targets.hidden)
        return *targets, *self.criterion.drawn(self.state.pattern)

    def init(self, generator: torch.Generator) -> Params:
        device = self.state.weight.device
        params = self.surrogate.init(self.state.shape, generator, self.dtype)
        return tuple(param.to(device) for param in params)

    def prepare(self, state: PairState) -> PreparedPairs:
        weight = state.weight.detach().to(self.dtype, copy=True).requires_grad_()
        return self.surrogate.prepare(self.criterion, state, weight)

    def train_loss(self, params: Params, prepared: PreparedPairs) -> Tensor:
        return self.surrogate.train_loss(self.criterion, params, prepared)

    def training_field(
        self, prepared: PreparedPairs, params: Params, linear: bool
    ) -> TrainingField:
        return self.surrogate.training_field(self.criterion, prepared, params)

    def attack_loss(self, params: Params, prepared: PreparedPairs) -> Tensor:
        if self.targets is not None:
            return self._ranking(params, prepared, self.targets)
        if self.target_pairs is None:
            return self.surrogate.attack_loss(self.criterion, params, prepared)
        if self.target_labels is None:
            raise ValueError(
                "objective='self' needs pseudo-labels: call task.with_pseudo_labels(training, "
                "seed) (attacks do so themselves)."
            )
        labels = self.target_labels.to(self.dtype)
        return self.surrogate.log_loss(params, prepared, self.target_pairs, labels)

    def pair_gradient(
        self, prepared: PreparedPairs, cotangents: Params
    ) -> Tensor | FactoredGradient:
        return self.surrogate.pair_gradient(prepared, cotangents)

    def _ranking(self, params: Params, prepared: PreparedPairs, targets: Targets) -> Tensor:
        """The objective of the rankings, a scalar."""
        assert isinstance(self.objective, Objective)
        if self.needs_pseudo_labels and self.is_closed_form:
            labelled = self.with_pseudo_labels(Training(), self.seed)
            return labelled.attack_loss(params, prepared)
        if self.needs_pseudo_labels:
            raise ValueError(
                "an objective on the clean model's lists needs these lists: call "
                "task.with_pseudo_labels(training, seed) (attacks do so themselves)."
            )
        hidden = targets.hidden if self.surrogate.is_closed_form else targets.hidden[:, :0]
        scores = self.surrogate.user_scores(params, prepared, targets.users, hidden)
        return self.objective.value(scores, targets)

    @property
    def needs_pseudo_labels(self) -> bool:
        if isinstance(self.objective, Objective):
            assert self.targets is not None
            return self.objective.clean_lists and not self.targets.relevant.size(1)
        return self.objective == "self" and self.target_labels is None

    def _pseudo_labelled(self, params: Params, prepared: PreparedPairs) -> Self:
        task = copy.copy(self)
        with torch.no_grad():
            if isinstance(self.objective, Objective):
                assert self.targets is not None
                users, hidden = self.targets.users, self.targets.hidden
                scores = self.surrogate.user_scores(params, prepared, users, hidden)
                task.targets = self.targets.with_lists(scores, self.objective.k)
                return task
            assert self.target_pairs is not None
            scores = self.surrogate.pair_scores(params, prepared, self.target_pairs)
        task.target_labels = scores.sigmoid()
        return task
