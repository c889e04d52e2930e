"""The device follows the data, and the numbers do not depend on it."""

import pytest
import torch
from conftest import citation_graph, interaction_graph

import graphpoison as gp

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
SETTINGS = [
    gp.Unrolled(steps=8, lr=0.1, momentum=0.9),
    gp.Unrolled(steps=8, lr=0.05, optimizer="adam"),
    gp.Unrolled(steps=8, lr=0.5, clip=0.01),
]
RECOMMENDERS = [
    gp.CF(4),
    gp.CF(4, dropout=0.2),
    gp.GMF(4),
    gp.GMF(4, (3,)),
    gp.NeuMF(4, (3,)),
    gp.LightGCN(4),
]


@pytest.mark.parametrize("gradient", SETTINGS)
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn"])
def test_node_classification_gives_the_same_on_cuda(surrogate: str, gradient: gp.Unrolled) -> None:
    data = citation_graph(num_nodes=40)
    here = gp.NodeClassification(data, surrogate)
    there = gp.NodeClassification(data.clone().to("cuda"), surrogate)
    found = gradient(there).values
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), gradient(here).values, rtol=1e-7, atol=1e-12)
    attack = gp.MetaAttack(gradient, constraints=[gp.NoSingletons()])
    assert torch.equal(attack(here, 8).pairs, attack(there, 8).pairs)


@pytest.mark.parametrize("gradient", SETTINGS)
@pytest.mark.parametrize("loss", ["log", "bpr"])
@pytest.mark.parametrize("surrogate", RECOMMENDERS)
def test_recommendation_gives_the_same_on_cuda(
    surrogate: gp.Recommender, loss: str, gradient: gp.Unrolled
) -> None:
    data = interaction_graph(20, 30, positives=150, negatives=150)
    here, there = (
        gp.Recommendation(graph, surrogate, loss=loss, dtype=torch.float64)
        for graph in (data, data.clone().to("cuda"))
    )
    torch.testing.assert_close(
        gradient(there).values.cpu(), gradient(here).values, rtol=1e-7, atol=1e-12
    )
    attack = gp.MetaAttack(gradient, flips_per_step=3)
    assert torch.equal(attack(here, 9).pairs, attack(there, 9).pairs)


def test_random_flips_and_evaluation_on_cuda() -> None:
    for data, make in (
        (interaction_graph(), gp.Recommendation),
        (citation_graph(num_nodes=30, dtype=torch.float32), gp.NodeClassification),
    ):
        data = data.to("cuda")
        flips = gp.RandomAttack(allow_removals=True)(make(data), 5)
        poisoned = flips.apply(data)
        assert all(store.edge_index.is_cuda for store in poisoned.stores if "edge_index" in store)
        assert len(gp.evaluate(data, flips, seeds=[0]).table)
