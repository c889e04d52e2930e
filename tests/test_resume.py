"""What was interrupted goes on, and ends as if it had not been; what is of another run does not."""

import json
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import killed
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from killed import AT_ONCE, IN_STEPS, JOBS, OTHERS, SHORT, link_task, node_task
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN, GCNConv

import graphpoison as gp
from graphpoison._store import Store
from graphpoison.attacks import checkpoint

QUICK = gp.RecommenderVictim(gp.CF(dim=2), "cf", gp.Training(steps=5, lr=0.1, optimizer="adam"))


# Killed


SHOWN = {"links", "prbcd", "evaluate"}  # the fastest of each kind
MARKED = [name if name in SHOWN else pytest.param(name, marks=pytest.mark.slow) for name in JOBS]


@pytest.mark.parametrize("name", MARKED)
def test_a_killed_run_ends_as_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(list(JOBS).index(name))
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    stops = [0, 1] if name in AT_ONCE else [2, 1]
    stops = [5, 7] if name in OTHERS else stops
    for folder in (cut, whole):
        folder.mkdir()
    assert killed.kill_and_resume(name, cut, stops, draw) >= (1 if name in AT_ONCE else 2)
    found = JOBS[name](cut)
    pd.testing.assert_frame_equal(found, JOBS[name](whole), check_exact=True)
    assert not found.empty
    if name in IN_STEPS:
        assert gp.Perturbation.load(cut / "run.npz").provenance["sessions"] >= 2


@pytest.mark.parametrize("attack", [gp.RandomAttack(), gp.PGDAttack(SHORT, 4, samples=2)])
def test_flips_cut_in_the_middle_of_a_step_are_made_again(
    attack: gp.Attack, tmp_path: Path
) -> None:
    file = tmp_path / "run.npz"
    whole = attack(node_task(), 8)
    assert whole.flips["step"].iloc[4] == 0
    whole.prefix(5).save(file)
    pd.testing.assert_frame_equal(attack(node_task(), 8, checkpoint=file).flips, whole.flips)


