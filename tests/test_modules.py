"""Modules of the user's own as surrogates: what trains, what stays, and what is refused."""

import pytest
import torch
from conftest import citation_graph, interaction_graph
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch_geometric.nn import GAT, GCN, GATConv, GCNConv

import graphpoison as gp
from graphpoison._random import generator

SHORT = gp.Training(steps=3, lr=0.1)


class Unweighted(nn.Module):
    """Takes edge weights and does nothing with them."""

    def __init__(self) -> None:
        super().__init__()
        self.only = GATConv(24, 3)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        return self.only(x, edge_index)


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = GCNConv(24, 4), GCNConv(4, 3)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        hidden = self.norm(self.first(x, edge_index, edge_weight)).tanh()
        return self.second(hidden, edge_index, edge_weight)


def test_a_module_that_says_it_takes_no_weights_is_refused() -> None:
    data, module = citation_graph(), GAT(24, 4, 2, 3)
    with pytest.raises(ValueError, match="surrogate GAT takes no edge weights"):
        gp.NodeClassification(data, module)
    task = gp.NodeClassification(data, module, "train", candidates=None, feature_candidates="all")
    flips = gp.MetaAttack(SHORT)(task, 2).flips
    assert set(flips["kind"]) == {"feature"}
    assert (flips["score"] != 0).all()
    victim = gp.surrogate_victim(task, gp.MetaAttack(SHORT))
    assert victim.fit(gp.read_graph(data), seed=0).logits().shape == (14, 3)


