"""Studies of many runs: nothing twice, nothing lost, one row a run."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from conftest import citation_graph, interaction_graph
from killed import CONTEXT
from swept import Counted, study, sweeping, trained
from typer.testing import CliRunner

import graphpoison as gp
from graphpoison import datasets
from graphpoison._io import locked
from graphpoison.cli import app
from graphpoison.report import runs_of
from graphpoison.sweeps import folder as folders
from graphpoison.sweeps import running
from graphpoison.sweeps.folder import Folder
from graphpoison.sweeps.study import planned
from graphpoison.sweeps.table import COLUMNS

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
RUNS, EVALUATIONS = 18, 12


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "POLL_SECONDS", 0.01)


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "out")


def test_a_product_is_one_row_for_each_run(tmp_path: Path) -> None:
    frame = gp.sweep(study(tmp_path), tmp_path / "out")
    assert len(frame) == frame["run"].nunique() == RUNS
    assert set(frame["status"]) == {"done"}
    evaluated = frame[frame["kind"] == "evaluation"]
    keys = ["attack", "victim", "seed", "budget"]
    assert len(evaluated) == len(evaluated[keys].drop_duplicates()) == EVALUATIONS
    assert list(frame.columns[: len(COLUMNS)]) == list(COLUMNS)
    written = table(tmp_path)
    same = written.set_index("run").loc[frame["run"]].reset_index()
    pd.testing.assert_frame_equal(same[list(frame.columns)], frame)
    assert (frame["seconds"] > 0).all()
    assert (frame["peak_mb"] > 1).all()
    assert set(frame["versions.graphpoison"]) == {gp.__version__}
    removals = frame.set_index("attack")["settings.attack.allow_removals"]
    assert removals["both"].all()
    assert not removals["random"].any()


def test_rows_are_the_figures_of_evaluate(tmp_path: Path) -> None:
    settings = study(tmp_path)
    frame = gp.sweep(settings, tmp_path / "out")
    task, seed = settings.tasks["task"], 2
    flips = gp.RandomAttack()(task, 6, seed=seed)
    expected = gp.evaluate(task.graph, flips, settings.victims, [seed], [3, 6]).runs
    chosen = runs_of(frame).query("attack == 'random' and seed == 2").sort_values("flips")
    for name in ("flips", "metric", "split", "clean", "poisoned"):
        assert chosen[name].tolist() == expected[name].tolist()
    report = gp.Report(runs_of(frame))
    assert report.table["seeds"].eq(3).all()


def test_one_attack_serves_all_budgets_and_one_clean_victim_all_attacks(tmp_path: Path) -> None:
    frame = gp.sweep(study(tmp_path), tmp_path / "out")
    attacks = frame[frame["kind"] == "attack"]
    assert len(attacks) == 6
    assert set(attacks["flips"]) == {6}
    clean = citation_graph(num_nodes=20).num_edges // 2
    lines = trained(tmp_path)
    assert sorted(line for line in lines if line.endswith(f" {clean}"))[:1]
    per_seed = {
        seed: [f"degrees {seed} {clean}" == line for line in lines].count(True) for seed in range(3)
    }
    removed = [line for line in lines if int(line.split()[2]) < clean]
    assert len(lines) <= EVALUATIONS + sum(per_seed.values())
    assert all(count <= 1 + len(removed) for count in per_seed.values())
    assert len(list((tmp_path / "out" / "_flips").glob("*.npz"))) == 6


def test_attacks_whose_first_flips_are_none_have_one_for_each_budget(tmp_path: Path) -> None:
    swap = gp.SwapSearch(gp.MetaAttack(gp.Training(steps=2)), rounds=1)
    runs = planned([replace(study(tmp_path), attacks={"swap": swap}, seeds=[0])])
    attacks = [run for run in runs if run.kind == "attack"]
    assert [run.flips for run in attacks] == [3, 6]
    assert [run.budget for run in attacks] == ["3", "6"]


def test_nothing_is_done_again_and_more_is_added(tmp_path: Path) -> None:
    first = gp.sweep(study(tmp_path), tmp_path / "out")
    lines = trained(tmp_path)
    again = gp.sweep(study(tmp_path), tmp_path / "out")
    assert trained(tmp_path) == lines
    pd.testing.assert_frame_equal(again, first)
    more = gp.sweep(study(tmp_path, seeds=range(4), budgets=[2, 3, 6]), tmp_path / "out")
    assert len(more) == 8 + 24
    assert set(first["run"]) < set(more["run"])
    assert len(table(tmp_path)) == 32


def test_two_names_of_the_same_settings_have_rows_each(tmp_path: Path) -> None:
    twice = {"a": gp.RandomAttack(), "b": gp.RandomAttack()}
    frame = gp.sweep(study(tmp_path, attacks=twice, seeds=[0]), tmp_path / "out")
    assert frame["attack"].value_counts().to_dict() == {"a": 3, "b": 3}


def test_a_list_of_studies_shares_attacks_and_its_largest_budget(tmp_path: Path) -> None:
    whole = study(tmp_path)
    other = Counted(tmp_path / "log", "others")
    parts = [replace(whole, budgets=[6]), replace(whole, budgets=[2], victims=[other])]
    frame = gp.sweep(parts, tmp_path / "out")
    assert frame["kind"].value_counts().to_dict() == {"attack": 6, "evaluation": 12}
    assert set(zip(frame["victim"].dropna(), frame["flips"][6:], strict=True)) == {
        ("degrees", 6), ("others", 2),
    }  # fmt: skip
    assert set(frame["settings.attack_budget"]) == {6}


def test_one_attack_seed_serves_all_victims(tmp_path: Path) -> None:
    runs = planned([study(tmp_path, attack_seed=7)])
    assert [run.seed for run in runs if run.kind == "attack"] == [7, 7]
    assert len(runs) == 2 + EVALUATIONS
    victim = gp.surrogate_victim(
        gp.NodeClassification(citation_graph()), gp.MetaAttack(gp.Training(steps=2))
    )
    assert victim.deterministic
    fixed = planned([study(tmp_path, attack_seed=7, victims=[victim])])
    assert len(fixed) == 2 + 4


def test_a_failing_run_is_a_row_and_is_tried_again_on_request(tmp_path: Path) -> None:
    frame = gp.sweep(study(tmp_path, fails=1), tmp_path / "out")
    failed = frame[frame["status"] == "failed"]
    assert len(frame) == RUNS
    assert len(failed) == 4
    assert set(failed["error"]) == {"ValueError: seed 1 is not to my liking"}
    assert failed["accuracy_test_drop"].isna().all()
    assert len(runs_of(frame)) == EVALUATIONS - 4
    lines = len(trained(tmp_path))
    gp.sweep(study(tmp_path, fails=1), tmp_path / "out")
    assert len(trained(tmp_path)) == lines
    gp.sweep(study(tmp_path, fails=1), tmp_path / "out", retry=True)
    assert len(trained(tmp_path)) == lines + 4


def test_evaluations_of_a_failed_attack_say_so(tmp_path: Path) -> None:
    class Broken(gp.RandomAttack):
        def propose(self, *_: Any) -> Any:
            raise RuntimeError("no idea")

    attacks = {"broken": Broken(), "random": gp.RandomAttack()}
    frame = gp.sweep(study(tmp_path, attacks=attacks), tmp_path / "out")
    said = frame[frame["attack"] == "broken"].groupby("kind")["error"].unique()
    assert list(said["attack"]) == ["RuntimeError: no idea"]
    assert list(said["evaluation"]) == ["RuntimeError: the attack failed: RuntimeError: no idea"]
    assert set(frame[frame["attack"] == "random"]["status"]) == {"done"}


def test_other_settings_under_the_same_name_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    gp.sweep(study(tmp_path), out)
    others = {"random": gp.RandomAttack(allow_removals=True)}
    with pytest.raises(ValueError, match=r"allow_removals is False there and True here.*another"):
        gp.sweep(study(tmp_path, attacks=others), out)
    with pytest.raises(ValueError, match="attack_budget is 6 there and 7 here"):
        gp.sweep(study(tmp_path, budgets=[7]), out)
    with pytest.raises(ValueError, match="victim 'degrees' on 'task' has other settings"):
        gp.sweep(study(tmp_path, fails=9), out)
    with pytest.raises(ValueError, match="metrics"):
        gp.sweep(study(tmp_path, metrics=["accuracy"]), out)
    both = [study(tmp_path), study(tmp_path, attacks=others)]
    with pytest.raises(ValueError, match="allow_removals"):
        gp.sweep(both, tmp_path / "new")


def test_a_damaged_row_is_refused(tmp_path: Path) -> None:
    gp.sweep(study(tmp_path), tmp_path / "out")
    path = sorted((tmp_path / "out" / "_rows").glob("*.json"))[0]
    path.write_text(path.read_text().replace("0.", "1.", 1))
    with pytest.raises(ValueError, match="is damaged: remove it"):
        gp.sweep(study(tmp_path), tmp_path / "out")
    path.unlink()
    assert len(gp.sweep(study(tmp_path), tmp_path / "out")) == RUNS


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tasks": {}}, ValueError, "tasks must name one task or more"),
        ({"tasks": citation_graph()}, TypeError, "tasks must be a task"),
        ({"attacks": {"a": gp.RandomAttack}}, TypeError, "attacks must be a attack|an attack"),
        ({"budgets": 5}, TypeError, "budgets must be a list"),
        ({"budgets": []}, ValueError, "one or more, all different"),
        ({"budgets": [3, 3]}, ValueError, "one or more, all different"),
        ({"seeds": 3}, TypeError, "seeds must be several numbers"),
        ({"attack_seed": -1}, ValueError, "attack_seed must be at least 0"),
        ({"metrics": "ndgc@10"}, ValueError, "Did you mean 'ndcg@k'"),
        ({"metrics": []}, ValueError, "metrics must name one metric"),
        ({"include_perturbed": "no"}, TypeError, "include_perturbed must be True or False"),
    ],
)
def test_bad_settings_are_named(
    options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        replace(study(tmp_path), **options)


@pytest.mark.parametrize("given", ["study.yaml", 3, [], [3]])
def test_no_study_is_refused(given: Any, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError), match="study must be"):
        gp.sweep(given, tmp_path)


def test_budgets_are_flips_and_shares(tmp_path: Path) -> None:
    budgets = [0, 0.05, gp.Budget.fraction(0.02, of="candidates")]
    frame = gp.sweep(study(tmp_path, budgets=budgets, seeds=[0]), tmp_path / "out")
    edges = citation_graph(num_nodes=20).num_edges // 2
    flips = frame[frame["kind"] == "evaluation"].drop_duplicates("budget").set_index("budget")
    assert flips["flips"].to_dict() == {
        "0": 0, "5%": edges // 20, "2% of candidates": (190 - edges) // 50,
    }  # fmt: skip
    assert flips["share"]["5%"] == pytest.approx(flips["flips"]["5%"] / edges)


def test_recommenders_have_metrics_of_groups_of_users(tmp_path: Path) -> None:
    task = gp.Recommendation(interaction_graph(), gp.CF(dim=2))
    settings = gp.Study(task, gp.RandomAttack(), [4], ["popularity"], [0], metrics=["ndcg@3"])
    frame = gp.sweep(settings, tmp_path)
    row = frame[frame["kind"] == "evaluation"].iloc[0]
    assert row["ndcg@3_unseen_drop"] == row["ndcg@3_unseen_clean"] - row["ndcg@3_unseen_poisoned"]
    runs = runs_of(frame)
    assert {"all", "touched", "untouched"} >= set(runs["users"]) > {"all"}
    report = gp.evaluate(
        task.graph, gp.RandomAttack()(task, 4), ["popularity"], [0], metrics=["ndcg@3"]
    )
    columns = ["metric", "split", "users", "clean", "poisoned", "user_ci95", "num_users"]
    pd.testing.assert_frame_equal(runs[columns], report.runs[columns], check_dtype=False)


def test_duckdb_reads_the_table(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    frame = gp.sweep(study(tmp_path), tmp_path / "out")
    query = f"""
        select attack, avg(accuracy_test_drop) from '{tmp_path}/out/*.parquet'
        where kind = 'evaluation' and status = 'done' group by attack
    """
    found = dict(duckdb.sql(query).fetchall())
    evaluated = frame[frame["kind"] == "evaluation"]
    assert found == pytest.approx(
        evaluated.groupby("attack")["accuracy_test_drop"].mean().to_dict()
    )


# Interruptions, and several at once


@POSIX
def test_a_killed_sweep_goes_on(tmp_path: Path) -> None:
    flag = tmp_path / "go"
    process = CONTEXT.Process(target=sweeping, args=(tmp_path, {"waits": flag}))
    process.start()
    while not any(line.split()[1] == "1" for line in trained(tmp_path)):
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    before = Folder(tmp_path / "out").keys()
    assert len(before) == 6 + 4
    assert list((tmp_path / "out" / "_rows").glob("*.claim"))
    lines = len(trained(tmp_path))
    flag.touch()
    frame = gp.sweep(study(tmp_path, waits=flag), tmp_path / "out")
    assert len(frame) == len(table(tmp_path)) == RUNS
    assert set(frame["status"]) == {"done"}
    assert len(trained(tmp_path)) - lines == 2 * (1 + 4)
    assert not list((tmp_path / "out" / "_rows").glob("*.claim"))


@POSIX
def test_two_sweeps_on_one_folder_do_no_run_twice(tmp_path: Path) -> None:
    flag = tmp_path / "go"
    both = [CONTEXT.Process(target=sweeping, args=(tmp_path, {"waits": flag})) for _ in range(2)]
    for process in both:
        process.start()
    while len([line for line in trained(tmp_path) if line.split()[1] == "1"]) < 2:
        assert all(process.is_alive() for process in both)
        time.sleep(0.01)
    flag.touch()  # each has been at work on a run with seed 1
    for process in both:
        process.join(120)
        assert process.exitcode == 0
    found = table(tmp_path)
    assert len(found) == found["run"].nunique() == RUNS
    assert set(found["status"]) == {"done"}
    assert EVALUATIONS < len(trained(tmp_path)) <= EVALUATIONS + 2 * 3  # a clean victim a seed


def test_a_claim_that_nobody_renews_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim of a lost machine: its process is not known to be dead."""
    monkeypatch.setattr(folders, "LEASE_SECONDS", 0.2)
    out = Folder(tmp_path / "out").made()
    runs = planned([study(tmp_path)])
    for run in runs[:7]:
        claim = out.claim(run.key)
        claim.acquire()
        claim._stop_heartbeat()
    assert len(gp.sweep(study(tmp_path), tmp_path / "out")) == RUNS


