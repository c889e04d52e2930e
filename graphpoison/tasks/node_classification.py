"""Node classification on an undirected graph, attacked through its structure and its features."""

import copy
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data

from .._checks import choice, in_range, pair_index
from ..graph import FactoredGradient, Features, PairState
from ..graph.adjacency import with_edge_index
from ..graph.binary import binary_entries
from ..graph.homogeneous import decode, encode, ordered, pair_weights, undirected_pairs
from ..graph.kernels import check_backend
from ..graph.labelled import labelled_nodes
from ..models import ModuleClassifier, NodeInputs, NodeSurrogate, Params, Prepared, node_surrogate
from ..models.training import Training
from .attack_losses import ATTACK_LOSSES
from .base import Task

OBJECTIVES = ("train", "self", "both")
LABELS = ("pseudo", "oracle")
MAX_LISTED_PAIRS = 5_000_000


class NodeClassification(Task):
    r"""Global poisoning of a node classifier (Metattack, Zügner and Günnemann 2019).

    The surrogate minimises the mean cross-entropy of the labelled nodes. The attacker maximises

    - ``"train"``: that same loss (Meta-Train);
    - ``"self"``: the mean cross-entropy of the unlabelled nodes, with the labels that a surrogate
      trained on the clean graph gives them (Meta-Self), or with their true ones (Meta with oracle);
    - ``"both"``: ``mix`` times the former plus ``1 - mix`` times the latter (Meta-Both).

    Args:
        data: undirected ``Data`` with ``x`` [N, F], ``y`` [N], ``edge_index`` [2, 2E] (or a
            sparse ``adj_t``) and ``train_mask`` [N], the labelled nodes. With ``edge_weight``
            [2E], all above 0, training is on the weighted graph: to remove an edge is to set its
            weight to 0, and an edge added has weight 1.
        surrogate: ``"linear-gcn"``, ``"relu-gcn"``, settings such as ``LinearGCN(hidden=32)``, or
            any module with ``forward(x, edge_index, edge_weight)``.
        objective: see above.
        candidates: ``"all"`` pairs of nodes, the pairs [2, K] that may be flipped, or None for an
            attack on the features alone.
        mix: the weight of the training loss in ``"both"``, the paper's lambda.
        backend: how sparse matrices are multiplied, see :mod:`graphpoison.graph.kernels`.
        labels: what the attacker takes the unlabelled nodes for: ``"pseudo"``, as a surrogate
            trained on the clean graph has it, or ``"oracle"``, the labels of ``data.y``, which
            training does not see.
        attack_loss: of the unlabelled nodes, instead of their cross-entropy:
            ``"masked-cross-entropy"``, ``"tanh-margin"`` or ``"probability"``, see
            :mod:`graphpoison.tasks.attack_losses`.
        feature_candidates: which entries of ``x`` may be flipped too: ``"all"``, a BoolTensor
            [N, F] of the admissible ones, or None. Features must be 0 and 1, and stay so.

    Raises:
        TypeError, ValueError: the data lack something, or the graph is directed, or ``"all"`` is
            asked for with a module on a graph of more than 5 million pairs; features are candidates
            and not all 0 or 1; nothing may be flipped.
    """

    edge_type = None

    def __init__(
        self,
        data: Data,
        surrogate: str | nn.Module | NodeSurrogate = "linear-gcn",
        objective: Literal["train", "self", "both"] = "self",
        candidates: Literal["all"] | Tensor | None = "all",
        mix: float = 0.5,
        backend: str = "auto",
        labels: Literal["pseudo", "oracle"] = "pseudo",
        attack_loss: str = "cross-entropy",
        feature_candidates: Literal["all"] | Tensor | None = None,
    ) -> None:
        model = node_surrogate(surrogate)
        check_backend(backend)
        data = with_edge_index(data) if isinstance(data, Data) else data
        edges = undirected_pairs(data)
        nodes = labelled_nodes(data)
        x, y, mask = nodes.x, nodes.y, nodes.train_mask
        inputs = NodeInputs(Features(x), mask.nonzero().squeeze(1), int(y.max()) + 1)
        weight = pair_weights(data)
        listed = isinstance(model, ModuleClassifier)
        if candidates is None and feature_candidates is None:
            raise ValueError("candidates and feature_candidates are both None: nothing to flip.")
        state = _pair_state(edges, weight, x.size(0), candidates, listed)
        if feature_candidates is not None:
            state = replace(state, features=binary_entries(x, feature_candidates))
        if isinstance(model, ModuleClassifier) and bool(state.candidate.any()):
            model.refuse_without_weights()
        self.state = state.with_backend(backend)
        self.inputs = inputs
        self.labels = y
        self.unlabelled = (~mask).nonzero().squeeze(1)
        self.surrogate = model
        self.objective = choice("objective", objective, OBJECTIVES)
        self.mix = in_range("mix", mix, 0.0, 1.0)
        self.oracle = choice("labels", labels, LABELS) == "oracle"
        self.pseudo_labels = y[self.unlabelled] if self.oracle else None
        _check_unlabelled(self.objective, y[self.unlabelled], self.oracle)
        self.loss_name = choice("attack_loss", attack_loss, ATTACK_LOSSES)
        if objective == "train" and attack_loss != "cross-entropy":
            raise ValueError(
                f"attack_loss={attack_loss!r} is of the unlabelled nodes, which objective='train' "
                "leaves out; use objective='self' or 'both'."
            )

    def describe(self) -> str:
        more = f", mix={self.mix}" if self.objective == "both" else ""
        more += ", labels='oracle'" if self.oracle and self.objective != "train" else ""
        more += f", attack_loss={self.loss_name!r}" if self.loss_name != "cross-entropy" else ""
        more += "" if self.state.features is None else ", with features"
        return f"NodeClassification({self.surrogate!r}, objective={self.objective!r}{more})"

    def settings(self) -> dict[str, Any]:
        features = self.state.features
        chosen = {"surrogate": self.surrogate, "objective": self.objective, "mix": self.mix}
        chosen |= {"labels": "oracle" if self.oracle else "pseudo", "attack_loss": self.loss_name}
        return {**chosen, "feature_candidates": "none" if features is None else "some"}

    def inputs_digested(self) -> tuple[Tensor, ...]:
        features = self.state.features
        within = () if features is None or features.within is None else (features.within,)
        return self.inputs.features.x, self.labels, self.inputs.labelled, *within

    def init(self, generator: torch.Generator) -> Params:
        return self.surrogate.init(self.inputs, generator)

    def prepare(self, state: PairState) -> Prepared:
        dtype = self.inputs.features.x.dtype
        weight = state.weight.detach().to(dtype, copy=True).requires_grad_()
        inputs = self.inputs
        if state.features is not None:
            inputs = replace(inputs, features=inputs.features.at(state.features))
        return replace(self.surrogate.prepare(inputs, state, weight), inputs=inputs)

    def train_loss(self, params: Params, prepared: Prepared) -> Tensor:
        logits = self.surrogate.train_logits(prepared.inputs, params, prepared)
        return cross_entropy(logits, self.labels[self.inputs.labelled])

    def training(self, prepared: Prepared, params: Params, linear: bool) -> Training:
        labels = self.labels[self.inputs.labelled]
        closed = self.surrogate.training(prepared.inputs, labels, prepared, params, linear)
        return closed or super().training(prepared, params, linear)

    def attack_loss(self, params: Params, prepared: Prepared) -> Tensor:
        if self.objective == "train":
            return self.train_loss(params, prepared)
        if self.pseudo_labels is None:
            raise ValueError(
                f"objective={self.objective!r} needs pseudo-labels: train a surrogate on the clean "
                "graph and call with_clean_model (hypergradients and attacks do so themselves)."
            )
        logits = self.surrogate.logits(prepared.inputs, params, prepared)[self.unlabelled]
        self_loss = ATTACK_LOSSES[self.loss_name](logits, self.pseudo_labels)
        if self.objective == "self":
            return self_loss
        return self.mix * self.train_loss(params, prepared) + (1.0 - self.mix) * self_loss

    def pull_back(self, prepared: Prepared, cotangents: Params) -> Tensor | FactoredGradient:
        model = self.surrogate
        found = model.pull_back(prepared.inputs, prepared, cotangents)
        if not isinstance(model, ModuleClassifier) or not isinstance(found, Tensor):
            return found
        if bool(self.state.candidate.any()) and not bool(found.any()):
            raise ValueError(
                f"the gradient of {model!r} is 0 for every pair: it does not use its "
                "edge_weight, as GAT and GraphSAGE do not, or nothing comes through."
            )
        return found

    def pull_back_features(self, prepared: Prepared, cotangents: Params) -> FactoredGradient | None:
        if prepared.inputs.features.tape is None:
            return None
        return self.surrogate.pull_back_features(prepared.inputs, prepared, cotangents)

    @property
    def needs_clean_model(self) -> bool:
        return self.objective != "train" and self.pseudo_labels is None

    def with_clean_model(self, params: Params, prepared: Prepared) -> "NodeClassification":
        task = copy.copy(self)
        with torch.no_grad():
            logits = self.surrogate.logits(prepared.inputs, params, prepared)
        task.pseudo_labels = logits[self.unlabelled].argmax(dim=1)
        return task


def _check_unlabelled(objective: str, labels: Tensor, oracle: bool) -> None:
    """Raise a ValueError if there are none, or the oracle does not know all of ``labels``."""
    if objective == "train":
        return
    if not labels.numel():
        raise ValueError(
            f"objective={objective!r} is about unlabelled nodes, and data.train_mask sets all; use "
            "objective='train', or label fewer."
        )
    if oracle and int(labels.min()) < 0:
        raise ValueError(
            f"labels='oracle' knows the labels of all nodes, but data.y has {int(labels.min())}; "
            "use labels='pseudo'."
        )


def _pair_state(
    edges: Tensor,
    weight: Tensor | None,
    num_nodes: int,
    candidates: str | Tensor | None,
    listed: bool,
) -> PairState:
    shape = (num_nodes, num_nodes)
    if candidates is None:
        candidates = edges.new_empty(2, 0)
    if isinstance(candidates, str):
        choice("candidates", candidates, ["all"])
        if not listed:
            none = edges.new_empty(2, 0)
            return PairState.build(
                edges, none, shape, bipartite=False, open=True, edge_weight=weight
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
        edges, absent, shape, bipartite=False, candidate_codes=codes, edge_weight=weight
    )