def test_a_finished_attack_is_read_back_even_if_it_left_budget_over(tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    attack = gp.MetaAttack(SHORT, 10, allow_removals=False)
    found = attack(link_task(), 30, checkpoint=file)
    assert len(found) == 18
    before = file.read_bytes()

    def refuse(*args: object) -> None:
        raise AssertionError("a finished attack was made again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gp.MetaAttack, "propose", refuse)
        again = attack(link_task(), 30, checkpoint=file)
    pd.testing.assert_frame_equal(again.flips, found.flips)
    assert again.provenance == found.provenance
    assert file.read_bytes() == before


# Refused


def saved(tmp_path: Path) -> Path:
    file = tmp_path / "run.npz"
    gp.MetaAttack(SHORT, constraints=[gp.NoSingletons()])(node_task(), 3, checkpoint=file)
    return file


BASE: dict[str, Any] = {"flips_per_step": 1, "constraints": [gp.NoSingletons()]}
DIFFERENCES = [
    ({"flips_per_step": 5}, "attack.flips_per_step is 1 there and 5 here"),
    ({"redraw": False}, "attack.redraw is True there and False here"),
    ({"constraints": []}, "attack.constraints is [NoSingletons] there and [] here"),
    ({"training": replace(SHORT, lr=0.2)}, "attack.training.lr is 0.1 there and 0.2 here"),
    (
        {"hypergradient": gp.Approximate()},
        "attack.hypergradient is Unrolled there and Approximate here",
    ),
]


@pytest.mark.parametrize(("change", "message"), DIFFERENCES)
def test_other_settings_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = saved(tmp_path)
    attack = gp.MetaAttack(**{"training": SHORT, **BASE, **change})
    with pytest.raises(ValueError, match="is of another run") as error:
        attack(node_task(), 3, checkpoint=file)
    assert message in str(error.value)
    assert "remove it" in str(error.value)


def test_another_attack_task_seed_budget_graph_or_version_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved(tmp_path)
    attack = gp.MetaAttack(SHORT, **BASE)
    with pytest.raises(ValueError, match="attack is MetaAttack there and RandomAttack here"):
        gp.RandomAttack()(node_task(), 3, checkpoint=file)
    other = gp.NodeClassification(citation_graph(num_nodes=20), gp.LinearGCN(hidden=3))
    with pytest.raises(ValueError, match=r"task\.surrogate\.hidden is 16 there and 3 here"):
        attack(other, 3, checkpoint=file)
    with pytest.raises(ValueError, match="seed is 0 there and 1 here"):
        attack(node_task(), 3, seed=1, checkpoint=file)
    with pytest.raises(ValueError, match=r"budget is 3 there and 9 here \(an attack depends on"):
        attack(node_task(), 9, checkpoint=file)
    data = citation_graph(num_nodes=20)
    data.x = 1.0 - data.x
    with pytest.raises(ValueError, match=r"fingerprint is \w{16} there .* labels\)"):
        attack(gp.NodeClassification(data), 3, checkpoint=file)
    monkeypatch.setattr("graphpoison.attacks.base.SERIES", "0.7")
    with pytest.raises(ValueError, match=r"graphpoison is 0\.1 there and 0\.7 here"):
        attack(node_task(), 3, checkpoint=file)


def test_dtype_and_draws_of_a_recommendation_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    attack, data = gp.MetaAttack(SHORT), interaction_graph()
    attack(gp.Recommendation(data, gp.CF(dim=3)), 3, checkpoint=file)
    for options, message in (
        ({"dtype": torch.float64}, r"task\.dtype is torch.float32 there and torch.float64 here"),
        ({"seed": 4}, r"task\.seed is 0 there and 4 here"),
    ):
        with pytest.raises(ValueError, match=message):
            attack(gp.Recommendation(data, gp.CF(dim=3), **options), 3, checkpoint=file)


def test_fake_users_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    attack = gp.SimilarUsers(3, "kmeans", attack=killed.ADDING)
    found = attack(link_task(), 3, checkpoint=file)
    assert found.meta["attack"] == repr(attack)
    with pytest.raises(ValueError, match=r"attack\.num_users is 3 there and 4 here"):
        replace(attack, num_users=4)(link_task(), 3, checkpoint=file)
    with pytest.raises(ValueError, match=r"attack is SimilarUsers there and NewUsers here"):
        gp.NewUsers(3, killed.ADDING)(link_task(), 3, checkpoint=file)
    with pytest.raises(ValueError, match=r"task\.surrogate\.dim is 3 there and 2 here"):
        attack(gp.Recommendation(interaction_graph(), gp.CF(dim=2)), 3, checkpoint=file)


def test_fake_users_of_an_unfinished_run_are_those_of_the_file(tmp_path: Path) -> None:
    """K-means and training on a GPU round otherwise in another session."""
    file = tmp_path / "run.npz"
    attack = gp.SimilarUsers(3, "kmeans", attack=killed.ADDING)
    whole = attack(link_task(), 4)
    whole.prefix(2).save(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gp.SimilarUsers, "fake_users", lambda *_: pytest.fail("computed anew"))
        found = attack(link_task(), 4, checkpoint=file)
    pd.testing.assert_frame_equal(found.flips, whole.flips)
    assert torch.equal(found.fake_users.latent[0], whole.fake_users.latent[0])


class Unseeded(nn.Module):
    """A layer whose scale nobody draws anew: each process has another."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.layer = GCNConv(24, 3)
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x: torch.Tensor, index: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return self.scale * self.layer(x, index, weight)


def test_a_module_that_starts_elsewhere_is_refused(tmp_path: Path) -> None:
    file, attack = tmp_path / "run.npz", gp.MetaAttack(SHORT)
    data = citation_graph(dtype=torch.float32)
    attack(gp.NodeClassification(data, Unseeded(1.0)), 2, checkpoint=file)
    attack(gp.NodeClassification(data, Unseeded(1.0)), 2, checkpoint=file)
    with pytest.raises(ValueError, match=r"start is .* layer with parameters needs reset_"):
        attack(gp.NodeClassification(data, Unseeded(2.0)), 2, checkpoint=file)


class InEachStep(gp.Constraint):
    """A constraint of somebody's own, which prints as where it lies in memory."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def additions(self, state: object) -> None:
        return None

    def removals(self, state: object) -> None:
        return None

    def violation(self, clean: object, poisoned: object) -> None:
        return None


def test_a_constraint_of_ones_own_is_known_by_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    gp.MetaAttack(SHORT, constraints=[InEachStep(1)])(node_task(), 2, checkpoint=file)
    gp.MetaAttack(SHORT, constraints=[InEachStep(1)])(node_task(), 2, checkpoint=file)
    with pytest.raises(ValueError, match=r"constraints\[0\]\.limit is 1 there and 2 here"):
        gp.MetaAttack(SHORT, constraints=[InEachStep(2)])(node_task(), 2, checkpoint=file)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return saved(tmp_path_factory.mktemp("whole")).read_bytes()


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 0.999), place=st.floats(0, 0.999), change=st.integers(1, 255))
def test_damaged_files_are_refused_and_never_half_read(
    share: float, place: float, change: int, content: bytes
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.npz")
        file.write_bytes(content)
        whole = gp.Perturbation.load(file)
        file.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match="damaged"):
            gp.Perturbation.load(file)
        changed = bytearray(content)
        changed[int(place * len(content))] ^= change
        file.write_bytes(changed)
        try:
            found = gp.Perturbation.load(file)
        except ValueError:
            return
    pd.testing.assert_frame_equal(found.flips, whole.flips)  # a byte that nothing depends on
    assert found.meta == whole.meta