def test_an_attack_waits_for_the_lock_that_a_lost_machine_has_left(tmp_path: Path) -> None:
    out, (run, *_) = Folder(tmp_path).made(), planned([study(tmp_path)])
    held = locked(out.flips(run.key))
    held.__enter__()
    timer = threading.Timer(0.2, held.__exit__, (None, None, None))
    timer.start()
    assert run.measure(out, None)["flips"] == 6
    timer.join()


def test_ctrl_c_keeps_the_rows_and_writes_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, calls = Counted.fit, []

    def interrupted(self: Counted, graph: gp.NodeGraph, seed: int) -> Any:
        calls.append(seed)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return fit(self, graph, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Counted, "fit", interrupted)
        handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt):
            gp.sweep(study(tmp_path), tmp_path / "out")
        signal.signal(signal.SIGTERM, handler)
    kept = table(tmp_path)
    assert 6 < len(kept) < RUNS
    assert set(kept["status"]) == {"done"}
    assert len(gp.sweep(study(tmp_path), tmp_path / "out")) == RUNS


def test_a_run_that_kills_its_process_thrice_has_failed(tmp_path: Path) -> None:
    out, (run, *_) = Folder(tmp_path).made(), planned([study(tmp_path)])
    for _ in range(running.MOST_DEATHS):
        out.begin(run.key, "this")
    assert running._settle(run, out, "this", None)
    assert "was killed 3 times, perhaps for lack of memory" in out.row(run.key)["error"]
    out.forget(run.key)
    assert running._settle(run, out, "another", None)
    assert out.row(run.key)["status"] == "done"


