"""Attacks that would choose flips by nothing are refused, whatever the surrogate."""

from dataclasses import replace

import pytest
import torch
from conftest import citation_graph, interaction_graph
from torch_geometric.data import Data

import graphpoison as gp
from graphpoison.hypergradient.base import VanishedGradientError
from graphpoison.sparse import FactoredGradient

SHORT = gp.Training(steps=4, lr=0.1)
NODES = ["linear-gcn", "relu-gcn", "sgc"]


def featureless() -> Data:
    data = citation_graph()
    data.x = torch.zeros_like(data.x)
    return data


@pytest.mark.parametrize("candidates", ["all", "some"])
@pytest.mark.parametrize("surrogate", NODES)
def test_features_of_zeros_have_no_meta_gradient(surrogate: str, candidates: str) -> None:
    data = featureless()
    some = data.edge_index[:, data.edge_index[0] < data.edge_index[1]]
    task = gp.NodeClassification(data, surrogate, candidates="all" if candidates == "all" else some)
    with pytest.raises(ValueError, match="is 0 for every candidate"):
        gp.MetaAttack(SHORT)(task, 3)


@pytest.mark.parametrize("surrogate", NODES)
def test_numbers_too_large_have_no_meta_gradient(surrogate: str) -> None:
    data = citation_graph(dtype=torch.float32)
    data.x = data.x * 3e38
    with pytest.raises(FloatingPointError):
        gp.MetaAttack(SHORT)(gp.NodeClassification(data, surrogate), 3)


@pytest.mark.parametrize("model", [gp.CF(dim=2), gp.LightGCN(dim=2)])
def test_a_recommender_that_starts_at_zero_has_no_meta_gradient(model: gp.Recommender) -> None:
    task = gp.Recommendation(interaction_graph(), model)
    start = [torch.zeros_like(part) for part in task.init(torch.Generator())]
    with pytest.raises(VanishedGradientError, match="is 0 for every candidate"):
        gp.Unrolled().at(task, SHORT, task.state, tuple(start))


def test_flips_that_are_made_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient that vanishes after two flips ends the attack, and loses nothing."""
    whole, calls = gp.MetaAttack.propose, []

    def propose(self: gp.MetaAttack, *args: object) -> object:
        calls.append(args)
        if len(calls) > 2:
            raise VanishedGradientError("is 0 for every candidate")
        return whole(self, *args)

    monkeypatch.setattr(gp.MetaAttack, "propose", propose)
    found = gp.MetaAttack(SHORT)(gp.NodeClassification(citation_graph()), 5)
    assert len(found) == 2
    assert found.provenance["finished"]


class Dies(gp.Unrolled):
    """A meta-gradient that is 0 from call ``last`` on."""

    def through(self, *args: object) -> object:
        found = super().through(*args)
        CALLS.append(args)
        if len(CALLS) <= LAST[0]:
            return found
        return replace(found, gradient=FactoredGradient.of_matrix(torch.zeros(14, 14)))


CALLS: list[object] = []
LAST = [0]


@pytest.mark.parametrize("last", [2, 5, 7])
def test_a_search_keeps_its_flips_when_the_gradient_vanishes(last: int) -> None:
    CALLS.clear()
    LAST[0] = last
    attack = gp.SwapSearch(gp.MetaAttack(SHORT, hypergradient=Dies()), rounds=4)
    found = attack(gp.NodeClassification(citation_graph()), 5)
    assert len(found) == min(last, 5)


@pytest.mark.parametrize("kind", [gp.PRBCD, gp.GRBCD])
def test_a_block_attack_survives_a_gradient_that_vanishes(kind: type) -> None:
    CALLS.clear()
    LAST[0] = 3
    attack = kind(SHORT, epochs=6, block_size=60, hypergradient=Dies())
    assert len(attack(gp.NodeClassification(citation_graph()), 6)) > 0


def test_an_estimate_survives_a_gradient_that_vanishes() -> None:
    CALLS.clear()
    LAST[0] = 1
    attack = gp.MetaAttack(SHORT, hypergradient=Dies())
    assert gp.estimate(attack, gp.NodeClassification(citation_graph()), 4).seconds > 0.0
