"""The command line, as somebody would use it in an empty folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
import yaml
from conftest import citation_graph, interaction_graph
from typer.testing import CliRunner, Result

import graphpoison as gp
from graphpoison import _progress
from graphpoison.apply import edges_digest
from graphpoison.attacks.rules import RULES
from graphpoison.cli import app
from graphpoison.cli.commands import COMMANDS
from graphpoison.cli.errors import as_flags
from graphpoison.cli.options import sizes
from graphpoison.cli.output import show_table
from graphpoison.ranking_presets import promote, ranking_attack
from graphpoison.registry import ATTACKS

SMALL = ["--steps", "3", "--no-progress"]
PROMOTE = ["attack", "shop.csv", "--promote"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shop() -> str:
    lines = [f"u{u},{i},{1 + (u + i) % 5}" for u in range(8) for i in range(u % 3, 15, 3)]
    Path("shop.csv").write_text("\n".join(["customer,article,stars", *lines]))
    return "shop.csv"


@pytest.fixture
def graph() -> str:
    gp.datasets.save_graph(citation_graph(dtype=torch.float32), "graph.pt")
    return "graph.pt"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def done(*arguments: str) -> str:
    """The stdout of a command that succeeds."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(code: int, *arguments: str) -> str:
    """The last line that a refused command says, on stderr, and nothing on stdout."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]


# Attack


def test_a_table_is_attacked_and_written_back(shop: str) -> None:
    text = done("attack", shop, "--budget", "10%", *SMALL, "--export", "poisoned.csv")
    assert "10% of 32 edges = 3 flips" in text
    assert "attack loss, last step" in text
    found = gp.Perturbation.load("flips.npz")
    assert len(found) == found.added.size(1) == 3
    before, after = pd.read_csv(shop), pd.read_csv("poisoned.csv")
    assert list(after.columns) == list(before.columns)
    assert set(after["customer"]) <= set(before["customer"])
    assert len(after) == 32 + 3
    both = after.merge(before, on=["customer", "article"], suffixes=("", "_before"))
    assert len(both) == 32
    assert both["stars"].equals(both["stars_before"])
    assert after["stars"].between(1, 5).all()
    assert sorted(map(str, Path().iterdir())) == ["flips.npz", "poisoned.csv", "shop.csv"]


def test_columns_keep_the_names_by_which_they_were_asked_for(shop: str) -> None:
    columns = ["--user-column", "article", "--item-column", "customer"]
    random = ["attack", shop, *columns, "--attack", "random", "--budget", "2", "--overwrite"]
    for name, header in (
        ("poisoned.csv", "customer,article,stars"),
        ("poisoned.inter", "article:token\tcustomer:token"),
    ):
        done(*random, "--export", name)
        assert Path(name).read_text().splitlines()[0] == header


def test_files_that_a_command_needs_are_not_written_over(shop: str) -> None:
    Path("o.yaml").write_text("budget: 2  # two\n")
    random = ["attack", shop, "--attack", "random"]
    assert "attack loss" not in done(*random, "--budget", "2")
    for arguments, message in (
        ([*random, "--config", "o.yaml", "--save-config", "o.yaml"], "over the input o.yaml"),
        ([*random, "--budget", "2", "--out", "new.npz", "--save-config", "o.yaml"], "--overwrite"),
        ([*random, "--budget", "2", "--export", "flips.checkpoint.npz"], "must end in"),
        (["evaluate", shop, "flips.npz", "--csv", "flips.checkpoint.sqlite"], "two outputs"),
        (["evaluate", shop, "flips.npz", "--save-config", "o.yaml"], "--overwrite"),
        (["evaluate", shop, "flips.npz", "flips.npz"], "flips.npz is given 2 times"),
        (["evaluate", shop, "flips.npz", "--budgets", "0.01%"], "is less than one flip"),
    ):
        assert message in refused(2, *arguments)
    assert Path("o.yaml").read_text() == "budget: 2  # two\n"


def test_a_graph_is_attacked_and_written_back(graph: str) -> None:
    arguments = ["--budget", "4", "--constraint", "connectivity", "--constraint", "node-budget=2"]
    summary = json.loads(
        done("attack", graph, *arguments, *SMALL, "--export", "poisoned.pt", "--json")
    )
    assert summary["flips"] == summary["added"] + summary["removed"] == 4
    assert summary["budget"] == "4 flips"
    poisoned = gp.datasets.load_graph("poisoned.pt")
    clean = gp.datasets.load_graph(graph)
    change = 2 * (summary["added"] - summary["removed"])
    assert poisoned.num_edges == clean.num_edges + change
    settings = gp.Perturbation.load("flips.npz").meta["command"]["settings"]
    assert settings["constraints"] == ["connectivity", "node-budget=2"]


def test_flips_of_features_are_counted(graph: str) -> None:
    options = ["--features", "--attack", "random", "--removals", "--budget", "60", *SMALL]
    summary = json.loads(done("attack", graph, *options, "--json"))
    found = gp.Perturbation.load("flips.npz")
    x = gp.datasets.load_graph(graph).x
    change = found.apply(gp.datasets.load_graph(graph)).x - x
    assert summary["features set"] == (change > 0).sum()
    assert summary["features cleared"] == (change < 0).sum() > 0
    names = ("added", "removed", "features set", "features cleared")
    assert sum(summary[name] for name in names) == summary["flips"]
    assert "features cleared" in done("attack", graph, *options, "--overwrite")
    assert "features" not in done("attack", graph, "--budget", "1", *SMALL, "--overwrite")


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "ranking"])
def test_every_attack_by_its_name(name: str, graph: str) -> None:
    options = ["--objective", "train", "--epochs", "2", "--weight-decay", "0.01", *SMALL]
    summary = json.loads(
        done("attack", graph, "--attack", name, "--budget", "3", *options, "--json")
    )
    assert 0 < summary["flips"] <= 3


def test_the_command_line_gives_what_the_library_gives(shop: str) -> None:
    done("attack", shop, "--surrogate", "gmf", "--flips-per-step", "2", "--budget", "5", *SMALL)
    frame = gp.datasets.read_interactions(shop, "customer", "article")
    task = gp.Recommendation(gp.datasets.from_interactions(frame, split="per-user"), "gmf")
    attack = gp.meta_attack(gp.Training(3, 0.05, optimizer="adam"), flips_per_step=2)
    found = gp.Perturbation.load("flips.npz")
    pd.testing.assert_frame_equal(found.flips, attack(task, 5).flips)


def test_fake_users(shop: str) -> None:
    options = ["--similar-users", "2", "--method", "kmeans", "--budget", "4", *SMALL]
    summary = json.loads(done("attack", shop, *options, "--export", "poisoned.inter", "--json"))
    assert summary["fake users"] == 2
    users = pd.read_csv("poisoned.inter", sep="\t")["user_id:token"]
    assert {"u8", "u9"} >= set(users) - {f"u{number}" for number in range(8)}


# Rankings


def shop_graph() -> gp.Interactions:
    frame = gp.datasets.read_interactions("shop.csv")
    return gp.read_graph(gp.datasets.from_interactions(frame, split="per-user"))


def test_a_table_is_attacked_by_its_rankings(shop: str) -> None:
    summary = json.loads(done("attack", shop, "--budget", "4", "--epochs", "3", "--json"))
    assert summary["attack"] == "ranking"
    assert summary["attack loss, first step"] is summary["attack loss, last step"] is None
    assert summary["split"] == "per-user"
    attack = ranking_attack(max_profile_share=0.25, steps=3)
    expected = attack(gp.Recommendation(shop_graph(), "ease"), 4)
    found = gp.Perturbation.load("flips.npz")
    pd.testing.assert_frame_equal(found.flips, expected.flips)
    per_user = found.flips["source"].value_counts()
    assert per_user.max() == 1  # a quarter of 4 interactions


def test_profiles_too_short_for_a_flip_are_named(caplog: pytest.LogCaptureFixture) -> None:
    lines = [f"u{user},i{(user + step) % 5}" for user in range(6) for step in range(3)]
    Path("short.csv").write_text("\n".join(["user,item", *lines]))
    summary = json.loads(done("attack", "short.csv", "--budget", "2", "--json"))
    assert summary["flips"] == 0
    assert "users of fewer than 4 interactions keep them" in caplog.text


def test_options_of_the_ranking_attack() -> None:
    lines = [f"u{u:02},{i}" for u in range(30) for i in range(u % 3, 30, 2 + u % 3)]
    Path("shop.csv").write_text("\n".join(["user,item", *lines]))
    barred = list(range(0, 30, 2))
    Path("beyond.txt").write_text("\n".join(f"u{user:02}" for user in barred) + "\n\n")
    options = ["--surrogate", "wmf", "--max-profile-share", "none", "--off-limits", "beyond.txt"]
    attack = ["attack", "shop.csv", "--budget", "6", "-k", "4", "--no-removals", *options]
    summary = json.loads(done(*attack, "--json"))
    assert summary["users off limits"] == 15
    assert summary["removed"] == 0
    found = gp.Perturbation.load("flips.npz")
    assert not set(barred) & set(found.flips["source"])
    settings = found.meta["command"]["settings"]
    assert settings["off_limits"] == barred
    assert found.meta["settings"]["task"]["objective"]["k"] == 4
    evaluate = ["evaluate", "shop.csv", "flips.npz", "--random", "--heuristics", "--json"]
    table = pd.DataFrame(json.loads(done(*evaluate))["table"])
    assert set(table["users"]) == {"all", "touched", "untouched", "off limits"}
    added = {name for name, rule in RULES.items() if rule.removals is None}
    assert set(table["attack"]) == {"ranking", "random", *added}
    assert set(table["victim"]) == {"ease"}
    assert set(table["metric"]) == {"ndcg@10", "recall@20"}
    assert set(table["seeds"]) == {1}


def test_users_off_limits_are_drawn_from_the_seed(shop: str) -> None:
    drawn = {}
    for seed in ("0", "0", "1", "2"):
        options = ["--off-limits", "50%", "--seed", seed, "--overwrite", "--epochs", "2"]
        done("attack", shop, "--budget", "2", *options)
        found = tuple(gp.Perturbation.load("flips.npz").meta["command"]["settings"]["off_limits"])
        assert len(found) == 4
        assert drawn.setdefault(seed, found) == found
    assert len(set(drawn.values())) > 1


def test_items_are_promoted_by_the_ids_of_the_data() -> None:
    lines = [f"u{u},SKU-{i}" for u in range(30) for i in range(u % 3, 20, 3)]
    Path("shop.csv").write_text("\n".join(["user,item", *lines]))
    options = ["--promote", "SKU-17", "--promote", "SKU-2", "--fake-users", "10%"]
    text = done("attack", "shop.csv", *options, "--export", "poisoned.csv")
    assert "SKU-17, SKU-2" in text
    graph = shop_graph()
    assert graph.item_ids is not None
    items = sorted(graph.item_ids.index(name) for name in ("SKU-17", "SKU-2"))
    length = round(graph.edge_index.size(1) / 30)
    assert f"3 fake users with {length} interactions each = {3 * length} flips" in text
    found = gp.Perturbation.load("flips.npz")
    pd.testing.assert_frame_equal(found.flips, promote(graph, items, 3, length).flips)
    assert found.meta["targets"] == items
    fake = pd.read_csv("poisoned.csv").query("user in ['u30', 'u31', 'u32']")
    assert fake.groupby("user").size().tolist() == [length] * 3
    assert set(fake.query("item == 'SKU-17'")["user"]) == {"u30", "u31", "u32"}

    shown = done("evaluate", "shop.csv", "flips.npz", "--random", "--heuristics")
    assert "promoted: SKU-17, SKU-2" in shown
    assert "t-hr@10" in shown
    assert "touched" not in shown
    for name in ("promotion", "random ", "bandwagon profiles", "segment profiles"):
        assert name in shown
    done("evaluate", "shop.csv", "flips.npz", "--html", "page.html")
    assert "SKU-17" in Path("page.html").read_text(encoding="utf-8")
    assert "already exists" in refused(
        2, "attack", "shop.csv", *PROMOTE[2:], "SKU-2", "--fake-users", "1"
    )


def test_options_of_the_thesis_keep_its_attack(shop: str) -> None:
    for options, name in (
        ([], "ranking"),
        (["--surrogate", "ease"], "ranking"),
        (["--surrogate", "cf"], "meta"),
        (["--steps", "2"], "meta"),
        (["--objective", "train"], "meta"),
        (["--flips-per-step", "2"], "meta"),
        (["--new-users", "2"], "meta"),
        (["--attack", "random"], "random"),
    ):
        summary = json.loads(
            done("attack", shop, "--budget", "2", *options, "--overwrite", "--json")
        )
        assert summary["attack"] == name


def test_a_table_is_split_as_told(shop: str) -> None:
    frame = pd.read_csv(shop)
    frame["day"] = [f"2024-01-{1 + (7 * row) % 28:02}" for row in range(len(frame))]
    frame.to_csv("timed.csv", index=False)
    columns = {"user": "customer", "item": "article"}
    for options, split, column in (
        ([], "per-user", None),
        (["--split", "random"], "random", None),
        (["--split", "leave-one-out"], "leave-one-out", None),
        (["--split", "leave-one-out", "--time-column", "day"], "leave-one-out", "day"),
        (["--time-column", "day"], "time", "day"),
    ):
        done("attack", "timed.csv", "--attack", "random", "--budget", "1", *options, "--overwrite")
        data = gp.datasets.from_interactions(frame, **columns, split=split, time=column)
        found = gp.Perturbation.load("flips.npz")
        edges = gp.read_graph(data)
        assert found.meta["edges"] == edges_digest(edges.edge_index, edges.shape)
        assert "ndcg" in done("evaluate", "timed.csv", "flips.npz")
    done("attack", "synthetic-interactions", "--attack", "random", "--budget", "1", "--overwrite")
    assert gp.Perturbation.load("flips.npz").meta["command"]["reading"]["split"] is None


def test_heuristics_need_interactions(shop: str, graph: str) -> None:
    done("attack", graph, "--attack", "random", "--budget", "2")
    assert "for graphs of interactions" in refused(
        2, "evaluate", graph, "flips.npz", "--heuristics"
    )
    done("attack", shop, "--new-users", "2", "--budget", "3", *SMALL, "--overwrite")
    assert "promote none" in refused(2, "evaluate", shop, "flips.npz", "--heuristics")


# Files that are there already


def test_finished_flips_are_not_lost(shop: str) -> None:
    done("attack", shop, "--budget", "2", *SMALL)
    assert "--overwrite" in refused(2, "attack", shop, "--budget", "3", *SMALL)
    done("attack", shop, "--budget", "3", *SMALL, "--overwrite")
    assert len(gp.Perturbation.load("flips.npz")) == 3


INTERRUPTED = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # in case the tests run in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # or under nohup
from graphpoison import Perturbation
from graphpoison.attacks import checkpoint
from graphpoison.apply import edges_digest
from graphpoison.attacks.rules import RULES
from graphpoison.cli import app
checkpoint.SAVE_EVERY_SECONDS = 0.0
save = Perturbation.save
def slowly(self, path):  # so that it is not done before somebody interrupts it
    save(self, path)
    time.sleep(0.1)
Perturbation.save = slowly
app(prog_name="graphpoison")
"""


