"""Meta-gradients against finite differences, dense autograd, and the reference's own flips."""

from dataclasses import replace

import pytest
import reference
import torch
from conftest import OwnGCN, assert_flips, citation_graph, interaction_graph
from torch import Tensor, nn
from torch_geometric.nn import GCNConv
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.graphs import PairState

OPTIMISERS = [
    {"steps": 6, "lr": 0.2},
    {"steps": 6, "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2},
    {"steps": 6, "lr": 0.05, "optimizer": "adam", "weight_decay": 1e-3},
]
NODE_SURROGATES = ["linear-gcn", "relu-gcn"]
RECOMMENDERS: dict[str, gp.Recommender] = {
    "cf": gp.CF(dim=3),
    "gmf": gp.GMF(dim=3),
    "tower": gp.GMF(3, (4, 3), scale=1.0),
    "mlp-tanh": gp.MLP(3, (5,), scale=1.0, activation="tanh"),
    "mlp-sigmoid": gp.MLP(3, (18, 4), scale=1.0, activation="sigmoid"),
    "neumf": gp.NeuMF(3, (4, 3), mlp_dim=2, scale=1.0),
    "lightgcn-1": gp.LightGCN(3, layers=1, scale=1.0),
    "lightgcn-3": gp.LightGCN(3, layers=3, scale=1.0),
    "neumf-tanh": gp.NeuMF(18, (17, 3), scale=1.0, activation="tanh"),
}
SETTINGS = pytest.mark.parametrize("settings", OPTIMISERS, ids=["sgd", "momentum", "adam"])


def finite_differences(
    task: gp.Task, training: gp.Training, positions: Tensor, epsilon: float = 1e-5
) -> Tensor:
    """Central differences of the attack loss after training, weight by weight."""
    bound, start = task.with_pseudo_labels(training, 0), task.init(generator(0))

    def loss(position: int, change: float) -> float:
        weight = task.state.weight.double().clone()
        weight[position] += change
        state = replace(task.state, weight=weight)
        params = bound.train(training, state, start)
        return bound.attack_loss(params, bound.prepare(state)).item()

    differences = [loss(int(i), epsilon) - loss(int(i), -epsilon) for i in positions]
    return torch.tensor(differences, dtype=torch.float64) / (2 * epsilon)


@SETTINGS
@pytest.mark.parametrize("objective", ["train", "self", "both"])
@pytest.mark.parametrize("surrogate", NODE_SURROGATES)
def test_finite_differences_of_node_classification(
    surrogate: str, objective: str, settings: dict[str, float]
) -> None:
    data = citation_graph()
    listed = torch.triu_indices(14, 14, offset=1)
    task = gp.NodeClassification(data, surrogate, objective, candidates=listed, mix=0.3)
    training = gp.Training(**settings)
    positions = torch.arange(0, task.state.num_listed, 11)
    expected = finite_differences(task, training, positions)
    found = gp.Unrolled()(task, training).values[positions]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


@SETTINGS
@pytest.mark.parametrize("objective", ["train", "self", "heldout"])
@pytest.mark.parametrize("model", ["cf", "gmf", "tower", "mlp-tanh", "neumf", "lightgcn-3"])
def test_finite_differences_of_recommendation(
    model: str, objective: str, settings: dict[str, float]
) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, RECOMMENDERS[model], objective, dtype=torch.float64)
    training = gp.Training(**settings)
    positions = torch.arange(0, task.state.num_listed, 4)
    if model.startswith("lightgcn"):  # at the pairs of an isolated node it has no derivative
        degrees = [
            degree[end] for degree, end in zip(task.state.degrees, task.state.index, strict=True)
        ]
        positions = positions[torch.stack(degrees)[:, positions].gt(0).all(dim=0)]
    expected = finite_differences(task, training, positions)
    found = gp.Unrolled()(task, training).values[positions]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