class Aimed(gp.NodeClassification):
    """Attacks one node's prediction."""

    def __init__(self, data: Data, target: int) -> None:
        super().__init__(data)
        self.target = target

    def attack_loss(self, params: object, prepared: object) -> Tensor:
        return -self.surrogate.logits(params, prepared)[self.target].max()


def test_a_task_of_ones_own_is_known_by_its_fields(tmp_path: Path) -> None:
    data, file = citation_graph(), tmp_path / "run.npz"
    first = gp.MetaAttack(SHORT)(Aimed(data, 1), 2, checkpoint=file)
    again = gp.MetaAttack(SHORT)(Aimed(data, 1), 2, checkpoint=file)
    pd.testing.assert_frame_equal(first.flips, again.flips)
    with pytest.raises(ValueError, match="target is 1 there and 5 here"):
        gp.MetaAttack(SHORT)(Aimed(data, 5), 2, checkpoint=file)


def test_a_header_that_does_not_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    header = b"{'descr': ('<U1', (".ljust(53) + b"\n"
    with zipfile.ZipFile(file, "w") as whole:
        whole.writestr("meta.npy", b"\x93NUMPY\x01\x00" + bytes([len(header), 0]) + header)
    with pytest.raises(ValueError, match="damaged"):
        gp.Perturbation.load(file)


def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    file.write_bytes(content[:-50])
    for attack, task in (
        (gp.MetaAttack(SHORT), node_task()),
        (gp.NewUsers(2, killed.ADDING), link_task()),
    ):
        with pytest.raises(ValueError, match="damaged"):
            attack(task, 3, checkpoint=file)


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    for content in (b"", b"source,target\n", b"PK\x03\x04"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="no saved perturbation"):
            gp.Perturbation.load(file)
    np.savez(file, source=np.zeros(3))
    with pytest.raises(ValueError, match="it lacks"):
        gp.Perturbation.load(file)
    meta = np.array(json.dumps({"format": 9}))
    np.savez(file, meta=meta, provenance=np.array("{}"), **empty_columns())
    with pytest.raises(ValueError, match=r"is of format 9, not one of \(1, 2\)"):
        gp.Perturbation.load(file)
    with pytest.raises(FileNotFoundError):
        gp.Perturbation.load(tmp_path / "none.npz")


def empty_columns() -> dict[str, np.ndarray]:
    names = ("step", "source", "target", "added", "score", "attack_loss", "kind")
    return {name: np.zeros(0) for name in names}


# Evaluations