@pytest.mark.parametrize(
    ("kill", "code"),
    [
        (signal.SIGKILL, -signal.SIGKILL),
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_attack_goes_on(kill: signal.Signals, code: int, graph: str) -> None:
    options = ["attack", graph, "--budget", "40", "--steps", "300", "--no-progress"]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *options],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(gp.__file__).parents[1])},
        text=True,
    )
    checkpoint = Path("flips.checkpoint.npz")
    while not (checkpoint.exists() and len(gp.Perturbation.load(checkpoint))):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(kill)
    _, stderr = process.communicate(timeout=30)
    kept = len(gp.Perturbation.load(checkpoint))
    assert 0 < kept < 40
    assert process.returncode == code
    if kill != signal.SIGKILL:
        assert stderr.strip() == (
            f"interrupted: flips.checkpoint.npz holds {kept} flip{'s'[: kept > 1]}; the same "
            "command with --resume continues."
        )
    assert "--resume" in refused(2, *options)
    assert "other run" in refused(1, *options, "--resume", "--seed", "1")
    done(*options, "--resume")
    assert not checkpoint.exists()
    done(*options, "--out", "whole.npz")
    resumed, whole = (gp.Perturbation.load(name).flips for name in ("flips.npz", "whole.npz"))
    pd.testing.assert_frame_equal(resumed, whole)
    assert len(whole) == 40