@SETTINGS
@pytest.mark.parametrize("objective", ["train", "self", "both"])
@pytest.mark.parametrize("surrogate", NODE_SURROGATES)
@pytest.mark.parametrize("num_features", [3, 24])
def test_factors_are_the_dense_meta_gradient(
    surrogate: str, objective: str, settings: dict[str, float], num_features: int
) -> None:
    """Few features and many: the linear GCN propagates whichever side is narrower."""
    data = citation_graph(num_features=num_features, density=0.4)
    task = gp.NodeClassification(data, surrogate, objective, mix=0.3)
    theta = task.init(generator(0))
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=14)[0].double()
    problem = (surrogate, adjacency, data.x, data.y, data.train_mask)
    labels = reference.pseudo_labels_of(*problem, theta, **settings)
    loss, expected = reference.node_meta_gradient(
        *problem, theta, objective, labels, lam=0.3, **settings
    )
    found = gp.Unrolled()(task, gp.Training(**settings))
    assert found.loss == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(found.values, expected, rtol=1e-7, atol=1e-12)


@SETTINGS
@pytest.mark.parametrize("model", RECOMMENDERS)
def test_recommendation_agrees_with_dense_autograd(model: str, settings: dict[str, float]) -> None:
    task = link_task(model)
    expected = reference.recommendation_meta_gradient(
        model, task.state.index, task.state.weight.double(), task.init(generator(0)), **settings
    )
    found = gp.Unrolled()(task, gp.Training(**settings))
    assert found.loss == pytest.approx(expected[0], rel=1e-12)
    torch.testing.assert_close(found.values, expected[1], rtol=1e-9, atol=1e-12)


@SETTINGS
@pytest.mark.parametrize("objective", ["train", "self", "both"])
@pytest.mark.parametrize("surrogate", NODE_SURROGATES)
def test_metattack_flip_by_flip(surrogate: str, objective: str, settings: dict[str, float]) -> None:
    data = citation_graph(num_nodes=18, seed=2)
    task = gp.NodeClassification(data, surrogate, objective, mix=0.3)
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=18)[0].double()
    expected = reference.metattack(
        surrogate,
        adjacency,
        data.x,
        data.y,
        data.train_mask,
        task.init(generator(0)),
        budget=12,
        objective=objective,
        lam=0.3,
        protect_singletons=True,
        **settings,
    )
    attack = gp.MetaAttack(gp.Training(**settings), constraints=[gp.NoSingletons()], redraw=False)
    assert_flips(attack(task, 12), expected)


@pytest.mark.parametrize("approximate", [None, "before"])
@pytest.mark.parametrize("objective", ["self", "both"])
@pytest.mark.parametrize("surrogate", NODE_SURROGATES)
def test_meta_with_oracle_labels_flip_by_flip(
    surrogate: str, objective: str, approximate: str | None
) -> None:
    data = citation_graph(num_nodes=18, seed=2)
    settings = OPTIMISERS[1]
    task = gp.NodeClassification(data, surrogate, objective, mix=0.3, labels="oracle")
    assert not task.needs_pseudo_labels
    expected = reference.metattack(
        surrogate,
        to_dense_adj(data.edge_index, max_num_nodes=18)[0].double(),
        data.x,
        data.y,
        data.train_mask,
        task.init(generator(0)),
        budget=8,
        objective=objective,
        lam=0.3,
        pseudo_labels=data.y,
        approximate=approximate,
        **settings,
    )
    hypergradient = gp.Approximate() if approximate else gp.Unrolled()
    attack = gp.MetaAttack(gp.Training(**settings), hypergradient=hypergradient, redraw=False)
    found = attack(task, 8)
    assert_flips(found, expected)
    guessed = gp.NodeClassification(data, surrogate, objective, mix=0.3)
    assert not attack(guessed, 8).flips.equals(found.flips)


@SETTINGS
@pytest.mark.parametrize("flips_per_step", [1, 4])
@pytest.mark.parametrize("allow_removals", [False, True])
@pytest.mark.parametrize("model", ["cf", "gmf", "tower", "neumf-tanh", "lightgcn-3"])
def test_algorithm_1_flip_by_flip(
    model: str, allow_removals: bool, flips_per_step: int, settings: dict[str, float]
) -> None:
    task = link_task(model)
    expected = reference.algorithm1(
        model,
        task.state.index,
        task.state.weight.double(),
        task.state.candidate,
        task.init(generator(0)),
        budget=10,
        flips_per_step=flips_per_step,
        allow_removals=allow_removals,
        **settings,
    )
    attack = gp.MetaAttack(
        gp.Training(**settings), flips_per_step, allow_removals=allow_removals, redraw=False
    )
    assert_flips(attack(task, 10), expected)


def link_task(model: str) -> gp.Recommendation:
    return gp.Recommendation(interaction_graph(), RECOMMENDERS[model], dtype=torch.float64)


