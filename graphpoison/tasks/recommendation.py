"""Link-prediction recommenders on a bipartite graph, attacked through its interactions."""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch_geometric.data import HeteroData

from .._checks import choice, in_range, pair_index
from .._random import generator, numpy_generator
from ..graph import FactoredGradient, PairState, Pattern
from ..graph.adjacency import with_edge_index
from ..graph.bipartite import EdgeType, Interactions, read_interactions
from ..graph.homogeneous import decode
from ..graph.kernels import check_backend
from ..graph.sampling import sample_pairs
from ..models import PairwiseRecommender, Params, Prepared, Recommender, recommender
from ..models.all_pairs_loss import Tiles
from ..models.dropout import DropoutTraining
from ..models.log_loss import Blocks
from ..models.pairwise_training import PairwiseTraining
from ..models.tower_loss import Towers
from ..models.training import AutogradTraining, Training
from .base import Task

OBJECTIVES = ("train", "self", "heldout")
_NEGATIVES, _HELDOUT, _PROBE = range(3)  # streams of the seed


class Recommendation(Task):
    r"""Global poisoning of a recommender that predicts whether user and item interact.

    The surrogate minimises the mean log loss of the training pairs, interactions and sampled
    non-interactions, with their weights as labels (thesis, equation 3.1):

    .. math::
        L = \frac{1}{M} \sum_{(u, i)} \log(1 + e^{s_{ui}}) - w_{ui} s_{ui}

    The attacker maximises

    - ``"train"``: that same loss, labels and all (thesis, Algorithm 1);
    - ``"self"``: the log loss of as many pairs that nobody observed, with the probabilities that a
      surrogate trained on the clean graph gives them as labels;
    - ``"heldout"``: the log loss of a share of the training pairs, which the surrogate does not
      see and the attacker does not flip.

    Args:
        data: bipartite ``HeteroData``; ``edge_index`` of ``edge_type`` holds the interactions and
            ``neg_edge_index``, if present, the sampled non-interactions. Edge attributes such as
            ratings are not looked at: an interaction is an interaction.
        surrogate: ``"cf"``, ``"gmf"``, ``"mlp"``, ``"neumf"``, settings such as ``CF(dim=8)``, or
            any module with ``scores(pairs, edge_index, edge_weight)``.
        objective: see above.
        edge_type: which edges; may be left out where there is but one type.
        candidates: ``"sampled"``: the training pairs, of which the negatives are those of ``data``
            or as many as there are interactions, drawn from ``seed``; ``"all"``: every pair that
            is no interaction is a training negative and a candidate (listed one by one, unless
            the surrogate's scores are dot products and the objective is ``"train"``: these take
            memory for the interactions alone); or the pairs [2, K] that may be flipped, which
            then are training pairs too.
        heldout_fraction: the share of training pairs that ``"heldout"`` keeps out.
        seed: draws negatives, held-out pairs and unobserved pairs.
        dtype: of the surrogate's parameters.
        backend: how sparse matrices are multiplied, see :mod:`graphpoison.graph.kernels`.

    Raises:
        TypeError, ValueError: not bipartite, no interactions, no negatives to be had.
    """

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
    ) -> None:
        self.surrogate = recommender(surrogate)
        self.objective = choice("objective", objective, OBJECTIVES)
        self.dtype = dtype
        check_backend(backend)
        data = with_edge_index(data) if isinstance(data, HeteroData) else data
        interactions = read_interactions(data, edge_type)
        self.edge_type = interactions.edge_type
        self.pairwise = self.surrogate if isinstance(self.surrogate, PairwiseRecommender) else None
        dot_product = self.pairwise is not None and self.pairwise.scoring.tower is None
        open_graph = dot_product and objective == "train"
        state = _pair_state(interactions, candidates, seed, open_graph)
        self.probe: Pattern | None = None
        self.probe_labels: Tensor | None = None
        if objective == "heldout":
            fraction = in_range("heldout_fraction", heldout_fraction, 0.0, 0.9, open_low=True)
            state, self.probe, self.probe_labels = _hold_out(state, fraction, seed)
        elif objective == "self":
            self.probe = _unobserved(state, seed)
        self.state = state.with_backend(backend)

    def describe(self) -> str:
        return f"Recommendation({self.surrogate!r}, objective={self.objective!r})"

    def inputs_digested(self) -> tuple[Tensor, ...]:
        return () if self.probe is None else (self.probe.codes,)

    def init(self, generator: torch.Generator) -> Params:
        device = self.state.weight.device
        params = self.surrogate.init(self.state.shape, generator, self.dtype)
        return tuple(param.to(device) for param in params)

    def prepare(self, state: PairState) -> Prepared:
        weight = state.weight.detach().to(self.dtype, copy=True).requires_grad_()
        labels = weight.clone()  # not a leaf: what training sees is computed from the weights
        tiles = Tiles(state.pattern, labels.detach()) if state.open else None
        if self.pairwise is not None:
            return Prepared(weight, (labels,), _Pairs(state.pattern, tiles))
        entries = self.surrogate.entries(state.pattern, labels)
        return Prepared(weight, (labels, entries), _Pairs(state.pattern, tiles))

    def train_loss(self, params: Params, prepared: Prepared) -> Tensor:
        pairs: _Pairs = prepared.structure
        if pairs.tiles is not None and self.pairwise is not None:
            return pairs.tiles.loss(*self.pairwise.sides(params))
        return log_losses(self.scores(params, prepared, pairs.pattern), prepared.tensors[0]).mean()

    def training(self, prepared: Prepared, params: Params, linear: bool) -> Training:
        training = self._training(prepared, params)
        model = self.surrogate
        if not model.dropout:
            return training
        return DropoutTraining(training, params, model.tables, model.dropout)

    def _training(self, prepared: Prepared, params: Params) -> Training:
        """Training without dropout, in closed form where there is one."""
        model, labels = self.pairwise, prepared.tensors[0]
        if model is None:
            return AutogradTraining(self.train_loss, prepared)
        pairs: _Pairs = prepared.structure
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
        if pairs.tiles is not None:
            return self.train_loss(params, prepared)
        if self.probe is None:
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
    """The training pairs: those listed, or all of them, those not listed with label 0."""

    pattern: Pattern
    tiles: Tiles | None


