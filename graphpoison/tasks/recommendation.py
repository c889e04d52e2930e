"""Link-prediction recommenders on a bipartite graph, attacked through its interactions."""

import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch_geometric.data import HeteroData

from .._checks import choice, in_range
from .._random import derive_seed
from ..graph import FactoredGradient, PairState, Pattern
from ..graph.adjacency import with_edge_index
from ..graph.bipartite import EdgeType, read_interactions
from ..graph.kernels import check_backend
from ..models import PairwiseRecommender, Params, Prepared, Recommender, recommender
from ..models.all_pairs_loss import Tiles
from ..models.bpr import Triples
from ..models.dropout import DropoutTraining
from ..models.extra_users import ExtraUsers
from ..models.log_loss import Blocks
from ..models.pairwise_training import PairwiseTraining
from ..models.tower_loss import Towers
from ..models.training import AutogradTraining, Training
from .base import Task
from .training_pairs import CLEAN, TRIPLES, hold_out, pair_state, unobserved

OBJECTIVES = ("train", "self", "heldout")
LOSSES = ("log", "bpr")


class Recommendation(Task):
    r"""Global poisoning of a recommender that predicts whether user and item interact.

    The surrogate minimises the mean log loss of the training pairs, interactions and sampled
    non-interactions, with their weights as labels (thesis, equation 3.1):

    .. math::
        L = \frac{1}{M} \sum_{(u, i)} \log(1 + e^{s_{ui}}) - w_{ui} s_{ui}

    With ``loss="bpr"`` it learns to rank instead: the loss is the mean of

    .. math:: \log(1 + e^{s_{uj} - s_{ui}}) \text{ with weights } w_{ui} (1 - w_{uj})

    over couples of training pairs (u, i), (u, j), drawn once (:mod:`graphpoison.models.bpr`).

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
        candidates: ``"sampled"``: the training pairs, of which the negatives are those of ``data``
            or as many as there are interactions, drawn from ``seed``; ``"all"``: every pair that
            is no interaction is a training negative and a candidate (listed one by one, unless
            the surrogate is CF or GMF without layers, the objective ``"train"`` and the loss
            ``"log"``: these take memory for the interactions alone); or the pairs [2, K] that may
            be flipped, which then are training pairs too.
        heldout_fraction: the share of training pairs that ``"heldout"`` keeps out.
        seed: draws negatives, held-out pairs, unobserved pairs and the couples of ``"bpr"``.
        dtype: of the surrogate's parameters.
        backend: how sparse matrices are multiplied, see :mod:`graphpoison.graph.kernels`.
        loss: what training minimises, ``"log"`` or ``"bpr"``.

    Raises:
        TypeError, ValueError: not bipartite, no interactions, no negatives to be had; nothing to
            rank.
    """

    clean_stream = (CLEAN,)

    def __init__(
        self,
        data: HeteroData,
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
        self.surrogate = recommender(surrogate)
        self.objective = choice("objective", objective, OBJECTIVES)
        choice("loss", loss, LOSSES)
        self.loss = loss
        self.dtype = dtype
        check_backend(backend)
        data = with_edge_index(data) if isinstance(data, HeteroData) else data
        interactions = read_interactions(data, edge_type)
        self.edge_type = interactions.edge_type
        self.pairwise = self.surrogate if isinstance(self.surrogate, PairwiseRecommender) else None
        dot_product = self.pairwise is not None and self.pairwise.scoring.tower is None
        open_graph = dot_product and objective == "train" and loss == "log"
        state = pair_state(interactions, candidates, seed, open_graph)
        self.probe: Pattern | None = None
        self.probe_labels: Tensor | None = None
        if objective == "heldout":
            fraction = in_range("heldout_fraction", heldout_fraction, 0.0, 0.9, open_low=True)
            state, self.probe, self.probe_labels = hold_out(state, fraction, seed)
        elif objective == "self":
            self.probe = unobserved(state, seed)
        self.state = state.with_backend(backend)
        self.seed = seed
        self.heldout_fraction = heldout_fraction

    @property
    def clean_edges(self) -> Tensor:
        if self.objective != "heldout":
            return super().clean_edges
        assert self.probe is not None
        assert self.probe_labels is not None
        held_out = self.probe.index[:, self.probe_labels > 0]
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
        triples = self._triples(self.state.pattern)
        probe = () if self.probe is None else (self.probe.codes,)
        return probe if triples is None else (*probe, triples.second)

    def init(self, generator: torch.Generator) -> Params:
        device = self.state.weight.device
        params = self.surrogate.init(self.state.shape, generator, self.dtype)
        return tuple(param.to(device) for param in params)

    def prepare(self, state: PairState) -> Prepared:
        weight = state.weight.detach().to(self.dtype, copy=True).requires_grad_()
        labels = weight.clone()  # not a leaf: what training sees is computed from the weights
        tiles = Tiles(state.pattern, labels.detach()) if state.open else None
        triples = self._triples(state.pattern)
        pairs = _Pairs(state.pattern, tiles, triples)
        targets = labels if triples is None else triples.weights(labels)
        if self.pairwise is not None:
            return Prepared(weight, (targets,), pairs)
        return Prepared(weight, (targets, self.surrogate.entries(state.pattern, labels)), pairs)

    def train_loss(self, params: Params, prepared: Prepared) -> Tensor:
        pairs: _Pairs = prepared.structure
        if pairs.tiles is not None and self.pairwise is not None:
            return pairs.tiles.loss(*self.pairwise.sides(params))
        targets = prepared.tensors[0]
        if pairs.triples is not None:
            ranked = self.scores(self._without_offset(params), prepared, pairs.pattern)
            return pairs.triples.loss(ranked, targets)
        return log_losses(self.scores(params, prepared, pairs.pattern), targets).mean()

    def training(self, prepared: Prepared, params: Params, linear: bool) -> Training:
        training = self._training(prepared, params)
        model = self.surrogate
        if not model.dropout:
            return training
        return DropoutTraining(training, params, model.tables, model.dropout)

    def _training(self, prepared: Prepared, params: Params) -> Training:
        """Training without dropout, in closed form where there is one."""
        model, labels = self.pairwise, prepared.tensors[0]
        pairs: _Pairs = prepared.structure
        if model is None or pairs.triples is not None:
            return AutogradTraining(self.train_loss, prepared)
        space: Tiles | Blocks | Towers
        if pairs.tiles is not None:
            space = pairs.tiles
        elif model.scoring.tower is None:
            space = Blocks(pairs.pattern, labels.detach())
        else:
            space = Towers(pairs.pattern, labels.detach(), model.scoring)
        return PairwiseTraining(space, None if model.sides(params) is params else model.sides)

    def attack_loss(self, params: Params, prepared: Prepared) -> Tensor:
        pairs: _Pairs = prepared.structure
        if self.probe is None:
            if pairs.tiles is not None or pairs.triples is not None:
                return self.train_loss(params, prepared)
            return self._log_loss(params, prepared, pairs.pattern, prepared.tensors[0])
        if self.probe_labels is None:
            raise ValueError(
                "objective='self' needs pseudo-labels: train a surrogate on the clean graph and "
                "call with_clean_model (hypergradients and attacks do so themselves)."
            )
        return self._log_loss(params, prepared, self.probe, self.probe_labels.to(self.dtype))

    def pull_back(self, prepared: Prepared, cotangents: Params) -> Tensor | FactoredGradient:
        tiles: Tiles | None = prepared.structure.tiles
        return prepared.pull_back(cotangents) if tiles is None else tiles.gradient()

    @property
    def needs_clean_model(self) -> bool:
        return self.objective == "self" and self.probe_labels is None

    def with_clean_model(self, params: Params, prepared: Prepared) -> "Recommendation":
        assert self.probe is not None
        task = copy.copy(self)
        with torch.no_grad():
            task.probe_labels = self.scores(params, prepared, self.probe).sigmoid()
        return task

    def scores(self, params: Params, prepared: Prepared, pairs: Pattern) -> Tensor:
        """Logits [K] of ``pairs`` from a surrogate trained on ``prepared``."""
        pattern = prepared.structure.pattern
        return self.surrogate.scores(params, pattern, prepared.tensors[-1], pairs)

    def _without_offset(self, params: Params) -> Params:
        """The same with an output bias of 0: no ranking depends on it, and its gradient, else 0 but
        for rounding, which Adam makes steps of, is 0."""
        if self.pairwise is None or self.pairwise.scoring.tower is None:
            return params
        return (*params[:-1], 0.0 * params[-1])

    def _triples(self, pattern: Pattern) -> Triples | None:
        return Triples.of(pattern, derive_seed(self.seed, TRIPLES)) if self.loss == "bpr" else None

    def _log_loss(
        self, params: Params, prepared: Prepared, pairs: Pattern, labels: Tensor
    ) -> Tensor:
        """The mean log loss, differentiable once."""
        model = self.pairwise
        if model is not None and model.scoring.tower is not None:
            space = Towers(pairs, labels.detach(), model.scoring)
            return space.loss(labels, *model.sides(params))
        return log_losses(self.scores(params, prepared, pairs), labels).mean()


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The training pairs: those listed, or all of them, those not listed with label 0.

    Args:
        pattern: the listed pairs.
        tiles: all pairs, where all are training pairs.
        triples: what is ranked, where training ranks.
    """

    pattern: Pattern
    tiles: Tiles | None
    triples: Triples | None


def log_losses(scores: Tensor, labels: Tensor) -> Tensor:
    """``log(1 + e^s) - y s``, entry by entry: the log loss of soft labels ``y``."""
    return softplus(scores, threshold=40.0) - labels * scores