def test_a_finished_attack_is_resumed_to_what_it_is(graph: str) -> None:
    options = ["attack", graph, "--budget", "5%", "--steps", "5", "--export", "poisoned.pt"]
    done(*options)
    first = Path("flips.npz").stat().st_size, gp.Perturbation.load("flips.npz").flips
    assert "already exists" in refused(2, *options)
    assert "seed is 0 there and 1 here" in refused(1, *options, "--resume", "--seed", "1")
    assert Path("flips.npz").stat().st_size == first[0]
    done(*options, "--resume")
    pd.testing.assert_frame_equal(gp.Perturbation.load("flips.npz").flips, first[1])
    assert not Path("flips.checkpoint.npz").exists()


def test_a_share_is_said_in_flips_before_the_work(
    graph: str, caplog: pytest.LogCaptureFixture
) -> None:
    done("attack", graph, "--budget", "1.0", "--steps", "1", "--flips-per-step", "1000")
    said = [record.getMessage() for record in caplog.records]
    (line,) = (text for text in said if text.startswith("budget: 100% of "))
    assert line.endswith(" flips")
    done("attack", graph, "--budget", "1", "--steps", "1", "--overwrite")
    assert sum(r.getMessage().startswith("budget") for r in caplog.records) == 1


# Evaluate