class Wrong(nn.Module):
    """A graph convolution that is no function of its arguments, in the way that ``what`` says."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.conv, self.what, self.calls = GCNConv(24, 3), what, 0

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        if self.what == "draws":
            x = dropout(x, 0.5)
        if self.what == "draws nothing that counts":
            torch.rand(1)
        if self.what == "counts its calls":
            self.calls += 1
            x = x * (1.0 + self.calls)
        if self.what == "changes x":
            x.mul_(0.9)
        if self.what == "changes weights":
            edge_weight.mul_(0.9)
        if self.what == "counts pairs":
            count = torch.bincount(edge_index[1], minlength=x.size(0)).clamp(min=1)
            return self.conv(x / count.unsqueeze(1).to(x), edge_index, edge_weight)
        found = self.conv(x, edge_index, edge_weight)
        if self.what == "too few classes":
            return found[:, :2]
        return (found, x) if self.what == "a tuple" else found


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("draws", "draws random numbers"),
        ("draws nothing that counts", "draws random numbers"),
        ("counts its calls", "another output when it is called again"),
        ("changes x", "changes its argument 0 in place"),
        ("changes weights", "changes its argument 2 in place"),
        ("counts pairs", "without the pairs of weight 0"),
        ("too few classes", r"shape \[14, 3\], or with more columns; found \[14, 2\]"),
    ],
)
@pytest.mark.parametrize("every", [True, False], ids=["all pairs", "some pairs"])
def test_a_module_that_is_no_function_is_refused(what: str, said: str, every: bool) -> None:
    data, module = citation_graph(), Wrong(what)
    before, state = data.x.clone(), torch.get_rng_state()
    candidates = "all" if every else data.edge_index[:, data.edge_index[0] < data.edge_index[1]]
    with pytest.raises(ValueError, match=said):
        gp.NodeClassification(data, module, candidates=candidates)
    assert torch.equal(data.x, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_are_probed_where_the_first_node_knows_all() -> None:
    data = citation_graph()
    others = torch.arange(1, 14)
    star = torch.stack([torch.zeros_like(others), others])
    data.edge_index = torch.cat([star, star.flip(0)], dim=1)
    with pytest.raises(ValueError, match="without the pairs of weight 0"):
        gp.NodeClassification(data, Wrong("counts pairs"), candidates=star)


def test_a_module_may_know_more_classes_than_the_graph_has() -> None:
    data = citation_graph()
    task = gp.NodeClassification(data, GCN(24, 4, 2, 5).double())
    assert len(gp.MetaAttack(SHORT)(task, 2)) == 2


@pytest.mark.parametrize("module", [Wrong("a tuple"), nn.Linear(24, 3)], ids=["tuple", "arguments"])
def test_a_module_of_another_form_is_refused(module: nn.Module) -> None:
    with pytest.raises(TypeError, match=r"surrogate (Wrong must return|Linear does not take)"):
        gp.NodeClassification(citation_graph(), module)


class Convolved(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(24, 3)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        return self.layer(self.head(x), edge_index, edge_weight)


class Scores(nn.Module):
    def __init__(self, draws: bool, counts: bool) -> None:
        super().__init__()
        self.items, self.draws, self.counts = nn.Embedding(9, 1), draws, counts

    def scores(self, pairs: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        found = self.items(pairs[1]).squeeze(1)
        if self.draws:
            found = dropout(found, 0.5)
        return found * edge_index.size(1) if self.counts else found


def test_a_recommender_that_is_no_function_is_refused() -> None:
    data = interaction_graph()
    assert gp.Recommendation(data, Scores(False, False)).state.num_edges == 20
    with pytest.raises(ValueError, match="draws random numbers"):
        gp.Recommendation(data, Scores(True, False))
    with pytest.raises(ValueError, match="without the pairs of weight 0"):
        gp.Recommendation(data, Scores(False, True))


def test_a_module_is_trained_as_a_victim() -> None:
    data = interaction_graph()
    victim = gp.RecommenderVictim(Scores(False, False), "mine", SHORT)
    scores = victim.fit(gp.read_graph(data), seed=0).scores(torch.arange(2))
    assert scores.shape == (2, 9)
    assert torch.equal(scores[0], scores[1])
    with pytest.raises(TypeError, match="model is the class Scores"):
        gp.RecommenderVictim(Scores, "mine")


def test_a_module_without_a_derivative_at_nodes_without_edges_is_refused() -> None:
    data = citation_graph()
    data.edge_index = data.edge_index[:, (data.edge_index != 3).all(dim=0)]
    modules = [Convolved(GCNConv(3, 3, add_self_loops=loops)) for loops in (True, False)]
    assert gp.NodeClassification(data, modules[0], candidates="all")
    with pytest.raises(ValueError, match=r"edge_weight is not finite.* node whose edges all"):
        gp.NodeClassification(data, modules[1], candidates="all")


@pytest.mark.parametrize("candidates", ["all", None])
def test_a_module_that_ignores_weights_is_refused(candidates: str | None) -> None:
    features = {"candidates": candidates, "feature_candidates": "all"}
    if candidates is None:
        assert gp.NodeClassification(citation_graph(), Unweighted(), **features)
        return
    with pytest.raises(ValueError, match="it ignores edge_weight, as GAT"):
        gp.NodeClassification(citation_graph(), Unweighted(), **features)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_frozen_parameters_and_buffers_stay_as_they_are(dtype: torch.dtype) -> None:
    data, module = citation_graph(dtype=dtype), Normed()
    module.first.lin.weight.requires_grad_(False)
    module.norm.running_mean.fill_(0.3)
    task = gp.NodeClassification(data, module, "train")
    found = gp.Unrolled()(task, SHORT, seed=0)
    names = [name for name, value in module.named_parameters() if value.requires_grad]
    assert len(found.params) == len(names) == 5
    edges, weight = data.edge_index, torch.ones(data.num_edges, dtype=dtype)
    params = dict(zip(names, task.init(generator(0)), strict=True))
    with torch.no_grad():
        trained = module.to(dtype).eval()
        logits = torch.func.functional_call(trained, params, (data.x, edges, weight))
    loss = nn.functional.cross_entropy(logits[data.train_mask], data.y[data.train_mask])
    mine = task.train_loss(tuple(params.values()), task.prepare(task.state))
    torch.testing.assert_close(mine, loss)


def test_a_module_that_is_frozen_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate has no parameters to train"):
        gp.NodeClassification(citation_graph(), Normed().requires_grad_(False))