def log_losses(scores: Tensor, labels: Tensor) -> Tensor:
    """``log(1 + e^s) - y s``, entry by entry: the log loss of soft labels ``y``."""
    return softplus(scores, threshold=40.0) - labels * scores


def _pair_state(
    interactions: Interactions, candidates: str | Tensor, seed: int, open_graph: bool
) -> PairState:
    positive, shape = interactions.positive, interactions.shape
    if not positive.size(1):
        raise ValueError(f"data[{interactions.edge_type}] has no interactions to train on.")
    occupied = [positive]
    for unseen in (interactions.unseen, interactions.unseen_negative):
        occupied += [unseen] if unseen is not None else []
    if (
        isinstance(candidates, str)
        and choice("candidates", candidates, ["sampled", "all"]) == "all"
    ):
        if open_graph:
            none = positive[:, :0]
            return PairState.build(positive, none, shape, bipartite=True, open=True)
        codes = torch.arange(shape[0] * shape[1], device=positive.device)
        absent = codes[~torch.isin(codes, _codes(positive, shape))]
        return PairState.build(positive, decode(absent, shape[1]), shape, bipartite=True)
    negative = interactions.negative
    if negative is None:
        negative = sample_pairs(
            shape, positive.size(1), torch.cat(occupied, dim=1), numpy_generator(seed, _NEGATIVES)
        )
    if isinstance(candidates, str):
        return PairState.build(positive, negative, shape, bipartite=True)
    chosen = _codes(pair_index("candidates", candidates, shape).to(positive.device), shape)
    trained = torch.cat([chosen, _codes(negative, shape)]).unique()
    absent = trained[~torch.isin(trained, _codes(positive, shape))]
    return PairState.build(
        positive, decode(absent, shape[1]), shape, bipartite=True, candidate_codes=chosen
    )


def _hold_out(state: PairState, fraction: float, seed: int) -> tuple[PairState, Pattern, Tensor]:
    """The state without a share of its pairs, and those pairs with their labels."""
    order = torch.randperm(state.num_listed, generator=generator(seed, _HELDOUT))
    held = torch.zeros(state.num_listed, dtype=torch.bool)
    held[order[: max(1, round(fraction * state.num_listed))]] = True
    held = held.to(state.weight.device)
    edge, kept = state.weight > 0, ~held
    remaining = PairState.build(
        state.index[:, edge & kept],
        state.index[:, ~edge & kept],
        state.shape,
        bipartite=True,
        candidate_codes=state.pattern.codes[state.candidate & kept],
    )
    return remaining, Pattern.of(state.index[:, held], state.shape), state.weight[held]


def _unobserved(state: PairState, seed: int) -> Pattern:
    """As many pairs outside the training pairs as there are training pairs, or all there are."""
    free = state.shape[0] * state.shape[1] - state.num_listed
    if not free:
        raise ValueError("objective='self' needs unobserved pairs, but candidates='all' lists all.")
    count = min(state.num_listed, free)
    pairs = sample_pairs(state.shape, count, state.index, numpy_generator(seed, _PROBE))
    return Pattern.of(pairs, state.shape)


def _codes(pairs: Tensor, shape: tuple[int, int]) -> Tensor:
    return pairs[0] * shape[1] + pairs[1]