def test_an_evaluation_reads_the_input_as_the_attack_did(shop: str) -> None:
    columns = ["--user-column", "article", "--item-column", "customer", "--test-fraction", "0.5"]
    done("attack", shop, *columns, "--budget", "4", *SMALL, "--out", "meta.npz")
    outputs = {
        "--html": "page.html",
        "--plot": "auroc.png",
        "--latex": "table.tex",
        "--csv": "table.csv",
    }
    files = [part for pair in outputs.items() for part in pair]
    options = ["--random", "--seeds", "2", "--budgets", "0,4", "--victim", "cf,gmf"]
    options += ["--metric", "auroc", "--metric", "ndcg@5"]
    found = json.loads(done("evaluate", shop, "meta.npz", *options, *files, "--json"))
    assert found["files"] == list(outputs.values())
    assert all(Path(path).stat().st_size for path in found["files"])
    table = pd.DataFrame(found["table"])
    assert set(table["attack"]) == {"meta", "random"}
    assert set(table["victim"]) == {"cf", "gmf"}
    assert set(table["flips"]) == {0, 4}

    frame = gp.datasets.read_interactions(shop, "article", "customer")
    data = gp.datasets.from_interactions(frame, test_fraction=0.5, split="per-user")
    attack = gp.Perturbation.load("meta.npz")
    metrics = ["auroc", "ndcg@5"]
    ours = gp.evaluate(
        data, {"meta": attack}, ["cf", "gmf"], range(2), [0, 4], metrics=metrics
    ).table
    theirs = table[table["attack"] == "meta"].reset_index(drop=True)
    np.testing.assert_allclose(theirs["poisoned"], ours["poisoned"])


def test_flips_of_another_table_or_split_are_refused(shop: str) -> None:
    done("attack", shop, "--budget", "2", *SMALL)
    evaluate = ["flips.npz", "--seeds", "1"]
    lines = Path(shop).read_text().splitlines()
    Path("fewer.csv").write_text("\n".join(lines[:-3]))
    for arguments in (["fewer.csv", *evaluate], [shop, *evaluate, "--data-seed", "7"]):
        said = refused(2, "evaluate", *arguments)
        assert "flips" in said
        assert "another graph" in said or "do not fit" in said
    assert "ndcg@10" in done("evaluate", shop, *evaluate)


def test_an_evaluation_prints_a_table(graph: str) -> None:
    done("attack", graph, "--attack", "degree", "--budget", "3", *SMALL)
    text = done("evaluate", graph, "flips.npz", "--seeds", "2", "--victim", "sgc")
    assert "poisoned" in text
    assert "graph.pt: means over 2 seeds" in text
    assert not Path("flips.checkpoint.sqlite").exists()