def test_a_run_that_has_killed_twice_is_tried_alone(tmp_path: Path) -> None:
    out, (first, second, *_) = Folder(tmp_path).made(), planned([study(tmp_path)])
    for run in (first, second):
        for _ in range(running.MOST_DEATHS - 1):
            out.begin(run.key, "call")
    with out.claim(running.ALONE):
        assert not running._settle(first, out, "call", None)
    assert running._settle(second, out, "call", None)
    assert out.has(second.key)


@pytest.mark.slow
@POSIX
def test_a_killed_worker_loses_its_run_alone(tmp_path: Path) -> None:
    frame = gp.sweep(study(tmp_path, kills=1), tmp_path / "out", jobs=2)
    assert len(frame) == RUNS
    assert set(frame["status"]) == {"done"}


@pytest.mark.slow
@POSIX
def test_a_run_that_kills_every_worker_is_a_row(tmp_path: Path) -> None:
    settings = study(tmp_path, kills=10**6, budgets=[3], attacks=gp.RandomAttack())
    frame = gp.sweep(settings, tmp_path / "out", jobs=2)
    failed = frame[frame["status"] == "failed"]
    assert failed["seed"].tolist() == [0]
    assert "killed 3 times" in failed["error"].iloc[0]
    assert len(frame) == 6


