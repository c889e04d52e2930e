"""Victims by name: what each defence is for, and that all of them learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN, GCNConv, SGConv
from torch_geometric.utils import to_dense_adj

import graphpoison as gp
from graphpoison._random import isolated_rng
from graphpoison.victims import NODE_VICTIMS, node_victim
from graphpoison.victims.defences.gnnguard import GNNGuard, defence_weights, guarded
from graphpoison.victims.defences.grand import GRAND, divergence
from graphpoison.victims.defences.jaccard import drop_dissimilar
from graphpoison.victims.defences.rgcn import RGCN, propagated
from graphpoison.victims.defences.soft_median import diffused, soft_median, weighted_median
from graphpoison.victims.defences.svd import low_rank
from graphpoison.victims.nodes.sage import MeanSAGE
from graphpoison.victims.nodes.sgc import SGC
from graphpoison.victims.nodes.sparse_input import SparseInput


@pytest.fixture(scope="module")
def topics() -> Data:
    """A small graph on which classes can be told apart."""
    return gp.datasets.load(
        "synthetic-citation", num_nodes=150, num_classes=3, num_words=100, homophily=0.9
    )


def fitted_logits(victim: gp.Victim, data: Data, seed: int) -> Tensor:
    return victim.fit(gp.read_graph(data), seed).logits()


# --- All of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NODE_VICTIMS)
def test_every_victim_beats_the_largest_class(name: str, topics: Data) -> None:
    before = {key: value.clone() for key, value in topics.to_dict().items()}
    graph = gp.read_graph(topics)
    edges = graph.edge_index.clone()
    victim = replace(NODE_VICTIMS[name], epochs=60)
    logits = victim.fit(graph, seed=0).logits()
    assert logits.shape == (topics.num_nodes, 3)
    right = (logits.argmax(dim=1) == topics.y)[topics.test_mask].float().mean()
    guess = topics.y[topics.test_mask].bincount().max() / topics.test_mask.sum()
    assert right > guess + (0.1 if name == "mlp" else 0.15)
    assert all(torch.equal(topics[key], value) for key, value in before.items())
    assert torch.equal(graph.edge_index, edges)
    assert graph.edge_weight is None


@pytest.mark.parametrize("name", NODE_VICTIMS)
def test_every_victim_takes_weights_doubles_and_a_graph_without_edges(name: str) -> None:
    data = citation_graph(20, dtype=torch.float64)
    victim = replace(NODE_VICTIMS[name], epochs=3)
    state = torch.random.get_rng_state()
    logits = fitted_logits(victim, data, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert logits.dtype == torch.float64
    assert torch.equal(fitted_logits(victim, data, seed=3), logits)
    assert not torch.equal(fitted_logits(victim, data, seed=4), logits)
    data.edge_weight = torch.ones(data.num_edges, dtype=torch.float64)
    torch.testing.assert_close(fitted_logits(victim, data, seed=3), logits)
    data.edge_index, data.edge_weight = data.edge_index[:, :0], None
    assert bool(torch.isfinite(fitted_logits(victim, data, seed=3)).all())


def test_names_are_checked_and_caches_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'gcn-jaccard'"):
        node_victim("gcn-jacard")
    cached = gp.ModuleVictim(lambda features, classes: GCNConv(features, classes, cached=True), "c")
    with pytest.raises(ValueError, match="cached=True"):
        fitted_logits(cached, citation_graph(dtype=torch.float32), seed=0)


def test_a_penalty_is_part_of_the_loss() -> None:
    class Heavy(nn.Linear):
        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            return super().forward(x)

        def penalty(self) -> torch.Tensor:
            return 1000 * self.weight.square().sum()

    data = citation_graph(dtype=torch.float32)
    del data.val_mask
    light = gp.ModuleVictim(lambda *size: Light(*size), "light", epochs=300, weight_decay=0)
    heavy = gp.ModuleVictim(lambda *size: Heavy(*size), "heavy", epochs=300, weight_decay=0)
    spreads = [float(fitted_logits(victim, data, 0).std(dim=0).max()) for victim in (light, heavy)]
    assert spreads[1] < spreads[0] / 10


class Light(nn.Linear):
    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        return super().forward(x)


def test_sparse_input_changes_no_result() -> None:
    data = citation_graph(40, num_features=90, density=0.03, dtype=torch.float64)
    x = data.x
    with isolated_rng(0):
        module = GCN(90, 8, 2, 3).double()
    with SparseInput(x) as mode:
        assert mode.features._sparse is not None
        sparse = module(x, data.edge_index)
        (found,) = torch.autograd.grad(sparse.square().sum(), [module.convs[0].lin.weight])
    dense = module(x, data.edge_index)
    (expected,) = torch.autograd.grad(dense.square().sum(), [module.convs[0].lin.weight])
    torch.testing.assert_close(sparse, dense)
    torch.testing.assert_close(found, expected)


def test_the_narrow_forms_are_pygs_own_layers() -> None:
    data = citation_graph(20, dtype=torch.float32)
    with isolated_rng(0):
        narrow, wide = SGC(24, 3), SGConv(24, 3, K=2)
        sage = MeanSAGE(24, 3).eval()
    narrow.linear.weight, narrow.bias = wide.lin.weight, wide.lin.bias
    torch.testing.assert_close(narrow(data.x, data.edge_index), wide(data.x, data.edge_index))
    expected = sage.model(data.x, data.edge_index)
    torch.testing.assert_close(sage(data.x, data.edge_index), expected)


# --- Purification -----------------------------------------------------------------------------


def unlabelled(x: Tensor, edge_index: Tensor) -> gp.NodeGraph:
    """A graph in which all nodes are of one class."""
    labels = torch.zeros(x.size(0), dtype=torch.long)
    return gp.read_graph(Data(x=x, y=labels, edge_index=edge_index))


def path(words: list[list[float]]) -> gp.NodeGraph:
    first = torch.arange(len(words) - 1)
    edge_index = torch.cat([torch.stack([first, first + 1]), torch.stack([first + 1, first])], 1)
    return unlabelled(torch.tensor(words, dtype=torch.float), edge_index)


def test_jaccard_drops_the_dissimilar_edge_and_its_weight() -> None:
    plain = path([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]])  # 1/3, 0, 0/0
    graph = plain.with_pairs(plain.pairs, torch.tensor([2.0, 3.0, 4.0]))
    purified = drop_dissimilar(graph)
    assert purified.edge_index.tolist() == [[0, 1], [1, 0]]
    assert purified.edge_weight.tolist() == [2.0, 2.0]
    assert graph.edge_index.size(1) == 6
    assert graph.pair_weight.tolist() == [2.0, 3.0, 4.0]
    assert drop_dissimilar(plain).edge_weight is None
    assert drop_dissimilar(graph, threshold=0.34).edge_index.size(1) == 0
    assert drop_dissimilar(graph, threshold=0.33).edge_index.size(1) == 2
    with pytest.raises(ValueError, match=r"data.x has no zeros"):
        drop_dissimilar(replace(graph, x=torch.ones(4, 2)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rank", [3, 8])
def test_low_rank_keeps_the_positive_entries_of_the_truncated_spectrum(
    rank: int, weighted: bool
) -> None:
    data = citation_graph(30, seed=2)
    if weighted:
        data.edge_weight = 1.0 + data.edge_index.sum(dim=0) / 10
    dense = to_dense_adj(data.edge_index, edge_attr=data.edge_weight)[0].double()
    left, values, right = torch.linalg.svd(dense)
    expected = (left[:, :rank] * values[:rank]) @ right[:rank]
    expected = ((expected + expected.t()) / 2).clamp(min=0).fill_diagonal_(0)
    purified = low_rank(gp.read_graph(data), rank)
    found = to_dense_adj(purified.edge_index, edge_attr=purified.edge_weight, max_num_nodes=30)[0]
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-6)


def test_low_rank_weakens_edges_between_communities() -> None:
    block = torch.block_diag(torch.ones(15, 15), torch.ones(15, 15)).fill_diagonal_(0)
    block[3, 20] = block[20, 3] = 1
    purified = low_rank(unlabelled(torch.ones(30, 1), block.nonzero().t()), rank=2)
    weight = to_dense_adj(purified.edge_index, edge_attr=purified.edge_weight, max_num_nodes=30)[0]
    assert weight[3, 20] < 0.3
    assert weight[:15, :15].sum() / (15 * 14) > 0.9


# --- GNNGuard ---------------------------------------------------------------------------------


def test_gnnguard_gives_dissimilar_neighbours_weight_0() -> None:
    guard = guarded(path([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]))
    weight = torch.zeros(4, 4)
    weight[guard.edge_index[1], guard.edge_index[0]] = guard.edge_weight
    expected = torch.tensor([[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    torch.testing.assert_close(weight, expected)
    guard = guarded(gp.read_graph(citation_graph(30, dtype=torch.float32)))
    sums = torch.zeros(30).index_add_(0, guard.edge_index[1], guard.edge_weight)
    torch.testing.assert_close(sums, torch.ones(30))


def test_gnnguard_divides_among_several_neighbours_by_similarity() -> None:
    hidden = torch.tensor([[1.0, 0.0], [1.0, 0.0], [3.0, 4.0], [-1.0, 0.0]])
    edges = torch.tensor([[1, 2, 3, 0], [0, 0, 0, 0]])
    weight = defence_weights(hidden, edges)  # cosines 1, 0.6, -1
    torch.testing.assert_close(weight, torch.tensor([2 / 4.8, 1.2 / 4.8, 0, 1 / 3]))


def test_gnnguard_ignores_what_an_unlike_node_says() -> None:
    graph = path([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]])
    with isolated_rng(0):
        module = GNNGuard(4, 2).eval()
    module.memory.data.fill_(100.0)  # the first layer's weights in both layers
    with torch.no_grad():
        before = module(graph.x, graph.edge_index)
        changed = graph.x.clone()
        changed[3, 3] = 0.0
        after = module(changed, graph.edge_index)
    torch.testing.assert_close(after[:2], before[:2])
    assert not torch.allclose(after[2:], before[2:])


# --- Soft median ------------------------------------------------------------------------------


def test_the_weighted_median_is_the_obvious_one() -> None:
    draw = np.random.default_rng(0)
    target = torch.from_numpy(np.r_[np.arange(6), draw.integers(6, size=40)])
    values = torch.from_numpy(draw.normal(size=(46, 3)))
    weight = torch.from_numpy(draw.uniform(0.1, 1, size=46))
    found = values.gather(0, weighted_median(values, weight, target, 6))
    for node in range(6):
        mine = (target == node).nonzero().squeeze(1)
        for dim in range(3):
            order = mine[values[mine, dim].argsort()]
            reached = weight[order].cumsum(0) >= weight[mine].sum() / 2
            assert found[node, dim] == values[order[reached.nonzero()[0, 0]], dim]


def test_ties_of_the_median_are_broken_the_same_way_in_every_graph() -> None:
    values = torch.tensor([[0.1], [0.2], [0.3], [0.7]])
    weight = torch.tensor([0.1, 0.2, 0.2, 0.1])
    for before in range(1, 60):  # sums of other nodes' weights, that round differently
        target = torch.cat([torch.arange(before), torch.full((4,), before)])
        others = torch.arange(before) / 7 + 0.1
        found = weighted_median(
            torch.cat([torch.zeros(before, 1), values]),
            torch.cat([others, weight]),
            target,
            before + 1,
        )
        assert int(found[before]) == before + 1


def test_the_soft_median_ignores_a_far_outlier_and_a_mean_does_not() -> None:
    edges = torch.tensor([[0, 1, 2, 3, 4], [0, 0, 0, 0, 0]])
    loops = torch.arange(1, 5).repeat(2, 1)
    edges, weight = torch.cat([edges, loops], 1), torch.full((9,), 0.2)
    x = torch.tensor([[1.0, 2.0], [1.1, 2.1], [0.9, 1.9], [1.0, 2.0], [1.0, 2.0]])
    clean = soft_median(x, edges, weight, 0.5)[0]
    x[4] = torch.tensor([1000.0, -1000.0])
    torch.testing.assert_close(soft_median(x, edges, weight, 0.5)[0], clean, atol=0.05, rtol=0)
    assert float(x[edges[0, :5]].mean(0)[0]) > 100
    warm = soft_median(x, edges, weight, 1e9)[0]  # so soft that all count alike: the mean
    torch.testing.assert_close(warm, x.mean(dim=0), rtol=1e-3, atol=1e-3)


def test_the_soft_median_has_the_derivative_of_finite_differences() -> None:
    data = citation_graph(8)
    loops = torch.arange(8).repeat(2, 1)
    edges = torch.cat([data.edge_index, loops], dim=1)
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(8, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(edges.size(1), generator=draw, dtype=torch.float64) + 0.1
    assert torch.autograd.gradcheck(lambda x: soft_median(x, edges, weight, 0.5), (x,))


# --- RGCN -------------------------------------------------------------------------------------


def test_rgcn_listens_less_to_uncertain_neighbours() -> None:
    edges = torch.tensor([[0, 1, 2, 1, 2], [0, 0, 0, 1, 2]])
    mean = torch.ones(3, 1)
    heard = []
    for uncertainty in (0.0, 5.0):
        variance = torch.tensor([[0.0], [uncertainty], [0.0]])
        heard.append(propagated(mean, variance, edges, torch.ones(5))[0])
    assert heard[1][0] < heard[0][0]


def test_rgcn_propagates_as_dense_matrices_do() -> None:
    data = citation_graph(12)
    dense = to_dense_adj(data.edge_index)[0].double() + torch.eye(12, dtype=torch.float64)
    edges = dense.nonzero().t()
    draw = torch.Generator().manual_seed(1)
    mean, variance = torch.rand(2, 12, 3, generator=draw, dtype=torch.float64)
    degree = dense.sum(dim=1)
    root, inverse = degree.rsqrt().diag(), (1 / degree).diag()
    found = propagated(mean, variance, edges, torch.ones(edges.size(1), dtype=torch.float64))
    torch.testing.assert_close(found[0], root @ dense @ root @ (mean * torch.exp(-variance)))
    torch.testing.assert_close(
        found[1], inverse @ dense @ inverse @ (variance * torch.exp(-2 * variance))
    )


def test_rgcn_draws_samples_in_training_and_pulls_to_the_normal_distribution() -> None:
    data = citation_graph(dtype=torch.float32)
    with isolated_rng(0):
        module = RGCN(24, 3)
        drawn = [module(data.x, data.edge_index) for _ in range(2)]
    assert not torch.equal(*drawn)
    module.eval()
    certain = [module(data.x, data.edge_index) for _ in range(2)]
    assert torch.equal(*certain)
    hidden_mean, hidden_variance = module.first(data.x, data.x)
    normal = torch.distributions.Normal(hidden_mean, hidden_variance.sqrt() + 1e-4)
    divergence = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    weights = sum(param.square().sum() for param in module.first.parameters())
    expected = 5e-4 * ((divergence + 0.5).mean(dim=1).sum() + weights)
    torch.testing.assert_close(module.penalty(), expected, rtol=0.02, atol=0)


# --- Recommenders -----------------------------------------------------------------------------

SCORED = [
    gp.CF(dim=3),
    gp.GMF(dim=3, layers=(4, 2), activation="tanh"),  # no unit of so few is dead
    gp.NeuMF(dim=3, layers=(4, 2)),
    gp.LightGCN(dim=3),
]


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("model", SCORED, ids=repr)
def test_scores_of_users_are_those_of_their_pairs(model: gp.Recommender, joined: bool) -> None:
    graph = gp.read_graph(interaction_graph()).with_negatives()
    if joined:
        starts = torch.tensor([[0, 0, 1], [2, 5, 8]])
        graph = graph.joined_by(gp.FakeUsers(2, starts))
    training = gp.Training(steps=5, lr=0.1, optimizer="adam")
    victim = gp.RecommenderVictim(model, "victim", training, dtype=torch.float64)
    fitted = victim.fit(graph, 0)
    users = torch.arange(graph.num_users)
    dense = fitted.scores(users)
    assert dense.dtype == torch.float64
    assert dense.shape == graph.shape
    assert not dense.requires_grad
    assert dense.flatten().unique().numel() == dense.numel()
    torch.testing.assert_close(fitted.scores(users[[4, 1, 4, 0]]), dense[[4, 1, 4, 0]])
    assert fitted.scores(users[:0]).shape == (0, graph.num_items)
    draw = torch.Generator().manual_seed(1)
    unsorted = torch.stack([torch.randint(size, (50,), generator=draw) for size in graph.shape])
    repeated = torch.tensor([[6, 0, 6, 0, 3], [8, 2, 8, 2, 0]])
    descending = torch.cartesian_prod(users, torch.arange(graph.num_items)).flip(0).t()
    for index in (unsorted, repeated, descending, unsorted[:, :1]):
        expected = dense[index[0], index[1]]
        torch.testing.assert_close(fitted.pairs(index), expected)
        torch.testing.assert_close(gp.FittedRecommender.pairs(fitted, index), expected)
    assert fitted.pairs(unsorted[:, :0]).shape == (0,)


class DenseScores(gp.FittedRecommender):
    """The scores of a matrix [U, I]; pairs by the default of the base class."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        self.asked: list[Tensor] = []

    def scores(self, users: Tensor) -> Tensor:
        self.asked.append(users)
        return self.matrix[users]