def test_an_evaluation_goes_on(graph: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done("attack", graph, "--attack", "random", "--budget", "3", *SMALL)
    options = ["evaluate", graph, "flips.npz", "--seeds", "3", "--victim", "sgc", "--json"]
    whole = done(*options)
    fit, trained = gp.ModuleVictim.fit, []

    def interrupted(*arguments: object) -> object:
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(arguments)
        return fit(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(gp.ModuleVictim, "fit", interrupted)
        assert "with --resume" in refused(130, *options)
    assert "--resume" in refused(2, *options)
    monkeypatch.setattr(gp.ModuleVictim, "fit", lambda *rest: trained.append(0) or fit(*rest))
    assert done(*options, "--resume") == whole
    assert len(trained) < 3 + 6


def test_random_flips_that_run_out_have_their_own_number(graph: str) -> None:
    """As few additions as there are, beside them the budget that they had."""
    limits = ["--constraint", "node-budget=1", "--no-removals", "--budget", "100%"]
    done("attack", graph, "--attack", "degree", *limits)
    made, asked = gp.Perturbation.load("flips.npz"), citation_graph().num_edges // 2
    assert len(made) < asked == made.meta["budget"]
    options = ["--random", "--budgets", "2,100%", "--seeds", "1", "--victim", "sgc", "--json"]
    result = call("evaluate", graph, "flips.npz", *options)
    table = pd.DataFrame(json.loads(result.stdout)["table"])
    assert table.query("attack == 'degree'")["flips"].tolist() == [2, len(made)]
    random = table.query("attack == 'random'")["flips"].tolist()
    assert random[0] == 2
    assert random[-1] <= len(made)
    assert f"degree ended after {len(made)} flips: evaluated there, not at {asked}" in result.stderr


def test_victims_that_rank(shop: str, graph: str) -> None:
    done("attack", shop, "--loss", "bpr", "--budget", "3", *SMALL)
    options = ["--seeds", "1", "--json", "--metric", "log_loss,accuracy,auroc"]
    found = {
        loss: json.loads(done("evaluate", shop, "flips.npz", "--loss", loss, *options))["table"]
        for loss in ("log", "bpr")
    }
    assert {row["victim"] for row in found["log"]} == {"cf"}
    assert {row["victim"] for row in found["bpr"]} == {"cf-bpr"}
    frame = gp.datasets.read_interactions(shop)
    data = gp.datasets.from_interactions(frame, split="per-user")
    victim = gp.RecommenderVictim(gp.CF(), "cf-bpr", loss="bpr")
    metrics = ["log_loss", "accuracy", "auroc"]
    flips = gp.Perturbation.load("flips.npz")
    expected = gp.evaluate(data, flips, [victim], [0], metrics=metrics).table
    assert [row["poisoned"] for row in found["bpr"]] == pytest.approx(list(expected["poisoned"]))
    assert "Did you mean 'bpr'" in refused(2, "evaluate", shop, "flips.npz", "--loss", "bprr")
    done("attack", graph, "--attack", "random", "--budget", "2", "--overwrite")
    line = refused(2, "evaluate", graph, "flips.npz", "--loss", "bpr")
    assert "loss is for graphs of interactions" in line


def test_flips_of_a_later_version_are_read(graph: str) -> None:
    done("attack", graph, "--attack", "random", "--budget", "2")
    flips = gp.Perturbation.load("flips.npz")
    flips.meta["command"]["reading"]["of a later version"] = 1
    flips.save("flips.npz")
    done("evaluate", graph, "flips.npz", "--seeds", "1", "--victim", "sgc")


def test_random_flips_that_fail_are_failed_work(
    graph: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object) -> None:
        raise ValueError("out of luck")

    done("attack", graph, "--attack", "degree", "--budget", "2")
    monkeypatch.setattr(gp.RandomAttack, "propose", failing)
    line = refused(1, "evaluate", graph, "flips.npz", "--random", "--victim", "sgc")
    assert "out of luck" in line


def test_reverse_edges_are_not_counted_again() -> None:
    data, kind = interaction_graph(), ("user", "rates", "item")
    assert sizes(gp.read_graph(data)) == "7 users, 9 items, 20 training interactions"
    data["item", "rated_by", "user"].edge_index = data[kind].edge_index.flip(0)
    assert sizes(gp.read_graph(data, kind)) == "7 users, 9 items, 20 training interactions"


def test_options_of_other_attacks_are_named(shop: str) -> None:
    result = call("attack", shop, "--epochs", "4", "--method", "kmeans", "--budget", "2", *SMALL)
    assert result.exit_code == 0
    for name in ("epochs", "method"):
        assert f"{name} has no effect on this attack (meta)." in result.stderr


def test_what_was_measured_is_shown_though_it_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"attack": ["a", "b"], "metric": "auroc", "drop": 0.25, "ci95": np.nan})
    show_table(frame, "title")
    shown = "title attack drop a 0.2500 b 0.2500"
    assert " ".join(capsys.readouterr().out.split()) == shown


def test_a_column_that_is_kept_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"item": ["a", "b"], "accounts": [4, 4], "users": [1, 1]})
    show_table(frame, "title", keep=["accounts"])
    assert capsys.readouterr().out.split() == ["title", "item", "accounts", "a", "4", "b", "4"]


def test_messages_name_flags_instead_of_arguments() -> None:
    said = "name them by user= and item=, or give header=False; gp.estimate says how much."
    flags = "name them by --user-column and --item-column, or give --no-header; --dry-run says how"
    assert as_flags(said) == f"{flags} much."
    assert as_flags("user='a' and item=3") == "user='a' and item=3"


