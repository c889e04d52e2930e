"""LightGCN, dropout and BPR: against PyG, the dense reference and finite differences."""

import pytest
import reference
import torch
from conftest import assert_flips, interaction_graph
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_hypergradient import RECOMMENDERS, SETTINGS, finite_differences
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.nn.models import LightGCN

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.sparse import Pattern
from graphpoison.training import iterates
from graphpoison.training.bpr import PARTNERS, Triples
from graphpoison.training.dropout import DropoutField
from graphpoison.training.sampled_softmax import Slates


def isolated_ends() -> HeteroData:
    """User 7 and item 9, which no interaction has, with negatives of their own."""
    data = interaction_graph()
    data["user"].num_nodes, data["item"].num_nodes = 8, 10
    store = data["user", "rates", "item"]
    extra = torch.tensor([[7, 7, 7, 0, 1], [0, 3, 9, 9, 9]])
    store.neg_edge_index = torch.cat([store.neg_edge_index, extra], dim=1)
    return data


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("weights", ["edges", "fractions"])
def test_lightgcn_scores_as_pyg_does(layers: int, weights: str) -> None:
    model = gp.LightGCN(4, layers)
    task = gp.Recommendation(isolated_ends(), model, dtype=torch.float64)
    users, items = task.init(generator(0))
    pairs, weight = task.state.index, task.state.weight.double()
    if weights == "fractions":
        weight = torch.rand(len(weight), generator=generator(1), dtype=torch.float64)
    alpha = torch.full((layers + 1,), 1 / (layers + 1), dtype=torch.float64)
    theirs = LightGCN(18, 4, layers, alpha).double()
    theirs.embedding.weight.data = torch.cat([users, items])
    nodes = pairs + torch.tensor([[0], [8]])
    expected = theirs(torch.cat([nodes, nodes.flip(0)], dim=1), nodes, weight.repeat(2))
    entries = model.entries(task.state.pattern, weight)
    found = model.scores((users, items), task.state.pattern, entries, task.state.pattern)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@SETTINGS
def test_lightgcn_with_isolated_nodes(settings: dict[str, float]) -> None:
    """PyG's own gradient is NaN here; the reference says 0 to what would go through such a node."""
    model = gp.LightGCN(3, 2, scale=1.0)
    task = gp.Recommendation(isolated_ends(), model, dtype=torch.float64)
    weight = task.state.weight.double()
    expected = reference.recommendation_meta_gradient(
        "lightgcn-2", task.state.index, weight, task.init(generator(0)), **settings
    )
    found = gp.Unrolled()(task, gp.Training(**settings))
    assert found.loss == pytest.approx(expected[0], rel=1e-12)
    torch.testing.assert_close(found.values, expected[1], rtol=1e-9, atol=1e-12)
    assert found.values[task.state.index[0] == 7].abs().min() > 0
    attacked = gp.MetaAttack(gp.Training(**settings), 2, redraw=False)(task, 12)
    assert len(attacked) == 12


def test_lightgcn_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Tensor] = []
    entries = gp.LightGCN.entries

    def counted(self: gp.LightGCN, graph: object, weight: Tensor) -> Tensor:
        calls.append(weight)
        return entries(self, graph, weight)

    monkeypatch.setattr(gp.LightGCN, "entries", counted)
    task = gp.Recommendation(interaction_graph(), "lightgcn")
    gp.Unrolled()(task, gp.Training(steps=7, lr=0.1))
    assert len(calls) == 1


@pytest.mark.parametrize("candidates", ["all", torch.tensor([[0, 2, 3], [5, 7, 1]])])
def test_lightgcn_lists_its_candidates(candidates: str | Tensor) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.LightGCN(3), candidates=candidates, dtype=torch.float64)
    expected = reference.recommendation_meta_gradient(
        "lightgcn-2",
        task.state.index,
        task.state.weight.double(),
        task.init(generator(0)),
        steps=5,
        lr=1.0,
    )
    found = gp.Unrolled()(task, gp.Training(steps=5, lr=1.0))
    torch.testing.assert_close(found.values, expected[1], rtol=1e-9, atol=1e-14)