@st.composite
def scored_pairs(draw: st.DrawFn) -> tuple[int, int, Tensor]:
    """Numbers of users and items, and pairs [2, K] in any order, with repetitions."""
    users, items = draw(st.integers(1, 700)), draw(st.integers(1, 6))
    pair = st.tuples(st.integers(0, users - 1), st.integers(0, items - 1))
    pairs = draw(st.lists(pair, max_size=40))
    if draw(st.booleans()):  # every user, so that there are several batches of them
        pairs += [(user, user % items) for user in reversed(range(users))]
    return users, items, torch.tensor(pairs, dtype=torch.long).view(-1, 2).t()


@settings(deadline=None, max_examples=60)
@given(case=scored_pairs(), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_pairs_by_default_are_entries_of_the_score_matrix(
    case: tuple[int, int, Tensor], dtype: torch.dtype
) -> None:
    users, items, index = case
    draw = torch.Generator().manual_seed(users)
    fitted = DenseScores(torch.rand(users, items, generator=draw, dtype=dtype))
    assert torch.equal(fitted.pairs(index), fitted.matrix[index[0], index[1]])
    asked = torch.cat([index[0, :0], *fitted.asked])
    assert asked.tolist() == sorted(set(index[0].tolist()))  # each user of a pair once


def test_pairs_of_many_users_are_scored_a_batch_at_a_time() -> None:
    fitted = DenseScores(torch.arange(3000.0).view(1000, 3))
    draw = torch.Generator().manual_seed(0)
    index = torch.stack([torch.randperm(1000, generator=draw), torch.arange(1000) % 3])
    assert torch.equal(fitted.pairs(index), fitted.matrix[index[0], index[1]])
    assert len(fitted.asked) > 1
    assert max(map(len, fitted.asked)) < 1000


# --- Which epoch is kept ----------------------------------------------------------------------


def test_the_last_epoch_or_the_best(topics: Data) -> None:
    graph = gp.read_graph(topics)
    victim = gp.ModuleVictim(GCNModule, "own", epochs=40, lr=0.3)
    both = victim.train(graph, 0)
    assert list(both) == ["validation", "last"]
    assert not torch.equal(both["validation"], both["last"])
    assert torch.equal(victim.fit(graph, 0).logits(), both["validation"])
    last = replace(victim, select="last")
    assert torch.equal(last.fit(graph, 0).logits(), both["last"])
    hits = {
        name: int((logits.argmax(dim=1) == topics.y)[topics.val_mask].sum())
        for name, logits in both.items()
    }
    assert hits["validation"] >= hits["last"]
    shorter = replace(last, epochs=39).fit(graph, 0).logits()
    assert not torch.equal(shorter, both["last"])
    with pytest.raises(ValueError, match="select='best' is not known"):
        gp.ModuleVictim(GCNModule, "own", select="best")


class GCNModule(nn.Module):
    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.model = GCN(num_features, 8, 2, num_classes, dropout=0.5)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        logits: Tensor = self.model(x, edge_index)
        return logits


def test_last_by_name(topics: Data) -> None:
    flips = gp.RandomAttack()(gp.NodeClassification(topics), 5)
    report = gp.evaluate(topics, flips, ["mlp", "mlp:last"], [0])
    assert list(report.table["victim"]) == ["mlp", "mlp:last"]
    assert node_victim("gcn:last").select == "last"
    with pytest.raises(ValueError, match="victims='gnc'"):
        node_victim("gnc:last")


def test_a_perceptron_sees_no_edges(topics: Data) -> None:
    flips = gp.RandomAttack()(gp.NodeClassification(topics), 50)
    report = gp.evaluate(topics, flips, "mlp", [0, 1])
    assert report.table["drop"].abs().max() == 0


# --- GRAND and Soft-Median-GDC ----------------------------------------------------------------


def test_grand_propagates_the_mean_of_powers() -> None:
    data = citation_graph(12, dtype=torch.float64)
    with isolated_rng(0):
        module = GRAND(data.num_features, 3, order=3).double().eval()
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=12)[0].double()
    matrix = adjacency + torch.eye(12, dtype=torch.float64)
    root = matrix.sum(dim=1).rsqrt()
    matrix = root[:, None] * matrix * root[None, :]
    mixed = sum(torch.linalg.matrix_power(matrix, power) for power in range(4)) / 4
    expected = module.second(module.first(mixed @ data.x).relu())
    torch.testing.assert_close(module(data.x, data.edge_index), expected)
    module.train()
    assert module(data.x, data.edge_index).shape == (4, 12, 3)
    assert module.penalty().item() > 0