def test_an_attack_of_one_step_has_one_loss(shop: str) -> None:
    text = done("attack", shop, "--attack", "pgd", "--budget", "3", *SMALL)
    assert text.count("attack loss") == 1
    assert "step" not in text


def test_a_share_instead_of_a_number_is_explained(shop: str) -> None:
    text = refused(2, "attack", shop, "--surrogate", "cf(dim=0.5)")
    assert "a share is not taken" in text


# Options in a file


def test_options_come_from_a_file_and_the_command_line_wins(shop: str) -> None:
    Path("o.yaml").write_text(
        "flips-per-step: 2\nbudget: 4\nsteps: 3\nno-removals: true\nconstraint: connectivity\n"
        "user_column: article\nitem-column: customer\n"
    )
    options = ["--config", "o.yaml", "--budget", "3", "--save-config", "saved.yaml"]
    done("attack", shop, *options)
    found = gp.Perturbation.load("flips.npz")
    assert len(found) == 3
    assert found.meta["command"]["settings"]["options"]["flips_per_step"] == 2
    assert found.meta["command"]["settings"]["removals"] is False
    assert found.meta["command"]["reading"]["user"] == "article"
    saved = yaml.safe_load(Path("saved.yaml").read_text())
    assert saved["input"] == shop
    assert saved["budget"] == "3"
    assert saved["constraint"] == ["connectivity"]
    Path("flips.npz").rename("first.npz")
    done("attack", "--config", "saved.yaml", "--save-config", "again.yaml")
    again = gp.Perturbation.load("flips.npz")
    pd.testing.assert_frame_equal(again.flips, found.flips)
    assert Path("again.yaml").read_text() == Path("saved.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budgte: 3", "unknown option 'budgte'. Did you mean 'budget'?"),
        ("flip_per_step: 3", "Did you mean 'flips-per-step'?"),
        ("steps: many", "'--steps'"),
        ("no-removals: 7", "true or false"),
        ("- budget", "lines of 'option: value'"),
        ("a: [", "is not valid YAML"),
        ("budget: 3\nsteps: 2\nbudget: 4", "'budget' is given twice"),
        ("resume: true", "unknown option 'resume'"),
        ("steps: true", "'--steps'"),
        ("steps: 1:30", "'--steps'"),
        ("flips-per-step: 2\nflips_per_step: 3", "two spellings"),
        ("steps: &a 3\nseed: *a", "aliases"),
    ],
)
def test_a_bad_file_is_refused(text: str, message: str, shop: str) -> None:
    Path("o.yaml").write_text(text)
    assert message in refused(2, "attack", shop, "--config", "o.yaml")


def test_numbers_are_read_as_on_the_command_line(shop: str) -> None:
    text = "attack: random\nbudget: 3\nseed: 010\nsteps:\nno-removals: True\n"
    Path("o.yaml").write_text(text)
    done("attack", shop, "--config", "o.yaml")
    assert gp.Perturbation.load("flips.npz").meta["seed"] == 10


