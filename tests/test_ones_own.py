"""Victims, attacks and models of the user's own: mistakes are refused by name, none is measured."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import citation_graph, interaction_graph
from torch import Tensor, nn
from torch_geometric.nn import GCN, LabelPropagation

import graphpoison as gp
from graphpoison.attacks.base import Proposal
from graphpoison.constraints import admissible
from graphpoison.models import PairwiseRecommender
from graphpoison.training import Params
from graphpoison.training.pair_scores import PairScores
from graphpoison.victims import NODE_VICTIMS

NODES = gp.read_graph(citation_graph())
RATINGS = gp.read_graph(interaction_graph()).with_negatives()


@dataclass(frozen=True)
class Answers:
    """A victim that derives from nothing; its model has each method of ``methods``."""

    methods: dict[str, Any]
    name: str = "mine"

    def fit(self, graph: Any, seed: int) -> Any:
        methods = {key: staticmethod(value) for key, value in self.methods.items()}
        return type("Model", (), methods)()


def by_popularity(users: Tensor) -> Tensor:
    popular = torch.bincount(RATINGS.edge_index[1], minlength=RATINGS.num_items)
    return popular.float().expand(users.numel(), -1)


def measured(graph: Any, victim: Any) -> dict[str, float]:
    task = gp.NodeClassification(graph) if graph is NODES else gp.Recommendation(graph)
    found = gp.evaluate(graph, gp.RandomAttack()(task, 3), [victim], seeds=[0]).runs
    return dict(zip(found["split"] + " " + found["metric"], found["clean"], strict=True))


# --- Victims --------------------------------------------------------------------------------------


def test_a_victim_need_not_derive_from_anything() -> None:
    true = torch.nn.functional.one_hot(NODES.y.clamp(min=0), NODES.num_classes).float()
    assert measured(NODES, Answers({"logits": lambda: true})) == {"test accuracy": 1.0}


def test_pairs_of_ones_own_agree_with_scores() -> None:
    def pairs(index: Tensor) -> Tensor:
        return by_popularity(index[0]).gather(1, index[1:].T).squeeze(1)

    class Instance(Answers):
        def fit(self, graph: Any, seed: int) -> Any:
            return SimpleNamespace(**self.methods)

    of_pairs = measured(RATINGS, Answers({"pairs": pairs}))
    assert of_pairs == measured(RATINGS, Instance({"pairs": pairs}))
    assert of_pairs == measured(RATINGS, Answers({"scores": by_popularity}))
    assert of_pairs["train auroc"] > 0.5


@pytest.mark.parametrize(
    ("graph", "methods", "error", "message"),
    [
        (NODES, {}, TypeError, r"'mine' must return an object with logits\(\)"),
        (RATINGS, {"logits": None}, TypeError, r"object with scores\(users\)"),
        (NODES, {"logits": lambda: np.zeros((3, 2))}, TypeError, "must return a Tensor"),
        (NODES, {"logits": lambda: NODES.y}, ValueError, "row for each of"),
        (NODES, {"logits": lambda: torch.zeros(2, 3)}, ValueError, r"shape \(2, 3\)"),
        (
            NODES,
            {"logits": lambda: torch.full((NODES.num_nodes, 2), torch.nan)},
            ValueError,
            f"NaN for {NODES.num_nodes} nodes",
        ),
        (RATINGS, {"scores": lambda users: by_popularity(users).T}, ValueError, "for each item"),
        (RATINGS, {"scores": lambda users: np.zeros(3)}, TypeError, "found ndarray"),
        (
            RATINGS,
            {"scores": lambda users: by_popularity(users) - torch.inf},
            ValueError,
            "scores that are not finite",
        ),
        (RATINGS, {"pairs": lambda index: index.float()}, ValueError, "a score for each pair"),
    ],
)
def test_predictions_that_are_none_are_refused(
    graph: Any, methods: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        measured(graph, Answers(methods))


class Silent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("graph", "victim", "error", "message"),
    [
        (NODES, Answers, TypeError, r"make one: Answers\(\)"),
        (RATINGS, Answers, TypeError, r"make one: Answers\(\)"),
        (RATINGS, gp.CF, TypeError, r"victim is the class CF; make one: CF\(\)"),
        (NODES, GCN(3, 4, 2), TypeError, "give a factory"),
        (RATINGS, Silent(), TypeError, "victim Silent has no method"),
        (NODES, lambda features, classes: LabelPropagation(2, 0.5), ValueError, "no parameters"),
        (
            NODES,
            gp.RecommenderVictim(gp.CF(), "cf"),
            TypeError,
            "'cf' cannot be trained on a graph",
        ),
        (RATINGS, NODE_VICTIMS["gcn"], TypeError, "'gcn' cannot be trained on interactions"),
        (NODES, 7, TypeError, "must be names, victims or module factories"),
    ],
)
def test_victims_that_are_none_are_refused(
    graph: Any, victim: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        measured(graph, victim)


def test_errors_of_a_victim_say_which_graph_it_was_given() -> None:
    class OfNodes(Answers):
        def fit(self, graph: Any, seed: int) -> Any:
            return graph.y

    with pytest.raises(AttributeError) as caught:
        measured(RATINGS, OfNodes({}))
    assert caught.value.__notes__ == ["Victim 'mine' was trained on Interactions, seed 0."]


def test_one_victim_needs_no_list() -> None:
    flips = gp.RandomAttack()(gp.Recommendation(RATINGS), 3)
    victim = Answers({"scores": by_popularity})
    alone = gp.evaluate(RATINGS, flips, victim, seeds=[0]).runs
    assert alone.equals(gp.evaluate(RATINGS, flips, [victim], seeds=[0]).runs)


# --- Attacks --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Misspoken(gp.Attack):
    """Removes the first edges; ``says`` turns its flips into what it returns."""

    says: Any
    constraints: Any = ()

    def propose(self, task: Any, state: Any, limit: int, seed: int, step: int) -> Any:
        allowed = admissible(state, (), allow_additions=False).nonzero().squeeze(1)[:limit]
        pairs = state.index[:, allowed]
        zeros = torch.zeros(allowed.numel())
        return self.says(gp.Flips(pairs, zeros > 0, zeros))


def test_an_attack_without_constraints_of_its_own_has_none() -> None:
    class Plain(gp.Attack):
        propose = Misspoken(Proposal).propose  # bound: the proposal is the same

    assert not Plain()(gp.Recommendation(RATINGS), 3).flips["added"].any()


@pytest.mark.parametrize(
    ("says", "error", "message"),
    [
        (lambda flips: flips, TypeError, "must return a Proposal of Flips"),
        (lambda flips: Proposal(flips.pairs), TypeError, "must return a Proposal of Flips"),
        (
            lambda flips: Proposal(gp.Flips(flips.pairs, ~flips.added, flips.score)),
            ValueError,
            r"Misspoken proposes to add \(\d+, \d+\), contrary to the graph",
        ),
        (
            lambda flips: Proposal(gp.Flips(flips.pairs.T, flips.added, flips.score)),
            ValueError,
            r"pairs must be \[2, K\]",
        ),
    ],
)
def test_proposals_that_are_none_are_refused(
    says: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Misspoken(says)(gp.Recommendation(RATINGS), 3)


def test_additions_recorded_as_removals_are_refused_for_features_too() -> None:
    class Upside(gp.MetaAttack):
        def propose(self, *args: Any) -> Proposal:
            found = super().propose(*args).flips
            flips = gp.Flips(found.pairs, ~found.added, found.score, found.of_features)
            return Proposal(flips)

    graph = citation_graph()
    graph.x = (graph.x > 0).float()
    task = gp.NodeClassification(graph, feature_candidates="all")
    with pytest.raises(ValueError, match="contrary to the graph"):
        Upside(gp.Training(steps=3, lr=0.1))(task, 2)


def test_constraints_of_ones_own_attack_are_checked() -> None:
    with pytest.raises(TypeError, match="constraints must be a list of constraints"):
        Misspoken(Proposal, constraints=gp.NoSingletons())(gp.Recommendation(RATINGS), 3)


# --- Models ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tables(PairwiseRecommender):
    """Scores from tables of the given widths."""

    widths: tuple[int, ...]

    def init(self, shape: tuple[int, int], generator: Any, dtype: torch.dtype) -> Params:
        return tuple(
            torch.ones(shape[number % 2], width, dtype=dtype)
            for number, width in enumerate(self.widths)
        )

    @property
    def scoring(self) -> PairScores:
        return PairScores()

    def score_params(self, params: Params) -> Params:
        return params


@pytest.mark.parametrize(
    ("widths", "message"),
    [((4, 4, 1), "cannot score from 3 parameters"), ((4, 5), "equally wide, found 4 and 5")],
)
def test_tables_that_do_not_fit_are_refused(widths: tuple[int, ...], message: str) -> None:
    attack = gp.MetaAttack(gp.Training(steps=2, lr=0.1), allow_removals=False)
    with pytest.raises(ValueError, match=message):
        attack(gp.Recommendation(RATINGS, Tables(widths)), 3)


def test_a_class_is_no_surrogate() -> None:
    with pytest.raises(TypeError, match=r"surrogate is the class CF; make one: CF\(\)"):
        gp.Recommendation(RATINGS, gp.CF)  # type: ignore[arg-type]


def test_a_mask_that_is_not_there_is_named_with_the_others() -> None:
    with pytest.raises(TypeError, match=r"data.train is missing; there are \['train_mask'"):
        NODES.mask("train")


def test_reading_leaves_the_stores_of_the_graph_as_they_are() -> None:
    data = interaction_graph()
    del data["item"]
    with pytest.raises(ValueError, match="num_nodes is not set"):
        gp.read_graph(data)
    assert data.node_types == ["user"]