WITH_DROPOUT: dict[str, gp.Recommender] = {
    "cf": gp.CF(dim=3, dropout=0.3),
    "gmf": gp.GMF(dim=3, dropout=0.3),
    "tower": gp.GMF(3, (4, 3), scale=1.0, dropout=0.3),
    "mlp-tanh": gp.MLP(3, (5,), scale=1.0, activation="tanh", dropout=0.3),
    "neumf": gp.NeuMF(3, (4, 3), mlp_dim=2, scale=1.0, dropout=0.3),
    "lightgcn-2": gp.LightGCN(3, scale=1.0, dropout=0.3),
}


def dropout_of(task: gp.Recommendation, start: tuple[Tensor, ...]) -> DropoutField:
    field = task.training_field(task.prepare(task.state), start, linear=False)
    assert isinstance(field, DropoutField)
    return field


def masks_of(task: gp.Recommendation, steps: int) -> list[tuple[Tensor, ...]]:
    """One mask for each parameter at each step."""
    start = task.init(generator(0))
    ones = tuple(map(torch.ones_like, start))
    return [dropout_of(task, start).at_step(step).masked(ones) for step in range(steps)]


@SETTINGS
@pytest.mark.parametrize("model", WITH_DROPOUT)
def test_dropout_with_given_masks_is_differentiated_exactly(
    model: str, settings: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all iterates kept, and with iterates that are computed again."""
    task = gp.Recommendation(interaction_graph(), WITH_DROPOUT[model], dtype=torch.float64)
    weight, start = task.state.weight.double(), task.init(generator(0))
    masks = masks_of(task, int(settings["steps"]))
    expected = reference.recommendation_meta_gradient(
        model, task.state.index, weight, start, masks=masks, **settings
    )
    found = gp.Unrolled()(task, gp.Training(**settings))
    assert found.loss == pytest.approx(expected[0], rel=1e-12)
    torch.testing.assert_close(found.values, expected[1], rtol=1e-8, atol=1e-12)
    monkeypatch.setattr(iterates, "KEPT_BYTES", 0)
    assert torch.equal(gp.Unrolled()(task, gp.Training(**settings)).values, found.values)


@SETTINGS
@pytest.mark.parametrize("objective", ["train", "self", "heldout"])
@pytest.mark.parametrize("model", ["cf", "neumf"])
def test_finite_differences_with_dropout(
    model: str, objective: str, settings: dict[str, float]
) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, WITH_DROPOUT[model], objective, dtype=torch.float64)
    training = gp.Training(**settings)
    positions = torch.arange(0, task.state.num_listed, 5)
    expected = finite_differences(task, training, positions)
    found = gp.Unrolled()(task, training).values[positions]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


def test_dropout_with_all_pairs() -> None:
    model = gp.CF(3, scale=0.5, dropout=0.4)
    task = gp.Recommendation(interaction_graph(), model, candidates="all", dtype=torch.float64)
    codes = torch.arange(63)
    weight = torch.isin(codes, task.state.pattern.codes).double()
    pairs = torch.stack([codes // 9, codes % 9])
    _, expected = reference.recommendation_meta_gradient(
        "cf", pairs, weight, task.init(generator(0)), masks=masks_of(task, 6), steps=6, lr=3.0
    )
    found = gp.Unrolled()(task, gp.Training(steps=6, lr=3.0)).values
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-14)


def test_masks_follow_from_start_and_step() -> None:
    model = gp.NeuMF(64, (4,), mlp_dim=32, dropout=0.25)
    task = gp.Recommendation(interaction_graph(60, 50), model)
    first, other = (dropout_of(task, task.init(generator(seed))) for seed in (0, 1))
    assert set(first.draw(0)) == {0, 1, 3, 4}
    for mask in first.draw(3).values():
        assert mask.unique().tolist() == pytest.approx([0.0, 4 / 3])
        assert mask.mean().item() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(first.draw(3)[0], first.draw(3)[0])
    assert not torch.equal(first.draw(3)[0], first.draw(4)[0])
    assert not torch.equal(first.draw(3)[0], other.draw(3)[0])


@pytest.mark.parametrize("model", [gp.CF, gp.GMF, gp.MLP, gp.NeuMF, gp.LightGCN])
def test_settings_out_of_range_are_named(model: type[gp.CF]) -> None:
    for setting, value in (("dropout", 1.0), ("dropout", -0.1), ("dim", 0), ("scale", 0.0)):
        with pytest.raises(ValueError, match=f"{setting} must"):
            model(**{setting: value})
    with pytest.raises(TypeError, match="dropout must be a number"):
        model(dropout=True)


def triples_of(task: gp.Recommendation) -> list[tuple[int, int]]:
    found = Triples.of(task.state.pattern, task.criterion.seed)
    return [*zip(found.first.tolist(), found.second.tolist(), strict=True)]


def slates_of(task: gp.Recommendation) -> list[tuple[int, list[int]]]:
    found = Slates.of(task.state.pattern, task.criterion.seed)
    return [*zip(found.own.tolist(), found.others.tolist(), strict=True)]


@SETTINGS
@pytest.mark.parametrize("loss", ["bpr", "softmax"])
@pytest.mark.parametrize("model", ["cf", "neumf-tanh", "lightgcn-1"])
def test_rankings_agree_with_dense_autograd(
    model: str, loss: str, settings: dict[str, float]
) -> None:
    task = gp.Recommendation(
        interaction_graph(), RECOMMENDERS[model], loss=loss, dtype=torch.float64
    )
    weight, start = task.state.weight.double(), task.init(generator(0))
    compared = {"triples": triples_of(task)} if loss == "bpr" else {"slates": slates_of(task)}
    expected = reference.recommendation_meta_gradient(
        model, task.state.index, weight, start, **compared, **settings
    )
    found = gp.Unrolled()(task, gp.Training(**settings))
    assert found.loss == pytest.approx(expected[0], rel=1e-12)
    torch.testing.assert_close(found.values, expected[1], rtol=1e-8, atol=1e-12)


@hypothesis_settings(max_examples=40, deadline=None)
@given(scale=st.sampled_from([0.0, 1.0, 30.0]), soft=st.booleans(), seed=st.integers(0, 99))
def test_second_order_of_softmax_is_that_of_autograd(scale: float, soft: bool, seed: int) -> None:
    draw = generator(seed)
    index = (torch.rand(4, 7, generator=draw) < 0.7).nonzero().t()
    slates = Slates.of(Pattern.of(index, (4, 7)), seed)
    labels = torch.rand(index.size(1), generator=draw, dtype=torch.float64)
    weights = slates.weights(labels if soft else labels.round()).requires_grad_()
    scores, change = torch.randn(2, index.size(1), generator=draw, dtype=torch.float64)
    scores = (scale * scores).requires_grad_()
    (gradient,) = torch.autograd.grad(slates.loss(scores, weights), scores, create_graph=True)
    curvature, on_weights = torch.autograd.grad(gradient @ change, (scores, weights))
    with torch.no_grad():
        active = slates.active(weights)
        found = active.derivatives(scores, change)
        torch.testing.assert_close(active.gradient(scores), gradient.detach())
    for mine, expected in zip(found, (gradient.detach(), curvature, on_weights), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-9, atol=1e-12)


def test_softmax_of_scores_far_apart() -> None:
    slates = Slates(torch.tensor([0]), torch.tensor([[1, 2]]))
    weights = slates.weights(torch.tensor([1.0, 0.0, 1.0]))
    for far in (-300.0, 60.0):  # the third is an interaction, which does not compete
        assert float(slates.loss(torch.tensor([0.0, 1.0, far]), weights)) == pytest.approx(
            1.3133, rel=1e-3
        )


def test_softmax_needs_negatives() -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(3), loss="softmax")
    with pytest.raises(ValueError, match="loss='softmax' needs users with both"):
        Slates.of(task.state.pattern, 0).weights(torch.ones_like(task.state.weight))


@SETTINGS
@pytest.mark.parametrize("objective", ["train", "self", "heldout"])
@pytest.mark.parametrize("model", [gp.CF(3, dropout=0.2), gp.GMF(3)])
@pytest.mark.parametrize("loss", ["bpr", "softmax"])
def test_finite_differences_of_rankings(
    loss: str, model: gp.Recommender, objective: str, settings: dict[str, float]
) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, model, objective, loss=loss, dtype=torch.float64)
    training = gp.Training(**settings)
    positions = torch.arange(0, task.state.num_listed, 5)
    expected = finite_differences(task, training, positions)
    found = gp.Unrolled()(task, training).values[positions]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("allow_removals", [False, True])
def test_bpr_flip_by_flip(allow_removals: bool) -> None:
    task = gp.Recommendation(interaction_graph(), gp.CF(3), loss="bpr", dtype=torch.float64)
    settings = {"steps": 8, "lr": 3.0}
    expected = reference.algorithm1(
        "cf",
        task.state.index,
        task.state.weight.double(),
        task.state.candidate,
        task.init(generator(0)),
        budget=8,
        allow_removals=allow_removals,
        triples=triples_of(task),
        **settings,
    )
    attack = gp.MetaAttack(gp.Training(**settings), allow_removals=allow_removals, redraw=False)
    assert_flips(attack(task, 8), expected)


@hypothesis_settings(max_examples=30, deadline=None)
@given(
    users=st.integers(1, 9),
    items=st.integers(1, 9),
    share=st.floats(0.1, 1.0),
    seed=st.integers(0, 9),
)
def test_triples_are_couples_of_one_user(users: int, items: int, share: float, seed: int) -> None:
    index = (torch.rand(users, items, generator=generator(seed)) < share).nonzero().t()
    pattern = Pattern.of(index, (users, items))
    triples = Triples.of(pattern, seed)
    assert torch.equal(pattern.row[triples.first], pattern.row[triples.second])
    assert bool((triples.first != triples.second).all())
    listed = torch.bincount(index[0], minlength=users)[index[0]]
    times = torch.bincount(triples.first, minlength=index.size(1))
    assert torch.equal(times, torch.where(listed > 1, PARTNERS, 0))
    again = Triples.of(Pattern.of(index, (users, items)), seed)
    assert torch.equal(again.second, triples.second)


def test_triples_do_not_depend_on_what_was_flipped() -> None:
    """A victim trained on the poisoned data ranks the couples that the attack has seen."""
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(3), loss="bpr")
    poisoned = gp.RandomAttack(allow_removals=True)(task, 9).apply(data)
    again = gp.Recommendation(poisoned, gp.CF(3), loss="bpr")
    assert not torch.equal(again.state.weight, task.state.weight)
    assert triples_of(again) == triples_of(task)
    other = gp.Recommendation(data, gp.CF(3), loss="bpr", seed=1)
    assert triples_of(other) != triples_of(task)
    assert not torch.equal(*(part.inputs_digested()[0] for part in (task, other)))


def test_every_pair_is_ranked_where_all_are_candidates() -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(3), candidates="all", loss="bpr", dtype=torch.float64)
    assert task.state.num_listed == 63
    expected = reference.recommendation_meta_gradient(
        "cf",
        task.state.index,
        task.state.weight.double(),
        task.init(generator(0)),
        triples=triples_of(task),
        steps=5,
        lr=1.0,
    )
    found = gp.Unrolled()(task, gp.Training(steps=5, lr=1.0))
    torch.testing.assert_close(found.values, expected[1], rtol=1e-9, atol=1e-14)


def test_nothing_to_rank_is_refused() -> None:
    data = interaction_graph()
    with pytest.raises(ValueError, match=r"loss='bqr' is not known.*Did you mean 'bpr'"):
        gp.Recommendation(data, loss="bqr")
    store = data["user", "rates", "item"]
    store.edge_index, store.neg_edge_index = (
        torch.tensor([[0, 0], [1, 2]]),
        torch.tensor([[1], [1]]),
    )
    task = gp.Recommendation(data, loss="bpr")
    with pytest.raises(ValueError, match="loss='bpr' needs users with both"):
        gp.Unrolled()(task, gp.Training())