# Mistakes, one line each


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["atack"], "Did you mean 'attack'?"),
        (["attack"], "INPUT"),
        (["attack", "movielens-10k"], "Did you mean 'movielens-100k'?"),
        (["attack", "absent.csv"], "there is no file 'absent.csv'"),
        (["attack", "empty.csv"], "empty.csv is empty"),
        (["attack", "headless.csv"], "--no-header"),
        (["attack", "words.csv", "--rating-column", "stars", "--min-rating", "2"], "first 'good'"),
        (["attack", "words.csv", "--rating-column", "star", "--min-rating", "2"], "'stars'?"),
        (["attack", "pickle.pt"], "needs pickle"),
        (["attack", "shop.csv", "--budgte", "3"], "--budget"),
        (["attack", "shop.csv", "--budget", "1000"], "give a number from 1 to 112"),
        (["attack", "shop.csv", "--budget", "1000", *SMALL], "give a number from 1 to 32"),
        (["attack", "shop.csv", "--budget", "some"], "budget='some'"),
        (["attack", "shop.csv", "--user-column", "custmer"], "user='custmer' is not"),
        (["attack", "shop.csv", "--user-column", "custmer"], "Did you mean 'customer'?"),
        (["attack", "shop.csv", "--lr", "-1"], "lr must lie in"),
        (["attack", "shop.csv", "--min-rating", "2"], "rating and min_rating belong"),
        (["evaluate", "shop.csv", "flips.npz", "--victim", "cg"], "victim='cg' is not known"),
        (["attack", "shop.csv", "--attack", "met"], "Did you mean 'meta'?"),
        (["attack", "shop.csv", "--surrogate", "gfm"], "Did you mean 'gmf'?"),
        (["attack", "shop.csv", "--objective", "trian"], "Did you mean 'train'?"),
        (["attack", "shop.csv", "--optimizer", "adma"], "Did you mean 'adam'?"),
        (["attack", "shop.csv", "--optimizer", "sgd"], "needs lr"),
        (["attack", "shop.csv", "--constraint", "conectivity"], "Did you mean 'connectivity'?"),
        (["attack", "shop.csv", "--constraint", "node-budget"], "node-budget=3"),
        (["attack", "shop.csv", "--similar-users", "2", "--method", "kmean"], "mean 'kmeans'?"),
        (["attack", "graph.pt", "--features", "--attack", "pgd"], "'pgd' flips only edges"),
        (["attack", "graph.pt", "--attack", "ranking"], "is for graphs of interactions"),
        (["attack", "graph.pt", "--promote", "3"], "promote is for graphs of interactions"),
        (["attack", "graph.pt", "--off-limits", "3"], "off_limits is for graphs of"),
        (["attack", "graph.pt", "-k", "3"], "k is for graphs of"),
        (["attack", "shop.csv", "--attack", "ranking", "--surrogate", "cf"], "closed form"),
        (["attack", "shop.csv", "--promote", "3"], "promote needs fake_users: a number"),
        (["attack", "shop.csv", "--fake-users", "3"], "fake_users needs promote"),
        (["attack", "shop.csv", "--profile-length", "3"], "profile_length needs promote"),
        ([*PROMOTE, "SKU-3", "--fake-users", "1"], "promote='SKU-3' is not in the data, whose"),
        ([*PROMOTE, "1", "--fake-users", "9"], "fake_users='9' of 8 is 9; give a number from"),
        ([*PROMOTE, "1", "--fake-users", "1%"], "fake_users='1%' of 8 is 0"),
        ([*PROMOTE, "1", "--fake-users", "few"], "is neither a number"),
        ([*PROMOTE, "1", "--promote", "1", "--fake-users", "1"], "promote='1' is given twice"),
        ([*PROMOTE, "1", "--fake-users", "1", "--budget", "3"], "budget and promote exclude"),
        ([*PROMOTE, "1", "--fake-users", "1", "--resume"], "keeps no checkpoint"),
        ([*PROMOTE, "1", "--fake-users", "1", "--profile-length", "16"], "the 15 items of the"),
        ([*PROMOTE, "1", "--fake-users", "1", "--new-users", "1"], "adds its own fake users"),
        (
            [*PROMOTE, "1", "--fake-users", "1", "--attack", "meta"],
            "promote needs attack='ranking'",
        ),
        ([*PROMOTE, "1", "--fake-users", "1", "--off-limits", "2"], "limit flips of real"),
        (["attack", "shop.csv", "--off-limits", "u8"], "neither a file of user ids nor a number"),
        (["attack", "shop.csv", "--off-limits", "bare.csv"], "off_limits='user,item' is not in"),
        (["attack", "shop.csv", "--off-limits", "empty.csv"], "is a file without user ids"),
        (["attack", "shop.csv", "--max-profile-share", "some"], "must be a share (25% or 0.25)"),
        (["attack", "shop.csv", "--split", "time"], "split='time' needs the time"),
        (["attack", "shop.csv", "--split", "per-usr"], "Did you mean 'per-user'?"),
        (["attack", "shop.csv", "--time-column", "star"], "Did you mean 'stars'?"),
        (["attack", "graph.pt", "--split", "per-user"], "has its split already"),
        (["evaluate", "shop.csv", "flips.npz", "--metric", "ndgc@10"], "Did you mean 'ndcg@k'?"),
        (["evaluate", "shop.csv", "flips.npz", "--metric", "t-hr@3"], "no attack records any"),
        (["evaluate", "shop.csv", "flips.npz", "--metric", "ndcg@99"], "has 15 items"),
        (["evaluate", "shop.csv", "flips.npz", "--victim", "ease", "--loss", "bpr"], "on pairs"),
        (["attack", "shop.csv", "--device", "gpu"], "use cpu or cuda"),
        (["attack", "shop.csv", "--device", "cuda:99"], "is not available"),
        (["attack", "shop.csv", "--export", "poisoned.xls"], "must end in"),
        (["attack", "shop.csv", "--out", "shop.csv/flips.npz"], "cannot write"),
        (["attack", "shop.csv", "--out", "."], "is a folder"),
        (["attack", "shop.csv", "--config", "absent.yaml"], "cannot read absent.yaml"),
        (["attack", "shop.csv", "--edge-type", "user"], "three names"),
        (["evaluate", "shop.csv", "absent.npz"], "there is no file 'absent.npz'"),
        (["evaluate", "shop.csv", "shop.csv"], "shop.csv holds no flips"),
        (["evaluate", "graph.pt", "flips.npz"], "does not fit this input"),
        (["evaluate", "shop.csv", "flips.npz", "--victim", "neumff"], "Did you mean 'neumf'?"),
        (["evaluate", "shop.csv", "flips.npz", "--budgets", "1,5"], "but 2 were made"),
        (["evaluate", "shop.csv", "flips.npz", "--metric", "auc"], "Did you mean 'auroc'?"),
        (["evaluate", "shop.csv", "flips.npz", "--victim", "cf,cf"], "has one name twice"),
        (["attack", "notes.txt"], "a table must end in .csv"),
        (["attack", "bare.csv"], "bare.csv has no rows"),
        (["datasets", "steem"], "Did you mean 'steam'?"),
        (["reproduce", "4.77"], "Did you mean '4.7'?"),
        (["demo", "--dataset", "synthetic-citations"], "Did you mean 'synthetic-citation'?"),
    ],
    ids=" ".join,
)
def test_mistakes_get_one_line(
    arguments: list[str], message: str, shop: str, graph: str, mistaken: None
) -> None:
    assert message in refused(2, *arguments)