def test_the_samples_of_grand_are_told_to_agree() -> None:
    same = torch.randn(1, 5, 3).expand(4, 5, 3)
    sharp = torch.full((4, 5, 3), -50.0)
    sharp[..., 0] = 50.0
    assert float(divergence(sharp)) == pytest.approx(0.0)
    assert float(divergence(same)) > 0  # not sharp yet
    predicted = same[0].softmax(dim=1)
    target = predicted**2 / (predicted**2).sum(dim=1, keepdim=True)
    expected = (predicted - target).square().sum(dim=1).mean()
    torch.testing.assert_close(divergence(same), expected)


def test_diffusion_is_personalised_pagerank() -> None:
    data = citation_graph(12, dtype=torch.float64)
    graph = diffused(gp.read_graph(data), teleport=0.2, neighbours=12)
    adjacency = to_dense_adj(data.edge_index, max_num_nodes=12)[0].double()
    matrix = adjacency + torch.eye(12, dtype=torch.float64)
    root = matrix.sum(dim=1).rsqrt()
    matrix = root[:, None] * matrix * root[None, :]
    rank = 0.2 * torch.linalg.inv(torch.eye(12, dtype=torch.float64) - 0.8 * matrix)
    expected = rank / rank.sum(dim=1, keepdim=True)
    found = torch.zeros(12, 12, dtype=torch.float64)
    found[graph.edge_index[1], graph.edge_index[0]] = graph.edge_weight
    torch.testing.assert_close(found, expected)
    few = diffused(gp.read_graph(data), neighbours=3)
    assert int(few.edge_index[1].bincount().max()) == 3
    big = gp.NodeGraph(torch.zeros(20_001, 1), torch.zeros(20_001).long(), data.edge_index)
    with pytest.raises(ValueError, match="20,001 x 20,001"):
        diffused(big)