def random_flips(count: int = 8, seed: int = 0) -> gp.Perturbation:
    return gp.RandomAttack()(gp.Recommendation(interaction_graph(), gp.CF(dim=2)), count, seed)


def count_trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    fit, calls = gp.RecommenderVictim.fit, []
    monkeypatch.setattr(gp.RecommenderVictim, "fit", lambda *args: calls.append(1) or fit(*args))
    return calls


def test_more_seeds_budgets_victims_and_attacks_reuse_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, data, flips = tmp_path / "runs.sqlite", interaction_graph(), random_flips()
    calls = count_trainings(monkeypatch)
    gp.evaluate(data, {"one": flips}, [QUICK], [0], [4], checkpoint=file)
    assert len(calls) == 2
    gp.evaluate(data, {"one": flips}, [QUICK], [0], [4], checkpoint=file)
    assert len(calls) == 2
    gp.evaluate(data, {"one": flips}, [QUICK], [0], [4, 8], checkpoint=file)
    assert len(calls) == 2 + 2
    attacks = {"one": flips, "two": random_flips(seed=1)}
    victims = [QUICK, replace(QUICK, model=gp.GMF(dim=2), name="gmf")]
    report = gp.evaluate(data, attacks, victims, [0, 1], [4, 8], checkpoint=file)
    assert len(calls) == 4 + 3 + 3 * 5
    fresh = gp.evaluate(data, attacks, victims, [0, 1], [4, 8])
    pd.testing.assert_frame_equal(report.runs, fresh.runs, check_exact=True)
    pd.testing.assert_frame_equal(
        gp.evaluate(data, {"one": flips}, [QUICK], [1], [8], checkpoint=file).runs,
        gp.evaluate(data, {"one": flips}, [QUICK], [1], [8]).runs,
        check_exact=True,
    )
    units = [rows for key, rows in Store(file).all().items() if key.startswith('["unit"')]
    assert sum(map(len, units)) == len(fresh.runs)
    before = len(calls)
    data["user"].x = torch.ones(7, 2)  # which no recommender reads
    gp.evaluate(data, attacks, victims, [0, 1], [4, 8], checkpoint=file)
    gp.evaluate(gp.read_graph(data), attacks, victims, [0, 1], [4, 8], checkpoint=file)
    assert len(calls) == before


def test_metrics_that_are_no_number_come_back(tmp_path: Path) -> None:
    data, file = interaction_graph(), tmp_path / "runs.sqlite"
    store = data["user", "rates", "item"]
    store.unseen_edge_index = store.unseen_edge_index[:, :0]
    store.neg_edge_index = store.neg_edge_index[:, :0]
    flips = gp.RandomAttack(allow_removals=True)(gp.Recommendation(data, gp.CF(dim=2)), 0)
    first, again = (
        gp.evaluate(data, {"NA, #1": flips}, [QUICK], [0], checkpoint=file).runs for _ in range(2)
    )
    assert first["clean"].isna().any()
    pd.testing.assert_frame_equal(again, first, check_exact=True)
    assert again["attack"].eq("NA, #1").all()


OTHER_DATA = interaction_graph()
OTHER_STORE = OTHER_DATA["user", "rates", "item"]
OTHER_STORE.unseen_edge_index = OTHER_STORE.unseen_edge_index[:, 1:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: {"data": OTHER_DATA}, r"graph is \w{16} there and \w{16} here"),
        (lambda: {"include_perturbed": True}, "include_perturbed is False there and True here"),
        (
            lambda: {"victims": [replace(QUICK, model=gp.CF(dim=3))]},
            r"victim 'cf'\.model\.dim is 2 there and 3 here",
        ),
        (
            lambda: {"victims": [replace(QUICK, training=replace(QUICK.training, steps=6))]},
            r"victim 'cf'\.training\.steps is 5 there and 6 here",
        ),
        (
            lambda: {"perturbation": {"one": random_flips(seed=5)}},
            r"the first 4 flips of 'one' is .*attack 'one'\.seed is 0 there and 5 here",
        ),
    ],
)
def test_another_evaluation_is_refused(
    change: Callable[[], dict[str, Any]], message: str, tmp_path: Path
) -> None:
    asked = {
        "data": interaction_graph(),
        "perturbation": {"one": random_flips()},
        "victims": [QUICK],
        "seeds": [0],
        "budgets": [4],
        "checkpoint": tmp_path / "runs.sqlite",
    }
    gp.evaluate(**asked)
    with pytest.raises(ValueError, match=f"is of another evaluation: {message}"):
        gp.evaluate(**{**asked, **change()})