@pytest.fixture
def mistaken(shop: str) -> None:
    Path("empty.csv").touch()
    Path("bare.csv").write_text("user,item\n")
    Path("notes.txt").write_text("user,item\n1,2\n")
    Path("headless.csv").write_text("1,2\n1,3\n2,3\n")
    Path("words.csv").write_text("user,item,stars\n1,2,5\n1,3,good\n")
    torch.save(citation_graph(), "pickle.pt")
    done("attack", shop, "--attack", "random", "--budget", "2")


def test_failed_work_says_so(shop: str) -> None:
    line = refused(1, "attack", shop, "--objective", "self", "--attack", "pgd", "--budget", "2")
    assert "use objective='train'" in line
    assert not Path("flips.checkpoint.npz").exists()
    shown = call("attack", shop, "--objective", "self", "--attack", "pgd", "--debug")
    assert isinstance(shown.exception, ValueError)


def test_interrupted_before_anything_was_done(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gp.RandomAttack, "propose", interrupted)
    assert refused(130, "attack", shop, "--attack", "random") == "interrupted"


# The rest


def test_stdout_is_one_json_object_and_progress_goes_elsewhere(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_progress, "FIRST", 0.0)
    result = call("attack", shop, "--budget", "3", "--steps", "3", "--json")
    assert json.loads(result.stdout)["flips"] == 3
    assert "1 of 3 flips in 0:00, about 0:0" in result.stderr
    assert "3 of 3 flips in" in result.stderr
    assert "users are 'customer'" in result.stderr


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(command: str) -> None:
    text = done(*command.split(), "--help")
    assert "graphpoison" in text
    if command:
        assert "Example:" in text
    if command == "attack":
        assert all(words in " ".join(text.split()) for words in ATTACKS.values())


def test_data_sets_as_json() -> None:
    assert json.loads(done("datasets", "--json"))["names"] == gp.datasets.names()
    counts = json.loads(done("datasets", "synthetic-citation", "--json"))
    assert counts["name"] == "synthetic-citation"
    assert counts["edges"] > 4000


@pytest.mark.parametrize("dataset", ["synthetic-interactions", "synthetic-citation"])
def test_the_demo(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {
        "synthetic-interactions": {"num_users": 30, "num_items": 40, "num_interactions": 300},
        "synthetic-citation": {"num_nodes": 100, "num_words": 50},
    }
    monkeypatch.setattr("graphpoison.cli.demo.SMALL", tiny)
    monkeypatch.setattr("graphpoison.cli.demo.SEEDS", 1)
    text = done("demo", "--dataset", dataset)
    assert "drop" in text
    assert ("untouched" in text) == (dataset == "synthetic-interactions")
    page = Path("demo", f"{dataset}.html")
    assert f"The page is {page.resolve()}" in text
    assert "<html" in page.read_text(encoding="utf-8")


def test_python_m_is_the_same_command() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(gp.__file__).parents[1])}
    command = [sys.executable, "-m", "graphpoison", "datasets"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == gp.datasets.names()
    assert shown.stderr == ""


# Files that are there already


def test_no_output_is_written_over_an_input_or_another_output(shop: str) -> None:
    before = Path(shop).read_bytes()
    attack = ["attack", shop, "--budget", "3", *SMALL]
    assert "would be written over" in refused(2, *attack, "--export", shop)
    assert "would be written over" in refused(2, *attack, "--out", shop)
    assert "two outputs" in refused(2, *attack, "--save-config", "flips.npz")
    done(*attack, "--export", "poisoned.csv")
    evaluate = ["evaluate", shop, "flips.npz", "--seeds", "1"]
    for option in ("--csv", "--html", "--latex", "--plot"):
        assert "would be written over the input" in refused(2, *evaluate, option, shop)
    assert "would be written over the input" in refused(2, *evaluate, "--csv", "flips.npz")
    assert "two outputs" in refused(2, *evaluate, "--csv", "t.csv", "--html", "./t.csv")
    assert "must end in .html or .htm" in refused(2, *evaluate, "--html", "t.csv")
    assert "must end in .png or .svg or .pdf" in refused(2, *evaluate, "--plot", "t.gif")
    done(*evaluate, "--csv", "t.csv", "--html", "t.html")
    assert "t.csv already exists" in refused(2, *evaluate, "--csv", "t.csv")
    done(*evaluate, "--csv", "t.csv", "--overwrite")
    assert Path(shop).read_bytes() == before
    assert "--overwrite" in refused(2, *attack, "--out", "b.npz", "--export", "poisoned.csv")
    done(*attack, "--out", "b.npz", "--export", "poisoned.csv", "--overwrite")


def test_a_poisoned_adjacency_of_another_library(graph: str) -> None:
    data = gp.datasets.load_graph(graph)
    flips = gp.RandomAttack(allow_removals=True)(gp.NodeClassification(data), 6)
    scipy.sparse.save_npz("theirs.npz", flips.to_scipy(data))
    options = ["--victim", "mlp,sgc:last", "--seeds", "1", "--json"]
    answer = json.loads(done("evaluate", graph, "theirs.npz", *options))
    rows = [(row["victim"], row["flips"]) for row in answer["table"]]
    assert rows == [("mlp", 6), ("sgc:last", 6)]
    scipy.sparse.save_npz("small.npz", flips.to_scipy(data)[:5, :5])
    said = refused(2, "evaluate", graph, "small.npz", "--seeds", "1")
    assert "small does not fit this input: small.npz has shape (5, 5)" in " ".join(said.split())
