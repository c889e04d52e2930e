"""Node classification on an undirected graph, attacked through its structure and its features."""

import copy
import logging
from dataclasses import replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from .._checks import choice, in_range, pair_index
from ..graphs import Features, NodeGraph, PairState, read_nodes
from ..graphs.binary_features import binary_entries
from ..graphs.codes import decode, encode, ordered
from ..metrics import majority_share
from ..models import NodeClassifier, node_classifier
from ..sparse import FactoredGradient
from ..sparse.kernels import check_backend
from ..training import NodeInputs, Params, PreparedNodes, TrainingField
from .attack_losses import AttackLoss, CrossEntropy, attack_loss_of, mean_attack_loss
from .base import Task

OBJECTIVES = ("train", "self", "both")
LABELS = ("pseudo", "oracle")
logger = logging.getLogger(__name__)
MAX_LISTED_PAIRS = 5_000_000


class NodeClassification(Task[PreparedNodes[Any]]):
    r"""Poisoning of a node classifier: the graph, the surrogate and the objective of an attack
    (Metattack, Zügner and Günnemann 2019).

    The labelled nodes are the nodes of ``data.train_mask``. The surrogate minimises their mean
    cross-entropy. The attacker maximises the ``objective``:

    - ``"train"``: the training loss (Meta-Train);
    - ``"self"``: the mean ``attack_loss`` of the unlabelled nodes (Meta-Self). Their labels are the
      predictions of a surrogate trained on the clean graph, or the true labels (``labels=``);
    - ``"both"``: ``mix`` times the loss of ``"train"`` plus ``1 - mix`` times the loss of
      ``"self"`` (Meta-Both).

    Args:
        data: undirected ``Data`` with ``x`` [N, F], ``y`` [N], ``edge_index`` [2, 2E] (or a
            sparse ``adj_t``) and ``train_mask`` [N], the labelled nodes. With ``edge_weight``
            [2E], all above 0, training is on the weighted graph: the removal of an edge sets its
            weight to 0, and an added edge has weight 1.
        surrogate: ``"linear-gcn"``, ``"sgc"``, ``"relu-gcn"``, settings such as
            ``LinearGCN(hidden=32)``, or any module with ``forward(x, edge_index, edge_weight)``.
        objective: see above.
        candidates: the pairs that may be flipped: ``"all"``, a LongTensor [2, K] of pairs, or None
            for an attack on features only.
        mix: the weight of the training loss in ``"both"``, in [0, 1]; lambda in the paper.
        backend: how sparse matrices are multiplied, see :mod:`graphpoison.sparse.kernels`.
        labels: the labels that the attacker assigns to the unlabelled nodes: ``"pseudo"``, the
            predictions of a surrogate trained on the clean graph, or ``"oracle"``, the labels of
            ``data.y``, which training does not see.
        attack_loss: the loss of each unlabelled node: a loss such as ``TanhMargin(scale=0.5)``, its
            name such as ``"tanh-margin"``, or any function ``f(logits [n, C], labels [n])`` -> [n],
            with C the number of classes; see :mod:`graphpoison.tasks.attack_losses`.
        feature_candidates: the entries of ``x`` that may be flipped too: ``"all"``, a BoolTensor
            [N, F], or None. Features must be 0 or 1, and remain 0 or 1.

    Raises:
        TypeError, ValueError: ``data`` lacks an attribute, or is directed; ``"all"`` with a module
            on a graph of more than 5 million pairs; features are candidates but not all 0 or 1;
            there is no candidate.
    """

    edge_type = None

    def __init__(
        self,
        data: Data | NodeGraph,
        surrogate: str | nn.Module | NodeClassifier[Any] = "linear-gcn",
        objective: Literal["train", "self", "both"] = "self",
        candidates: Literal["all"] | Tensor | None = "all",
        mix: float = 0.5,
        backend: str = "auto",
        labels: Literal["pseudo", "oracle"] = "pseudo",
        attack_loss: str | AttackLoss = "cross-entropy",
        feature_candidates: Literal["all"] | Tensor | None = None,
    ) -> None:
        model = node_classifier(surrogate)
        check_backend(backend)
        self.graph = graph = read_nodes(data)
        mask = graph.mask("train_mask")
        if candidates is None and feature_candidates is None:
            raise ValueError("candidates and feature_candidates are both None: nothing to flip.")
        state = _pair_state(graph, candidates, model.takes_all_pairs)
        if feature_candidates is not None:
            state = replace(state, features=binary_entries(graph.x, feature_candidates))
        labelled = mask.nonzero().squeeze(1)
        self.state = state.with_backend(backend)
        self.inputs = NodeInputs(Features(graph.x), labelled, graph.num_classes)
        model.refuse(self.inputs, state)
        self.labels = y = graph.y
        self.unlabelled = (~mask).nonzero().squeeze(1)
        self.surrogate = model
        self.objective = choice("objective", objective, OBJECTIVES)
        self.mix = in_range("mix", mix, 0.0, 1.0)
        self.oracle = choice("labels", labels, LABELS) == "oracle"
        self.pseudo_labels = y[self.unlabelled] if self.oracle else None
        _check_unlabelled(self.objective, y[self.unlabelled], self.oracle)
        self.node_loss = attack_loss_of(attack_loss)
        if objective == "train" and self.node_loss != CrossEntropy():
            raise ValueError(
                f"attack_loss={attack_loss!r} applies to unlabelled nodes, which objective='train' "
                "ignores; use objective='self' or 'both'."
            )

    def describe(self) -> str:
        more = f", mix={self.mix}" if self.objective == "both" else ""
        more += ", labels='oracle'" if self.oracle and self.objective != "train" else ""
        loss = getattr(self.node_loss, "__qualname__", None) or repr(self.node_loss)
        more += "" if self.node_loss == CrossEntropy() else f", attack_loss={loss}"
        more += "" if self.state.features is None else ", with features"
        return f"NodeClassification({self.surrogate!r}, objective={self.objective!r}{more})"

    def settings(self) -> dict[str, Any]:
        features = self.state.features
        chosen = {"surrogate": self.surrogate, "objective": self.objective, "mix": self.mix}
        chosen |= {"labels": "oracle" if self.oracle else "pseudo", "attack_loss": self.node_loss}
        return {**chosen, "feature_candidates": "none" if features is None else "some"}

    def inputs_digested(self) -> tuple[Tensor, ...]:
        features = self.state.features
        mask = None if features is None else features.candidate_mask
        known = self.inputs.features.x, self.labels, self.inputs.labelled
        return known if mask is None else (*known, mask)

    def init(self, generator: torch.Generator) -> Params:
        return self.surrogate.init(self.inputs, generator)

    def prepare(self, state: PairState) -> PreparedNodes[Any]:
        dtype = self.inputs.features.x.dtype
        weight = state.weight.detach().to(dtype, copy=True).requires_grad_()
        inputs = self.inputs
        if state.features is not None:
            inputs = replace(inputs, features=inputs.features.at(state.features))
        return self.surrogate.prepare(inputs, state, weight)

    def train_loss(self, params: Params, prepared: PreparedNodes[Any]) -> Tensor:
        return self.surrogate.train_loss(self._train_labels, params, prepared)

    def training_field(
        self, prepared: PreparedNodes[Any], params: Params, linear: bool
    ) -> TrainingField:
        return self.surrogate.training_field(self._train_labels, prepared, params, linear)

    @property
    def _train_labels(self) -> Tensor:
        return self.labels[self.inputs.labelled]

    def attack_loss(self, params: Params, prepared: PreparedNodes[Any]) -> Tensor:
        if self.objective == "train":
            return self.train_loss(params, prepared)
        if self.pseudo_labels is None:
            raise ValueError(
                f"objective={self.objective!r} needs pseudo-labels: call "
                "task.with_pseudo_labels(training, seed) (attacks do so themselves)."
            )
        logits = self.surrogate.logits(params, prepared)[self.unlabelled]
        self_loss = mean_attack_loss(self.node_loss, logits, self.pseudo_labels)
        if self.objective == "self":
            return self_loss
        return self.mix * self.train_loss(params, prepared) + (1.0 - self.mix) * self_loss

    def pair_gradient(
        self, prepared: PreparedNodes[Any], cotangents: Params
    ) -> Tensor | FactoredGradient:
        return self.surrogate.pair_gradient(prepared, cotangents)

    def feature_gradient(
        self, prepared: PreparedNodes[Any], cotangents: Params
    ) -> FactoredGradient | None:
        if prepared.inputs.features.tape is None:
            return None
        return self.surrogate.feature_gradient(prepared, cotangents)

    @property
    def needs_pseudo_labels(self) -> bool:
        return self.objective != "train" and self.pseudo_labels is None

    def _pseudo_labelled(self, params: Params, prepared: PreparedNodes[Any]) -> Self:
        task = copy.copy(self)
        with torch.no_grad():
            guessed = self.surrogate.logits(params, prepared).argmax(dim=1)
        _warn_of_chance(guessed[self.inputs.labelled], self.labels[self.inputs.labelled])
        task.pseudo_labels = guessed[self.unlabelled]
        return task


