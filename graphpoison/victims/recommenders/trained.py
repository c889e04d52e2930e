"""Recommenders of :mod:`graphpoison.models`, trained full-batch like surrogates."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..._checks import choice
from ..._random import generator
from ...graphs import Interactions
from ...models import Recommender, recommender
from ...models.extra_users import with_extra_users
from ...sparse import Pattern
from ...tasks import Recommendation
from ...training import INTERACTIONS, Params, PreparedPairs, Training
from ...training.criteria import CRITERIA, Loss
from ..base import VICTIM_STREAM, FittedRecommender, Victim

PAIRS_AT_ONCE = 2**18


@dataclass(frozen=True)
class RecommenderVictim(Victim):
    """A recommender trained full-batch on the training pairs.

    Use AUROC to judge a recommender with a ranking loss (``loss="bpr"`` or ``"softmax"``): its
    scores compare the items of a user, but are not log-odds.

    Args:
        model: a name such as ``"cf(dim=8)"``, settings such as ``CF(dim=8)``, or a module with
            the method ``scores(pairs, edge_index, edge_weight)``.
        name: name of the victim in tables.
        training: optimiser, learning rate and number of steps.
        start: None if each seed draws its own initial parameters (thesis, section 3.10); or the
            seed of an attack, to use the initial parameters of its surrogate (section 3.8).
        loss: the training loss, ``"log"``, ``"bpr"`` or ``"softmax"``, see
            :class:`Recommendation`.
        dtype: dtype of the parameters.
    """

    model: str | nn.Module | Recommender
    name: str
    training: Training = INTERACTIONS
    start: int | None = None
    loss: Loss = "log"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        choice("loss", self.loss, CRITERIA)
        object.__setattr__(self, "model", recommender(self.model, "model"))

    @property
    def deterministic(self) -> bool:  # type: ignore[override]
        return self.start is not None

    def fit(self, graph: Interactions, seed: int) -> "TrainedRecommender":
        model = recommender(self.model, "model")
        if graph.fake_users is not None:
            model = with_extra_users(model, graph.fake_users)
        task = Recommendation(graph, model, dtype=self.dtype, loss=self.loss)
        draw = generator(seed, VICTIM_STREAM) if self.start is None else generator(self.start)
        params = task.train(self.training, task.state, task.init(draw))
        prepared = task.prepare(task.state).detached(requires_grad=False)
        return TrainedRecommender(model, params, prepared, self.loss == "log")


@dataclass(frozen=True, eq=False)
class TrainedRecommender(FittedRecommender):
    """A recommender with its parameters and its prepared training graph."""

    model: Recommender
    params: Params
    prepared: PreparedPairs
    log_odds: bool = True

    def scores(self, users: Tensor) -> Tensor:
        items = self.prepared.pattern.shape[1]
        every = torch.arange(items, device=users.device)
        batches = users.split(max(1, PAIRS_AT_ONCE // max(1, items)))
        index = (torch.stack([b.repeat_interleave(items), every.repeat(len(b))]) for b in batches)
        return torch.cat([self.pairs(pairs).view(-1, items) for pairs in index])

    def pairs(self, index: Tensor) -> Tensor:
        """Logits [K] of the pairs ``index`` [2, K], in any order, possibly repeated."""
        pattern = self.prepared.pattern
        whole = Pattern.of(index, pattern.shape)
        codes, place = whole.codes.unique(return_inverse=True)
        rows = torch.div(codes, pattern.shape[1], rounding_mode="floor")
        distinct = replace(whole, row=rows, col=codes - rows * pattern.shape[1])
        with torch.no_grad():
            return self.model.pair_scores(self.params, self.prepared, distinct)[place]
