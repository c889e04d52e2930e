"""Link-prediction recommenders on a bipartite graph, attacked through its interactions."""

import copy
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from .._checks import choice, in_range
from .._random import derive_seed
from ..graphs import EdgeType, Interactions, PairState, read_interactions
from ..models import Recommender, recommender
from ..models.extra_users import ExtraUsers
from ..sparse import FactoredGradient, Pattern
from ..sparse.kernels import check_backend
from ..training import Params, PreparedPairs, TrainingField
from ..training.criteria import CRITERIA, criterion
from .base import Task
from .training_pairs import CLEAN, TRIPLES, hold_out, pair_state, unobserved

OBJECTIVES = ("train", "self", "heldout")


class Recommendation(Task[PreparedPairs]):
    r"""Global poisoning of a recommender that predicts whether user and item interact.

    The surrogate minimises the mean log loss of the training pairs, interactions and sampled
    non-interactions, with their weights as labels (thesis, equation 3.1):

    .. math::
        L = \frac{1}{M} \sum_{(u, i)} \log(1 + e^{s_{ui}}) - w_{ui} s_{ui}

    With ``loss="bpr"`` it learns to rank instead: the loss is the mean of

    .. math:: \log(1 + e^{s_{uj} - s_{ui}}) \text{ with weights } w_{ui} (1 - w_{uj})

    over couples of training pairs (u, i), (u, j), drawn once (:mod:`graphpoison.training.bpr`).

    The attacker maximises

    - ``"train"``: the loss of training, labels and all (thesis, Algorithm 1);
    - ``"self"``: the log loss of as many pairs that nobody observed, with the probabilities that a
      surrogate trained on the clean graph gives them as labels. It starts from other parameters
      than the one attacked: that one's own probabilities would have no gradient;
    - ``"heldout"``: the log loss of a share of the training pairs, which the surrogate does not
      see and the attacker does not flip.

    Args:
        data: bipartite ``HeteroData``; ``edge_index`` of ``edge_type`` holds the interactions and
            ``neg_edge_index``, if present, the sampled non-interactions; in their place
            ``edge_label_index`` and ``edge_label``, as ``RandomLinkSplit`` leaves them, will do.
            Edge attributes such as ratings are not looked at: an interaction is an interaction.
        surrogate: ``"cf"``, ``"gmf"``, ``"mlp"`` (CF with a feed-forward head), ``"neumf"``,
            ``"lightgcn"``, settings such as ``CF(dim=8)``, or any module with
            ``scores(pairs, edge_index, edge_weight)``.
        objective: see above.
        edge_type: which edges; may be left out where there is but one type.
        candidates: ``"sampled"``: the training pairs; negatives are taken from ``data``, or as
            many as there are interactions are drawn from ``seed``; ``"all"``: every pair that
            is no interaction is a training negative and a candidate (listed one by one, unless
            the surrogate is CF or GMF without layers, the objective ``"train"`` and the loss
            ``"log"``: these take memory for the interactions alone); or the pairs [2, K] that may
            be flipped, which then are training pairs too.
        heldout_fraction: the share of training pairs that ``"heldout"`` keeps out.
        seed: draws negatives, held-out pairs, unobserved pairs and the couples of ``"bpr"``.
        dtype: of the surrogate's parameters.
        backend: how sparse matrices are multiplied, see :mod:`graphpoison.sparse.kernels`.
        loss: what training minimises, ``"log"`` or ``"bpr"``.

    Raises:
        TypeError, ValueError: not bipartite, no interactions, no negatives to be had; nothing to
            rank.
    """

    clean_stream = (CLEAN,)

    def __init__(
        self,
        data: HeteroData | Interactions,
        surrogate: str | nn.Module | Recommender = "cf",
        objective: Literal["train", "self", "heldout"] = "train",
        edge_type: EdgeType | None = None,
        candidates: Literal["sampled", "all"] | Tensor = "sampled",
        heldout_fraction: float = 0.2,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        backend: str = "auto",
        loss: Literal["log", "bpr"] = "log",
    ) -> None:
        self.surrogate = model = recommender(surrogate)
        self.objective = choice("objective", objective, OBJECTIVES)
        choice("loss", loss, CRITERIA)
        self.loss = loss
        self.criterion = criterion(loss, derive_seed(seed, TRIPLES))
        self.dtype = dtype
        check_backend(backend)
        graph = read_interactions(data, edge_type)
        self.edge_type = graph.edge_type
        implicit = model.takes_all_pairs and objective == "train" and not self.criterion.ranks
        state = pair_state(graph, candidates, seed, implicit)
        self.target_pairs: Pattern | None = None
        self.target_labels: Tensor | None = None
        if objective == "heldout":
            fraction = in_range("heldout_fraction", heldout_fraction, 0.0, 0.9, open_low=True)
            state, self.target_pairs, self.target_labels = hold_out(state, fraction, seed)
        elif objective == "self":
            self.target_pairs = unobserved(state, seed)
        self.state = state.with_backend(backend)
        self.seed = seed
        self.heldout_fraction = heldout_fraction

    @property
    def clean_edges(self) -> Tensor:
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
        known = model.model if isinstance(model, ExtraUsers) else model
        return {"surrogate": known, **{name: getattr(self, name) for name in names}}

    def inputs_digested(self) -> tuple[Tensor, ...]:
        targets = () if self.target_pairs is None else (self.target_pairs.codes,)
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

    @property
    def needs_pseudo_labels(self) -> bool:
        return self.objective == "self" and self.target_labels is None

    def _pseudo_labelled(self, params: Params, prepared: PreparedPairs) -> Self:
        assert self.target_pairs is not None
        task = copy.copy(self)
        with torch.no_grad():
            scores = self.surrogate.pair_scores(params, prepared, self.target_pairs)
        task.target_labels = scores.sigmoid()
        return task
