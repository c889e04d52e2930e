"""An estimate counts the work of an attack; an attack keeps no memory of earlier gradients."""

import gc
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import citation_graph, interaction_graph
from typer.testing import CliRunner

import graphpoison as gp
from graphpoison.cli import app, plan
from graphpoison.estimates import estimate_ahead

SHORT = gp.Training(steps=3, lr=0.1)


def nodes() -> gp.NodeClassification:
    return gp.NodeClassification(citation_graph(), candidates="all")


@pytest.mark.parametrize(
    ("attack", "limit", "proposals"),
    [
        (gp.MetaAttack(SHORT), 5, 5),
        (gp.MetaAttack(SHORT, flips_per_step=2), 5, 3),
        (gp.MetaAttack(SHORT, lookahead=3), 4, 4),
        (gp.SwapSearch(gp.MetaAttack(SHORT), rounds=4, share=0.25), 4, 4 * 2 + 4),
        (gp.PRBCD(SHORT, epochs=5, block_size=50), 3, 1),
        (gp.GRBCD(SHORT, epochs=10, block_size=50), 3, 2),
        (gp.PGDAttack(SHORT, steps=10, samples=4), 3, 15 / 4),
        (gp.RandomAttack(), 3, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_counted(attack: gp.Attack, limit: int, proposals: float) -> None:
    task = nodes()
    before = task.state.weight.clone()
    found = gp.estimate(attack, task, limit)
    assert found.proposals == pytest.approx(proposals)
    assert found.seconds > 0.0
    assert found.setup_seconds >= 0.0
    assert found.bytes is None or found.bytes > 2**20
    assert torch.equal(task.state.weight, before)


def test_a_ranking_attack_has_two_halves() -> None:
    task = gp.Recommendation(interaction_graph(), gp.EASE())
    attack = gp.RankingAttack(steps=3)
    assert gp.estimate(attack, task, 4).proposals == 6
    assert gp.estimate(replace(attack, allow_removals=False), task, 4).proposals == 3


def test_fake_users_are_estimated_too() -> None:
    attack = gp.NewUsers(2, gp.MetaAttack(SHORT, allow_removals=False))
    task = gp.Recommendation(interaction_graph(), gp.CF(dim=2))
    assert gp.estimate(attack, task, 6).proposals == 6
    with pytest.raises(TypeError, match="Recommendation"):
        gp.estimate(attack, nodes(), 6)


def test_the_command_says_what_an_attack_will_cost(tmp_path: Path) -> None:
    table = tmp_path / "shop.csv"
    rows = [f"u{user},i{(user * 7 + step) % 11}" for user in range(30) for step in range(5)]
    table.write_text("\n".join(["user,item", *rows]))
    command = ["attack", str(table), "--budget", "6", "--dry-run", "--json"]
    command += ["--out", str(tmp_path / "flips.npz")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["budget"] == "6 flips"
    assert found["seconds"] >= 0.0
    assert list(tmp_path.iterdir()) == [table]


def tensors_alive() -> int:
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
def test_nothing_of_a_meta_gradient_stays(surrogate: str) -> None:
    task = gp.NodeClassification(citation_graph(), surrogate, candidates="all")
    held = []
    for _ in range(4):
        gp.Unrolled()(task, SHORT).topk(1)
        held.append(tensors_alive())
    assert held[3] == held[1]


@pytest.mark.parametrize("model", [gp.CF(dim=2), gp.LightGCN(dim=2), gp.GMF(dim=2, layers=(3,))])
def test_nothing_of_a_recommender_stays(model: object) -> None:
    task = gp.Recommendation(interaction_graph(), model)
    held = []
    for _ in range(4):
        gp.Unrolled()(task, SHORT).topk(1)
        held.append(tensors_alive())
    assert held[3] == held[1]


# Before a long attack


@pytest.mark.parametrize(
    ("attack", "task"),
    [
        (gp.MetaAttack(gp.Training(100, 0.1, 0.9)), lambda: nodes()),
        (gp.SwapSearch(gp.MetaAttack(SHORT), rounds=4), lambda: nodes()),
        (gp.RankingAttack(), lambda: gp.Recommendation(interaction_graph(), gp.EASE())),
        (gp.MetaAttack(SHORT), lambda: gp.Recommendation(interaction_graph(), gp.GMF(8, (4,)))),
        (gp.MetaAttack(SHORT), lambda: gp.Recommendation(interaction_graph(), gp.LightGCN(8))),
    ],
    ids=["nodes", "swaps", "ranking", "gmf", "lightgcn"],
)
def test_the_cost_is_known_ahead(attack: gp.Attack, task: Callable[[], gp.Task]) -> None:
    bound = task()
    found = estimate_ahead(attack, bound, gp.Budget(8))
    assert found is not None
    assert found.seconds > 0.0
    assert (found.bytes or 0) > 2**20
    assert found.proposals == attack.sample(bound, 8)[1]


@pytest.mark.parametrize(
    ("attack", "surrogate"),
    [(gp.RandomAttack(), gp.CF()), (gp.MetaAttack(SHORT), gp.NeuMF()), (gp.NewUsers(2), gp.CF())],
    ids=["no gradient", "no coefficients", "fake users"],
)
def test_a_cost_that_is_not_known_ahead(attack: gp.Attack, surrogate: gp.Recommender) -> None:
    task = gp.Recommendation(interaction_graph(), surrogate)
    assert estimate_ahead(attack, task, gp.Budget(2)) is None


@pytest.mark.parametrize(
    ("many", "text"),
    [(1, "measured on two proposals"), (1000, "estimated from sizes for another machine")],
)
def test_a_long_attack_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, text: str
) -> None:
    table = tmp_path / "shop.csv"
    rows = [f"u{user},i{(user * 7 + step) % 11}" for user in range(30) for step in range(5)]
    table.write_text("\n".join(["user,item", *rows]))
    command = ["attack", str(table), "--budget", "4", "--attack", "meta", "--steps", "2"]
    command += ["--out", str(tmp_path / "flips.npz")]
    quick = CliRunner().invoke(app, command)
    assert quick.exit_code == 0, quick.output
    assert "of memory" not in quick.stderr
    monkeypatch.setattr(plan, "WORTH_MEASURING", 0.0)
    monkeypatch.setattr(plan, "LONG", 0.0)
    monkeypatch.setattr(plan, "MANY", many)
    long = CliRunner().invoke(app, [*command, "--overwrite"])
    assert long.exit_code == 0, long.output
    assert text in long.stderr
    assert "--flips-per-step" in long.stderr