def _warn_of_chance(guessed: Tensor, labels: Tensor) -> None:
    """Log a warning if the surrogate has not learnt even its training nodes."""
    right = float((guessed == labels).double().mean())
    share = majority_share(labels)
    if right <= share < 1.0:
        logger.warning(
            "on the clean graph the surrogate classifies %.0f%% of its training nodes correctly, "
            "and %.0f%% of these nodes have one class: its gradient says little about other "
            "models; train it longer, or with another learning rate",
            100 * right,
            100 * share,
        )


def _check_unlabelled(objective: str, labels: Tensor, oracle: bool) -> None:
    """Raise a ValueError if no node is unlabelled, or the oracle lacks one of ``labels``."""
    if objective == "train":
        return
    if not labels.numel():
        raise ValueError(
            f"objective={objective!r} needs unlabelled nodes, but data.train_mask has all nodes; "
            "use objective='train', or a mask of fewer nodes."
        )
    if oracle and int(labels.min()) < 0:
        raise ValueError(
            f"labels='oracle' needs the labels of all nodes, but data.y has {int(labels.min())}; "
            "use labels='pseudo'."
        )


def _pair_state(
    graph: NodeGraph, candidates: str | Tensor | None, takes_all_pairs: bool
) -> PairState:
    edges, shape, num_nodes = graph.pairs, graph.shape, graph.num_nodes
    if candidates is None:
        candidates = edges.new_empty(2, 0)
    if isinstance(candidates, str):
        choice("candidates", candidates, ["all"])
        if takes_all_pairs:
            none = edges.new_empty(2, 0)
            return PairState.build(
                edges,
                none,
                shape,
                bipartite=False,
                implicit_candidates=True,
                edge_weight=graph.pair_weight,
            )
        if num_nodes * (num_nodes - 1) // 2 > MAX_LISTED_PAIRS:
            raise ValueError(
                f"candidates='all' would pass {num_nodes * (num_nodes - 1) // 2:,} pairs through "
                "the module as edges; pass a block of pairs, candidates=edge_index, or use a "
                "built-in surrogate, for which all pairs cost no memory."
            )
        candidates = torch.triu_indices(num_nodes, num_nodes, offset=1, device=edges.device)
    pairs = ordered(pair_index("candidates", candidates, shape).to(edges.device))
    if bool((pairs[0] == pairs[1]).any()):
        raise ValueError("candidates holds pairs of a node with itself; leave them out.")
    codes = torch.unique(encode(pairs, num_nodes))
    absent = decode(codes[~torch.isin(codes, encode(edges, num_nodes))], num_nodes)
    return PairState.build(
        edges,
        absent,
        shape,
        bipartite=False,
        candidate_codes=codes,
        edge_weight=graph.pair_weight,
    )
