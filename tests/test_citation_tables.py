"""Attacks on citation graphs: every line of the tables runs, and figures are what they say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import graphpoison as gp
from graphpoison._store import Store
from graphpoison.reproduce import run
from graphpoison.reproduce.citation import METHODS, CitationExperiment
from graphpoison.reproduce.citation_tables import (
    CITATION_TABLES,
    CitationTable,
    citation_section,
    levels,
)
from graphpoison.reproduce.experiment import DataSet
from graphpoison.reproduce.outcome import reproduce
from graphpoison.victims.nodes.gcn import gcn

GRAPH = DataSet("synthetic-citation", (("num_nodes", 90), ("num_classes", 3), ("num_words", 40)))


@dataclass(frozen=True, kw_only=True)
class Small(CitationExperiment):
    """With victims that train for three epochs."""

    def victims(self, seed: int) -> dict[str, tuple[Any, Sequence[int]]]:
        (starts,) = {starts for _, starts in super().victims(seed).values()}
        quick = gp.ModuleVictim(gcn, name="quick", epochs=3)
        return {name: (quick, starts) for name in self.models}


SMALL = Small(
    name="small",
    dataset=GRAPH,
    budgets=(0.0, 5.0, 10.0),
    flips_per_step=4,
    attacks=tuple(METHODS),
    training=gp.Training(steps=4, lr=0.1, momentum=0.9),
    constraints=(gp.NoSingletons(),),
    starts=2,
)


@pytest.mark.parametrize("name", METHODS)
def test_every_attack_is_measured_at_every_budget(name: str, tmp_path: Path) -> None:
    found = run(replace(SMALL, attacks=(name,)), tmp_path, seeds=[3])
    assert found["flips"].value_counts().to_dict() == {0.0: 2, 5.0: 2, 10.0: 2}
    untouched = found[found["flips"] == 0]
    assert untouched["clean"].tolist() == untouched["poisoned"].tolist()
    attacks = [gp.Perturbation.load(path) for path in (tmp_path / "flips").iterdir()]
    edges = GRAPH.load().num_edges // 2
    budgets = {attack.meta["budget"] for attack in attacks}
    most = {edges // 10} | ({edges // 20} if METHODS[name].whole else set())
    assert budgets == most
    assert all(0 < len(attack) <= attack.meta["budget"] for attack in attacks)


def test_another_seed_has_other_victims() -> None:
    starts = [list(SMALL.victims(seed)["gcn"][1]) for seed in range(3)]
    assert starts == [[0, 1], [2, 3], [4, 5]]


def test_an_attack_that_ends_early_counts_at_the_budgets_beyond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(METHODS["random"], attack=lambda _: gp.RandomAttack([gp.NodeBudget(0)]))
    monkeypatch.setitem(METHODS, "random", few)
    found = run(replace(SMALL, attacks=("random",)), tmp_path, seeds=[0])
    assert len(found) == 3 * 2
    assert found["clean"].tolist() == found["poisoned"].tolist()


def test_a_changed_attack_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(SMALL, attacks=("random", "dice"), budgets=(0.0, 5.0))
    first = run(few, tmp_path, seeds=[0])
    changed = replace(METHODS["random"], attack=lambda _: gp.RandomAttack([gp.NodeBudget(0)]))
    monkeypatch.setitem(METHODS, "random", changed)
    second = run(few, tmp_path, seeds=[0])
    poisoned = [found.set_index("attack")["poisoned"] for found in (first, second)]
    assert poisoned[0]["dice"].tolist() == poisoned[1]["dice"].tolist()
    assert poisoned[0]["random"].tolist() != poisoned[1]["random"].tolist()
    assert second.loc[second["attack"] == "random", "poisoned"].tolist() == (
        second.loc[second["attack"] == "random", "clean"].tolist()
    )
    units = (key.partition("/")[2] for key in Store(tmp_path / "runs.sqlite").all())
    names = sorted(unit.split("-")[0] for unit in units)
    assert names == ["dice", "random", "random"]


def test_an_unknown_attack_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean 'dice'"):
        run(replace(SMALL, attacks=("dise",)), tmp_path, seeds=[0])


@pytest.mark.parametrize("name", ["cora", "cora-ml", "citeseer"])
def test_quick_means_at_most_five_gradients(name: str, real_data: Path) -> None:
    quick = CITATION_TABLES[name].experiment.quick()
    most = max(quick.flips(quick.dataset.load(real_data)))
    for attack in quick.attacks:
        runner = quick.runner(attack)
        if METHODS[attack].whole:
            gradients = runner.steps if isinstance(runner, gp.PGDAttack) else runner.epochs
            assert gradients == 5
        elif isinstance(runner, gp.MetaAttack):
            assert most <= 5 * runner.flips_per_step


def made_up() -> pd.DataFrame:
    rows = [
        ("meta-self", "gcn", "accuracy", "test", share, 0.8 + noise, 0.8 - share / 100 + 2 * noise)
        for share in (0.0, 5.0)
        for noise in (-0.01, 0.0, 0.01)
    ]
    columns = ["attack", "model", "metric", "split", "flips", "clean", "poisoned"]
    return pd.DataFrame(rows, columns=columns)


def test_levels_and_paired_drops_have_their_own_intervals() -> None:
    frame = levels(made_up()).set_index("share")
    t = 4.302652729911275  # 0.975 quantile of Student's t with 2 degrees of freedom
    assert frame.loc[5.0, "accuracy"] == pytest.approx(0.75)
    assert frame.loc[5.0, "drop"] == pytest.approx(0.05)
    assert frame.loc[5.0, "accuracy_ci95"] == pytest.approx(t * 0.02 / np.sqrt(3))
    assert frame.loc[5.0, "drop_ci95"] == pytest.approx(t * 0.01 / np.sqrt(3))
    assert frame["runs"].tolist() == [3, 3]


def test_published_figures_stand_beside_ours() -> None:
    published = (("meta-self", 5.0, 0.766, "a paper"), ("meta-train", 5.0, 0.9, "another"))
    table = CitationTable("a caption", SMALL, published)
    text = citation_section(table, levels(made_up()), "name", "a command")
    assert "| meta-self | 5% | 0.766 | 0.7500 | -0.0160 | a paper |" in text
    assert "another" not in text  # its attack was not measured
    assert "| meta-self | 0.8000 ± 0.0497 | 0.7500 ± 0.0497 |" in text
    assert repr(SMALL) in text


def test_a_table_of_victims_has_a_line_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(SMALL, attacks=("random", "dice"), models=("gcn", "sgc"), budgets=(0.0, 5.0))
    monkeypatch.setitem(CITATION_TABLES, "cora-transfer", CitationTable("a caption", few))
    made = reproduce("cora-transfer", tmp_path, seeds=1)
    assert "| model | clean | random | dice |" in made.section
    assert "\n| sgc | 0." in made.section
    assert [path.name for path in made.files] == [
        "table-cora-transfer.csv",
        "table-cora-transfer.md",
    ]
    assert len(pd.read_csv(made.files[0])) == 2 * 2 * 2


def test_the_tables_are_those_of_the_page() -> None:
    assert {table.experiment.dataset.name for table in CITATION_TABLES.values()} == {
        "cora",
        "cora-ml",
        "citeseer",
    }
    for table in CITATION_TABLES.values():
        quick = table.experiment.quick()
        assert quick.flips_per_step > table.experiment.flips_per_step
        assert set(table.experiment.attacks) <= set(METHODS)