def test_flips_beyond_the_training_pairs_go_on_in_the_same_file(tmp_path: Path) -> None:
    data, file = interaction_graph(), tmp_path / "runs.sqlite"
    attack = gp.RandomAttack()
    wide = attack(gp.Recommendation(data, gp.CF(dim=2), candidates="all"), 8)
    gp.evaluate(data, {"one": random_flips()}, [QUICK], [0], checkpoint=file)
    both = {"one": random_flips(), "wide": wide}
    resumed = gp.evaluate(data, both, [QUICK], [0], checkpoint=file).runs
    pd.testing.assert_frame_equal(resumed, gp.evaluate(data, both, [QUICK], [0]).runs)


def narrow(features: int, classes: int) -> nn.Module:
    return GCNConv(features, classes)


def test_module_factories_are_known_by_their_source(tmp_path: Path) -> None:
    data, file = citation_graph(num_nodes=20, dtype=torch.float32), tmp_path / "runs.sqlite"
    flips = gp.RandomAttack()(gp.NodeClassification(data), 4)
    victim = gp.ModuleVictim(narrow, "own", epochs=2)
    gp.evaluate(data, flips, [victim, "sgc"], [0], checkpoint=file)
    gp.evaluate(data, flips, [victim, "sgc"], [0], checkpoint=file)
    for other in (lambda f, c: GCNConv(f, c, bias=False), factory(4)):
        with pytest.raises(ValueError, match=r"victim 'own'\.build is narrow \(\w{8}\) there"):
            gp.evaluate(data, flips, [replace(victim, build=other)], [0], checkpoint=file)
    four, five = (replace(victim, name="wide", build=factory(width)) for width in (4, 5))
    gp.evaluate(data, flips, [four], [0], checkpoint=file)
    with pytest.raises(ValueError, match=r"victim 'wide'\.build"):
        gp.evaluate(data, flips, [five], [0], checkpoint=file)
    with pytest.raises(ValueError, match="victims has 2 of the name 'own'"):
        gp.evaluate(data, flips, [victim, victim], [0], checkpoint=file)


def factory(width: int) -> Callable[[int, int], nn.Module]:
    def build(features: int, classes: int) -> nn.Module:
        return GCN(features, width, 2, classes)

    return build


def test_damaged_evaluations_are_refused(tmp_path: Path) -> None:
    file, data, flips = tmp_path / "runs.sqlite", interaction_graph(), random_flips()
    gp.evaluate(data, flips, [QUICK], [0, 1], checkpoint=file)
    content = file.read_bytes()
    for damaged in (content[:100], content[:5000], b"attack,victim\n", b"{}\n"):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="or it is damaged"):
            gp.evaluate(data, flips, [QUICK], [0, 1], checkpoint=file)
    file.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[gp.evaluate.__module__], "SERIES", "0.7")
        with pytest.raises(ValueError, match=r"graphpoison is 0\.1 there and 0\.7 here"):
            gp.evaluate(data, flips, [QUICK], [0, 1], checkpoint=file)
    assert checkpoint.SAVE_EVERY_SECONDS > 0


def test_more_budgets_of_flips_among_drawn_negatives_reuse_the_file(tmp_path: Path) -> None:
    data, file = interaction_graph(), tmp_path / "runs.sqlite"
    flips = {"one": random_flips()}
    first = gp.evaluate(data, flips, [QUICK], [0], [2], checkpoint=file)
    both = gp.evaluate(data, flips, [QUICK], [0], [2, 4], checkpoint=file)
    assert (
        both.runs[both.runs["flips"] == 2]["poisoned"].tolist() == first.runs["poisoned"].tolist()
    )