class OwnFactorisation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(7, 3), nn.Embedding(9, 3)

    def scores(self, pairs: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        return (self.users(pairs[0]) * self.items(pairs[1])).sum(dim=1)


class OwnPropagation(OwnFactorisation):
    """Users are what their items are: the weights act through the graph as well as as labels."""

    def scores(self, pairs: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        users, items = self.users.weight, self.items.weight
        messages = edge_weight.unsqueeze(1) * items[edge_index[1]]
        users = users.index_add(0, edge_index[0], messages)
        return (users[pairs[0]] * items[pairs[1]]).sum(dim=1)


@pytest.mark.parametrize("candidates", ["all", torch.tensor([[0, 2, 3], [5, 9, 11]])])
def test_a_module_of_ones_own_classifies_nodes(candidates: str | Tensor) -> None:
    task = gp.NodeClassification(citation_graph(), OwnGCN(), "self", candidates)
    training = gp.Training(steps=5, lr=0.1, momentum=0.5)
    positions = torch.arange(0, task.state.num_listed, 9)
    expected = finite_differences(task, training, positions)
    found = gp.Unrolled()(task, training).values[positions]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("module", [OwnFactorisation, OwnPropagation])
def test_a_module_of_ones_own_recommends(module: type[nn.Module]) -> None:
    task = gp.Recommendation(interaction_graph(), module(), dtype=torch.float64)
    training = gp.Training(steps=5, lr=0.1, momentum=0.5)
    positions = torch.arange(0, task.state.num_listed, 4)
    expected = finite_differences(task, training, positions)
    found = gp.Unrolled()(task, training).values[positions]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


def test_cached_convolutions_are_refused() -> None:
    module = OwnGCN()
    module.second = GCNConv(4, 3, cached=True)
    with pytest.raises(ValueError, match="'second' has cached=True"):
        gp.NodeClassification(citation_graph(), module)
    with pytest.raises(TypeError, match="has no method scores"):
        gp.Recommendation(interaction_graph(), OwnGCN())


def test_a_module_on_too_many_pairs_is_refused() -> None:
    data = citation_graph(num_nodes=4000, num_features=24, dtype=torch.float32)
    with pytest.raises(ValueError, match="pass a block of pairs"):
        gp.NodeClassification(data, OwnGCN())


def test_nothing_touches_the_global_generator() -> None:
    module = OwnGCN()
    before = torch.random.get_rng_state()
    gp.Unrolled()(gp.NodeClassification(citation_graph(), module), gp.Training(steps=2))
    gp.evaluate(citation_graph(), gp.RandomAttack()(gp.NodeClassification(citation_graph()), 3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_memory_does_not_grow_with_steps_times_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    """What autograd saves while a meta-gradient is taken is the same for 3 steps and for 30."""

    def saved(steps: int) -> int:
        alive: list[int] = [0, 0]

        class Held:
            def __init__(self, tensor: Tensor) -> None:
                self.tensor, self.size = tensor, tensor.numel()
                alive[0] += self.size
                alive[1] = max(alive)

            def __del__(self) -> None:
                alive[0] -= self.size

        task = gp.Recommendation(interaction_graph(40, 40, positives=500, negatives=500))
        with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.tensor):
            gp.Unrolled()(task, gp.Training(steps=steps, lr=0.1))
        return alive[1]

    assert saved(30) == saved(3) > 0


def test_pseudo_labels_are_needed_only_where_the_objective_says() -> None:
    task = gp.NodeClassification(citation_graph(), objective="self")
    prepared = task.prepare(task.state)
    with pytest.raises(ValueError, match="needs pseudo-labels"):
        task.attack_loss(task.init(generator(0)), prepared)
    assert not gp.NodeClassification(citation_graph(), objective="train").needs_pseudo_labels


def test_topk_is_the_search_of_all_values() -> None:
    task = gp.NodeClassification(citation_graph())
    found = gp.Unrolled()(task, gp.Training(steps=5))
    state: PairState = task.state
    clean = torch.zeros(14, 14, dtype=torch.float64)
    clean[tuple(state.index)] = 1.0
    score = found.values * (1 - 2 * clean[tuple(torch.triu_indices(14, 14, 1))])
    best = found.topk(6)
    torch.testing.assert_close(best.score, score.sort(descending=True).values[:6])
    assert torch.equal(best.added, clean[tuple(best.pairs)] == 0)