def test_joblib_backends_are_taken(tmp_path: Path) -> None:
    with joblib.parallel_backend("threading", n_jobs=2):
        frame = gp.sweep(study(tmp_path), tmp_path / "out")
    assert len(frame) == len(table(tmp_path)) == RUNS
    assert set(frame["status"]) == {"done"}


def test_a_backend_that_never_works_ends_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ConnectionError("no cluster")

    monkeypatch.setattr(running, "_work", fail)
    with pytest.raises(ConnectionError, match="no cluster"):
        gp.sweep(study(tmp_path), tmp_path / "out")


def test_progress_counts_all_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    gp.sweep(study(tmp_path), tmp_path / "out", progress=True)
    assert f"{RUNS}/{RUNS}" in capsys.readouterr().err


# The command line


STUDY = """
tasks: {small: {input: small.pt}}
attacks:
  ranking: {epochs: 2}
  rule: {attack: rare items become popular, max-profile-share: 50%}
victims: [ease]
seeds: 2
budgets: [0, 5%]
metrics: ndcg@3
random: true
"""


def call(folder: Path, text: str, *more: str) -> Any:
    if not (folder / "small.pt").exists():
        data = gp.datasets.load(
            "synthetic-interactions", num_users=25, num_items=30, num_interactions=150
        )
        datasets.save_graph(data, folder / "small.pt")
    (folder / "study.yaml").write_text(text.replace("small.pt", str(folder / "small.pt")))
    arguments = ["sweep", str(folder / "study.yaml"), "--out", str(folder / "out"), *more]
    return CliRunner().invoke(app, arguments)


def test_a_study_from_yaml(tmp_path: Path) -> None:
    done = call(tmp_path, STUDY)
    assert done.exit_code == 0, done.output
    assert "12 evaluations" in done.output
    frame = table(tmp_path)
    assert set(frame["attack"]) == {"ranking", "rule", "random"}
    assert frame["kind"].value_counts().to_dict() == {"attack": 6, "evaluation": 12}
    rule = frame[frame["attack"] == "rule"].iloc[0]
    assert rule["settings.attack.max_profile_share"] == 0.5
    assert set(frame.dropna(subset="victim")["budget"]) == {"0", "5%"}
    again = call(tmp_path, STUDY, "--json")
    assert again.exit_code == 0
    assert '"failed": []' in again.output


def test_a_list_of_products_from_yaml(tmp_path: Path) -> None:
    two = """
- {tasks: small.pt, attacks: [random, degree], victims: popularity, seeds: [3], budgets: 4}
- {tasks: small.pt, attacks: random, victims: [popularity], seeds: 4, attack-seed: 1, budgets: 4}
"""
    done = call(tmp_path, two)
    assert done.exit_code == 0, done.output
    frame = table(tmp_path)
    evaluated = frame[frame["kind"] == "evaluation"]
    assert evaluated.groupby(["attack", "attack_seed"]).size().to_dict() == {
        ("degree", 3): 1, ("random", 3): 1, ("random", 1): 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: cora", "unknown key 'task'. Did you mean 'tasks'?"),
        (STUDY.replace("epochs", "epoch"), "attacks: ranking: unknown option 'epoch'. Did you"),
        (
            STUDY.replace("epochs: 2", "epochs: many"),
            "attacks: ranking: Invalid value for '--epochs'",
        ),
        (STUDY.replace("epochs: 2", "split: random"), "'split' is for tasks"),
        (STUDY.replace("epochs: 2", "budget: 5%"), "'budget' is not an option of a task"),
        (STUDY.replace("[ease]", "[eas]"), "Did you mean 'ease'?"),
        (STUDY.replace("seeds: 2", "seeds: two"), "seeds: give an integer"),
        (STUDY.replace("random: true", "random: maybe"), "random: give true or false"),
        (STUDY.replace("5%", "five"), "budget='five' is neither"),
        (STUDY.replace("ndcg@3", "ndgc@3"), "ndgc@3"),
        (STUDY + "seeds: 3\n", "'seeds' is given twice"),
        ("tasks: &a [cora]\nattacks: *a", "aliases"),
        ("tasks: [cora", "is not valid YAML"),
        ("tasks: cora\nattacks: [random, random]", "attacks: a name is given twice"),
        ("[]", "found nothing"),
        ("cora", "a study must be lines"),
        ("tasks: [[cora]]\nattacks: random", "tasks: give names"),
        ("attacks: random", "tasks: give names"),
        (STUDY.replace("small.pt", "absent.pt"), "there is no file"),
    ],
)
def test_wrong_yaml_is_refused(text: str, message: str, tmp_path: Path) -> None:
    done = call(tmp_path, text)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert not (tmp_path / "out").exists()


def test_failures_are_told_and_end_with_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr(gp.RandomAttack, "propose", fail)
    done = call(tmp_path, STUDY)
    assert done.exit_code == 1
    assert "6 runs failed; --retry runs them again" in done.output
    assert "MemoryError: too large" in done.output
    monkeypatch.undo()
    assert call(tmp_path, STUDY).exit_code == 1
    assert call(tmp_path, STUDY, "--retry").exit_code == 0


def test_an_interrupted_command_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gp.RankingAttack, "propose", interrupt)
    done = call(tmp_path, STUDY)
    assert done.exit_code == 130
    assert "holds 0 of 18 runs; the same command continues" in done.output


def test_the_command_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphpoison", "sweep", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--jobs" in done.stdout
