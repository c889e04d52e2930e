"""Reports as pages, pictures and LaTeX; pages are also used as a person would, in a browser."""

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import citation_graph, interaction_graph
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait
from torch_geometric.utils import degree

import graphpoison as gp
from graphpoison.report import Report, plot_transfer, to_latex
from graphpoison.report.changes import MAX_BINS, change, histogram, sides
from graphpoison.report.neighbourhood import MAX_FLIPS, MIN_NODES, neighbourhood
from graphpoison.report.summary import excesses
from graphpoison.report.words import headline

HOSTILE = "</script><script>alert(1)</script><b>&"
MEASURED = [("auroc", "unseen"), ("log_loss", "unseen"), ("accuracy", "train")]
VOID = {"meta", "link", "br", "input", "img", "hr"}


def runs(
    drops: dict[str, list[float]],
    victims: tuple[str, ...] = ("cf",),
    flips: tuple[int, ...] = (2, 4),
    measured: list[tuple[str, str]] = MEASURED,
) -> pd.DataFrame:
    """Runs in which each attack lowers accuracy and AUROC, and raises log loss, by what is said
    for each seed, in proportion to the number of flips."""
    rows = []
    for attack, lost in drops.items():
        for victim in victims:
            for metric, split in measured:
                sign = -1 if metric == "log_loss" else 1
                for count in flips:
                    for seed, value in enumerate(lost):
                        clean = 0.8 + 0.001 * seed
                        poisoned = clean - sign * value * count / max(flips)
                        rows.append([attack, victim, count, seed, metric, split, clean, poisoned])
    columns = ["attack", "victim", "flips", "seed", "metric", "split", "clean", "poisoned"]
    return pd.DataFrame(rows, columns=columns)


def node_report() -> Report:
    data = citation_graph(num_nodes=40, dtype=torch.float32)
    task = gp.NodeClassification(data)
    attacks = {HOSTILE: gp.DICE(), "dice": gp.DICE(), "random": gp.RandomAttack()}
    found = {name: attack(task, 4, seed) for seed, (name, attack) in enumerate(attacks.items())}
    drops = {HOSTILE: [0.05, 0.06], "dice": [0.02, 0.04], "random": [0.0, 0.01]}
    values = runs(drops, ("gcn", HOSTILE), measured=[("accuracy", "test")])
    meta = {"versions": {"torch": HOSTILE, "numpy": "2.0"}, "seeds": [0, 1], "seconds": 1.5}
    return Report(values, found, gp.read_graph(data), meta)


def feature_report() -> Report:
    """Flips of features, alone and among flips of edges."""
    data = citation_graph(num_nodes=40, dtype=torch.float32)
    attack = gp.RandomAttack(allow_removals=True)
    words = gp.NodeClassification(data, candidates=None, feature_candidates="all")
    both = gp.NodeClassification(data, feature_candidates="all")
    found = {"words": attack(words, 30), "both": attack(both, 30)}
    values = runs({"words": [0.05, 0.06], "both": [0.02, 0.03]}, measured=[("accuracy", "test")])
    return Report(values, found, gp.read_graph(data))


def recommender_report(users: int = 7) -> Report:
    """With fake users."""
    data = interaction_graph(users=users)
    task = gp.Recommendation(data, gp.CF(dim=2))
    inject = gp.SimilarUsers(3, "sample", attack=gp.RandomAttack(allow_removals=True))
    found = {"copies": inject(task, 6), "random": gp.RandomAttack()(task, 6)}
    values = runs({"copies": [0.05, 0.06, 0.04], "random": [0.0, 0.01, 0.02]})
    return Report(values, found, gp.read_graph(data))


def many_flips(count: int = 10_000) -> Report:
    """Flips alone: no graph is known."""
    rng = np.random.default_rng(0)
    codes = rng.choice(400 * 300, count, replace=False)
    flips = pd.DataFrame(
        {
            "step": np.arange(count) // 100,
            "source": codes // 300,
            "target": codes % 300,
            "added": rng.random(count) < 0.7,
            "score": np.where(np.arange(count) % 50, rng.normal(size=count), np.nan),
            "attack_loss": rng.random(count),
        }
    )
    meta = {"attack": "MetaAttack()", "edge_type": ("user", "rates", "item"), "shape": [400, 300]}
    return Report(runs({"meta": [0.05, 0.06]}), {"meta": gp.Perturbation(flips, meta)})


def sparse_report() -> Report:
    """One seed, so that nothing has an interval, and a metric that is missing in places."""
    values = runs({"a": [0.05], "b": [0.02], "random": [0.0]}, ("cf", "gmf"))
    gone = (values["metric"] == "auroc") & (values["attack"] == "b") & (values["victim"] == "gmf")
    made = recommender_report().perturbations["random"]
    meta = {"attacks": {"random": {"seed": 7}}, "seconds": None, "notes": [{"a": 1.5}, {}]}
    return Report(
        values.assign(poisoned=values["poisoned"].where(~gone)), {"random": made}, meta=meta
    )


class Outline(HTMLParser):
    """Elements with their attributes; notes tags that are not closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.text: dict[str, str] = {}
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data
            self.cells += [data.strip()] if self.open[-1] == "td" else []


def outline(report: Report, folder: Path) -> Outline:
    report.to_html(folder / "page.html")
    return Outline((folder / "page.html").read_text(encoding="utf-8"))


# --- The page as a file ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [node_report, feature_report, recommender_report, many_flips, sparse_report]
)
def test_a_page_is_sound_html_and_names_nothing_outside(
    make: Callable[[], Report], tmp_path: Path
) -> None:
    page = outline(make(), tmp_path)
    assert not page.wrong
    assert not page.open
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    for tag, found in page.elements:
        for name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            target = found.get(name) or "#"
            assert target.startswith(("#", "data:")), f"<{tag} {name}={target}>"
    styles = page.text["style"]
    assert "@import" not in styles
    assert "http" not in styles
    assert "nan" not in page.text["td"].lower()
    policy = [found["content"] for _, found in page.elements if "http-equiv" in found]
    assert len(policy) == 1
    assert policy[0].startswith("default-src 'none'")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").stat().st_size < 1.5e6


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    page = outline(node_report(), tmp_path)
    assert HOSTILE in page.text["h1"]
    assert HOSTILE in page.text["title"]
    assert HOSTILE in page.text["option"]
    assert HOSTILE in page.text["td"]  # of the provenance and of a victim
    assert not [tag for tag, _ in page.elements if tag == "b"]
    assert sum(tag == "script" for tag, _ in page.elements) == 2


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    whole = recommender_report()
    known = {
        "all": whole,
        "flips": Report(whole.runs, whole.perturbations),
        "runs": Report(whole.runs),
    }
    found = {}
    for name, report in known.items():
        page = outline(report, tmp_path)
        ids = {element["id"] for _, element in page.elements if "id" in element}
        charts = {element.get("data-chart") for _, element in page.elements} - {None}
        found[name] = (ids & {"hit", "flips", "provenance", "transfer"}, charts)
        assert not {"None", "nan"} & set(page.cells)
    degrees = {f"degrees-{attack}-{side}" for attack in (0, 1) for side in (0, 1)}
    assert found["all"] == ({"hit", "flips", "provenance"}, {"pairs", "curves"} | degrees)
    assert found["flips"] == ({"hit", "flips", "provenance"}, {"pairs", "curves"})
    assert found["runs"] == (set(), {"pairs", "curves"})


def test_fake_users_are_marked(tmp_path: Path) -> None:
    page = outline(recommender_report(), tmp_path)
    report = recommender_report()
    table = sides(change(report.perturbations["copies"], report.graph))[0].top()
    assert table["fake"].sum() > 0
    assert page.text["span"].count("fake") == table["fake"].sum()
    assert "fake users" in page.text["dt"]


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    empty = Report(runs({"meta": [0.1]}).assign(poisoned=np.nan))
    with pytest.raises(ValueError, match="runs hold no value"):
        empty.to_html(path)
    bad, other = recommender_report(), gp.read_graph(interaction_graph(users=3))
    with pytest.raises(ValueError, match="not the graph"):
        Report(bad.runs, bad.perturbations, other).to_html(path)
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.slow
def test_names_are_drawn_and_set_as_they_are(tmp_path: Path) -> None:
    data = interaction_graph()
    task, attack = gp.Recommendation(data, gp.CF(dim=2)), gp.MetaAttack(gp.Training(steps=2))
    flips = attack(task, 3)
    victims = [gp.surrogate_victim(task, attack), gp.RecommenderVictim(gp.GMF(dim=2), "metric")]
    report = gp.evaluate(data, {r"$\frac$": flips, "_hidden": flips}, victims, range(2))
    figure = report.plot("auroc", path=tmp_path / "names.png")
    assert len(figure.legends[0].get_texts()) == 4
    lines = to_latex(report.transfer()).splitlines()
    assert lines[2] == r"flips by & surrogate & metric \\"
    assert r"textbackslash pm" not in "".join(lines)
    assert lines[0] == r"\begin{tabular}{lrr}"


def test_importing_the_library_leaves_matplotlib_alone() -> None:
    code = "import sys, graphpoison; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- The finding in words ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drops", "verdict", "said"),
    [
        ({"a": [0.05, 0.06, 0.05], "random": [0.01, 0.01, 0.02]}, "a hurt cf more than random flips did", "95% interval 0.0390 to 0.0677."),  # noqa: E501
        ({"a": [0.02, 0.03, 0.02], "random": [0.01, 0.05, 0.02]}, "a hurt cf, but no advantage over random flips is shown", "includes 0: no difference from random is shown"),  # noqa: E501
        ({"a": [0.01, 0.01, 0.012], "random": [0.05, 0.06, 0.05]}, "a hurt cf less than random flips did", "less, 95% interval"),  # noqa: E501
        ({"a": [0.01, -0.02, 0.02], "random": [0.0, 0.0, 0.0]}, "3 seeds cannot tell whether a hurt cf: try 5 or more", "which includes 0: no change is shown"),  # noqa: E501
        ({"a": [0.01, -0.02, 0.02, 0.01, -0.01]}, "No harm to cf by a is shown", "which includes 0: no change is shown"),  # noqa: E501
        ({"a": [-0.05, -0.06, -0.05]}, "cf was better after a", "rose from"),
        ({"a": [0.05, 0.06, 0.05]}, "a hurt cf", "fell from 0.8010 to 0.7477"),
        ({"a": [0.05]}, "a on cf: one run, no interval", "one seed gives no interval"),
        ({"a": [0.0, 0.0]}, "No harm to cf by a is shown", "stayed 0.8005"),
    ],
)  # fmt: skip
def test_the_headline_says_what_the_intervals_do(
    drops: dict[str, list[float]], verdict: str, said: str
) -> None:
    found = headline(runs(drops), "auroc", "unseen", "random" if "random" in drops else None)
    assert found.verdict == verdict
    assert said in " ".join(found.sentences)


def test_the_headline_of_log_loss_rises_and_compares_equal_budgets() -> None:
    values = runs({"a": [0.05, 0.06], "random": [0.01, 0.01]})
    values = values[(values["attack"] == "a") | (values["flips"] == 2)]  # random stopped early
    found = headline(values, "log_loss", "unseen", "random")
    assert found.sentences[0] == (
        "With 2 flips by a, the log loss of cf on unseen data rose from 0.8005 to 0.8280."
    )
    assert "Random flips at the same budget: a drop of 0.0050." in found.sentences[2]


def test_the_headline_prefers_a_victim_with_an_interval() -> None:
    values = pd.concat([runs({"a": [0.9]}, ("surrogate",)), runs({"a": [0.05, 0.052]})])
    assert headline(values, "auroc", "unseen", None).verdict == "a hurt cf"


def test_the_excess_over_random_is_paired_by_seed() -> None:
    values = runs({"a": [0.05, 0.07, 0.01], "random": [0.01, 0.02, 0.03]}, flips=(4,))
    table = excesses(values, "random")
    assert set(table["attack"]) == {"a"}
    differences = np.array([0.04, 0.05, -0.02])
    for row in table.itertuples():
        assert row.excess == pytest.approx(differences.mean())
        halfwidth = 4.302653 * differences.std(ddof=1) / np.sqrt(3)
        assert row.excess_ci95 == pytest.approx(halfwidth, rel=1e-5)


def ranked_runs(
    drops: dict[str, tuple[float, float]], metric: str = "ndcg@10", user_ci95: float = 0.01
) -> pd.DataFrame:
    """One run of each attack that lowers (raises, of targets) the metric of 20 touched users and
    of 80 untouched ones by what is said."""
    sign = -1 if metric.startswith(("t-", "any-t-")) else 1
    rows = []
    for attack, lost in drops.items():
        groups = {"touched": (20, lost[0]), "untouched": (80, lost[1])}
        groups["all"] = (100, 0.2 * lost[0] + 0.8 * lost[1])
        for users, (number, value) in groups.items():
            rows.append(
                [attack, "ease", 4, 0, metric, "unseen", users, 0.4, 0.4 - sign * value, user_ci95,
                 number]
            )  # fmt: skip
    columns = ["attack", "victim", "flips", "seed", "metric", "split", "users", "clean"]
    return pd.DataFrame(rows, columns=[*columns, "poisoned", "user_ci95", "num_users"])


def ranked_report(warnings: tuple[str, ...] = ()) -> Report:
    """One run of a ranking metric beside the runs of a metric of pairs."""
    task = gp.Recommendation(interaction_graph(), gp.CF(dim=2))
    made = gp.RandomAttack()(task, 4)
    known = {
        "a": gp.Perturbation(made.flips, {**made.meta, "attack": "MetaAttack()"}),
        "rare": gp.Perturbation(
            made.flips, {**made.meta, "attack": "HeuristicAttack()", "heuristic": True}
        ),
        "random": made,
    }
    drops = {"rare": (0.3, 0.1), "a": (0.1, 0.05), "random": (0.0, 0.0)}
    pairs = runs({"rare": [0.3], "a": [0.1], "random": [0.0]}, ("ease",), (4,))
    values = pd.concat([pairs, ranked_runs(drops)]).fillna({"users": "all", "num_users": 0})
    return Report(values, known, gp.read_graph(interaction_graph()), {"warnings": list(warnings)})


def test_the_headline_of_one_run_rests_on_users() -> None:
    values = ranked_runs({"rare": (0.3, 0.1), "a": (0.1, 0.05), "random": (0.0, 0.0)})
    found = headline(values, "ndcg@10", "unseen", "random", ["rare", "random"])
    assert found.verdict == "a hurt ease more than random flips did"
    assert found.sentences == (
        "With 4 flips by a, the NDCG@10 of ease on unseen data fell from 0.4000 to 0.3400.",
        "The drop is 0.0600 (15.0% of the clean value) in one run, 95% interval over 100 "
        "users 0.0500 to 0.0700.",
        "The mean drop is 0.1000 for the 20 touched users and 0.0500 for the 80 untouched users: "
        "touched users carry 33.3% of the drop, untouched users 66.7%.",
        "Random flips at the same budget: a drop of 0.0000. The attack's drop is 0.0600 more, 95% "
        "interval of the difference 0.0459 to 0.0741.",
        "Baselines that a is not shown to beat: rare.",
    )
    beaten = headline(values[values["attack"] != "rare"], "ndcg@10", "unseen", None, ["random"])
    assert beaten.sentences[-1] == "a beats 1 baseline: random."


@pytest.mark.parametrize(
    ("metric", "lost", "half", "verdict", "said"),
    [
        ("ndcg@10", (0.01, 0.01), 0.05, "No harm to ease by a is shown", "includes 0"),
        ("ndcg@10", (-0.1, 0.05), 0.01, "a hurt ease", "0.0500 for the 80 untouched users."),
        ("t-hr@50", (0.1, 0.05), 0.01, "a promoted the targets in ease", "rose from 0.4000"),
        ("t-hr@50", (0.0, 0.0), 0.01, "No promotion of the targets in ease by a is shown", "The rise is 0.0000"),  # noqa: E501
        ("any-t-hr@5", (0.1, 0.05), 0.01, "a promoted the targets in ease", "of the rise, untouched"),  # noqa: E501
        ("t-hr@50", (-0.1, -0.1), 0.01, "The targets ranked lower in ease after a", "fell from"),
        ("overlap@10", (0.1, 0.1), 0.01, "a changed the lists of ease", "the overlap@10 of ease"),
        ("coverage@10", (0.1, 0.1), np.nan, "a on ease: one run, no interval", "no interval"),
    ],
)  # fmt: skip
def test_the_headline_of_other_ranking_metrics(
    metric: str, lost: tuple[float, float], half: float, verdict: str, said: str
) -> None:
    found = headline(ranked_runs({"a": lost}, metric, half), metric, "unseen", None)
    assert found.verdict == verdict
    assert said in " ".join(found.sentences)
    carried = "touched users carry" in " ".join(found.sentences)
    assert carried == (metric in ("any-t-hr@5", "overlap@10") or lost == (0.01, 0.01))


def test_a_group_of_everybody_is_said_to_be() -> None:
    values = ranked_runs({"a": (0.1, 0.1)})
    found = headline(values[values["users"] != "touched"], "ndcg@10", "unseen", None)
    assert "All 80 users that count are untouched." in found.sentences


def test_a_page_shows_users_apart_and_warnings(tmp_path: Path) -> None:
    said = "On the clean graph, victim ease is less than 10% better than a ranking by popularity."
    page = outline(ranked_report((said,)), tmp_path)
    assert page.text["h1"].strip() == "a hurt ease more than random flips did"
    assert said in page.text["p"]
    assert "Baselines that a is not shown to beat: rare." in page.text["p"]
    keys = [found["value"] for tag, found in page.elements if tag == "option" and "value" in found]
    assert keys[0] == "ndcg@10|unseen"
    assert "users" in page.text["th"]
    for name in ("touched", "untouched", "all"):
        assert page.cells.count(name) >= 3
    assert not {"None", "nan"} & set(page.cells)
    plain = outline(recommender_report(), tmp_path)
    assert "untouched" not in plain.cells


def test_tables_and_pictures_of_users_apart(tmp_path: Path) -> None:
    report = ranked_report()
    lines = report.to_latex(digits=2).splitlines()
    assert r"a & ndcg@10 & unseen & touched & 0.40 & 0.30 & 0.10 $\pm$ 0.01 & 1 \\" in lines
    everyone = to_latex(report.table.query("metric == 'ndcg@10' and users == 'all'"))
    assert everyone.splitlines()[0] == "% victim: ease; flips: 4; metric: ndcg@10; split: unseen"
    for users, level in (("all", 0.34), ("touched", 0.3), ("untouched", 0.35)):
        (axes,) = report.plot("ndcg@10", users=users, path=tmp_path / "plot.png").axes
        line = next(line for line in axes.lines if line.get_label() == "a (ease)")
        assert line.get_ydata() == pytest.approx([0.4, level])
    assert axes.get_ylabel() == "NDCG@10"
    with pytest.raises(ValueError, match=r"users='toched' is not known.*'touched'"):
        report.plot("ndcg@10", users="toched")
    assert report.transfer().loc[("a", "ease"), "drop"] == pytest.approx(0.06)


# --- Who was hit -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_degrees_are_those_of_the_graphs(seed: int) -> None:
    data = citation_graph(num_nodes=25, seed=seed)
    attack = gp.RandomAttack(allow_removals=True)
    found = attack(gp.NodeClassification(data), 12, seed)
    (side,) = sides(change(found, gp.read_graph(data)))
    after = found.apply(data)
    assert side.before.tolist() == degree(data.edge_index[0], 25).tolist()
    assert side.after.tolist() == degree(after.edge_index[0], 25).tolist()
    assert (side.added - side.removed == side.after - side.before).all()
    assert side.added.sum() + side.removed.sum() == 24


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fake", [False, True])
def test_degrees_of_users_and_items_are_those_of_the_graphs(seed: int, fake: bool) -> None:
    kind = ("user", "rates", "item")
    data = interaction_graph(seed=seed)
    attack = gp.RandomAttack(allow_removals=True)
    found = (gp.SimilarUsers(3, attack=attack) if fake else attack)(
        gp.Recommendation(data, gp.CF(dim=2)), 9, seed
    )
    after = found.apply(data)
    assert len(found.removed[0])
    for row, side in enumerate(sides(change(found, gp.read_graph(data)))):
        size = after[kind[2 * row]].num_nodes
        assert side.kind == kind[2 * row]
        assert side.after.tolist() == degree(after[kind].edge_index[row], size).tolist()
        before = degree(data[kind].edge_index[row], data[kind[2 * row]].num_nodes)
        assert side.before[: side.num_real].tolist() == before.tolist()
        assert not side.before[side.num_real :].any()
        assert side.num_real == data[kind[2 * row]].num_nodes
        top = side.top(4)
        flips = side.added + side.removed
        assert top["flips"].tolist() == sorted(flips[flips > 0], reverse=True)[:4]


@pytest.mark.parametrize("name", ["words", "both"])
def test_flips_of_features_are_counted_at_their_nodes(name: str, tmp_path: Path) -> None:
    report = feature_report()
    made = report.perturbations[name]
    features = (made.apply(report.graph).x - report.graph.x).numpy()
    assert (features > 0).any()
    assert (features < 0).any()
    (side,) = sides(change(made, report.graph))
    assert side.features.tolist() == np.abs(features).sum(axis=1).tolist()
    edges = np.bincount(made.pairs.numpy().ravel(), minlength=40)
    assert edges.any() == (name == "both")
    assert side.flips.tolist() == (edges + side.features).tolist()
    top = side.top(40)
    assert (top["features"] + top["added"] + top["removed"] == top["flips"]).all()
    assert (np.diff(top["flips"]) <= 0).all()
    assert top["flips"].sum() == side.flips.sum()
    page = outline(report, tmp_path)
    assert (
        f"{name}: {made.added.size(1)} edges added, {made.removed.size(1)} removed; "
        f"{(features > 0).sum()} features set, {(features < 0).sum()} cleared" in page.text["h3"]
    )
    assert f"{(side.flips > 0).sum()} of 40 nodes have flips" in page.text["p"]


def test_nodes_whose_features_flipped_are_drawn() -> None:
    report = feature_report()
    for known in (report, Report(report.runs, report.perturbations)):
        part = neighbourhood(change(report.perturbations["words"], known.graph), nodes=14)
        assert not part.added + part.removed
        assert bool(part.kept) == (known is report)
        features = report.perturbations["words"].feature_flips[0]
        counts = features.bincount(minlength=40).tolist()
        assert part.flips == {(0, node): counts[node] for _, node in part.places}
        assert max(counts) in part.flips.values()
        assert known.draw_neighbourhood("words", nodes=14).axes


def test_features_of_a_node_beyond_the_graph_are_refused() -> None:
    made = feature_report().perturbations["words"]
    with pytest.raises(ValueError, match="not the graph"):
        change(made, gp.read_graph(citation_graph(num_nodes=20)))


def test_a_histogram_counts_every_node_once() -> None:
    data = citation_graph(num_nodes=30)
    star = torch.stack([torch.zeros(29, dtype=torch.long), torch.arange(1, 30)])
    for graph in (data, data.clone()):
        if graph is not data:
            graph.edge_index = torch.cat([star, star.flip(0)], dim=1)
        found = gp.RandomAttack()(gp.NodeClassification(graph), 5)
        (side,) = sides(change(found, gp.read_graph(graph)))
        table = histogram(side)
        assert table["before"].sum() == table["after"].sum() == 30
        top = int(max(side.before.max(), side.after.max()))
        assert (top > MAX_BINS) == (graph is not data)
        for row in table.itertuples():
            low, _, high = row.degree.partition("-")
            inside = (side.after >= int(low)) & (side.after <= int(high or low))
            assert row.after == inside.sum()


@pytest.mark.parametrize("make", [node_report, recommender_report, many_flips])
def test_a_neighbourhood_shows_true_edges_around_the_nodes_hit_most(
    make: Callable[[], Report],
) -> None:
    report = make()
    for made in report.perturbations.values():
        found = change(made, report.graph)
        part = neighbourhood(found, nodes=14)
        assert 2 <= len(part.places) <= 14
        assert part.places == neighbourhood(found, nodes=14).places
        assert max(part.flips.values()) == max(
            (side.added + side.removed).max() for side in sides(found)
        )
        if report.graph is None:
            assert not part.kept
            continue
        standing = set(map(tuple, made.apply(report.graph).edge_index.t().tolist()))
        flips = {(a, b): on for a, b, on in made.flips[["source", "target", "added"]].to_numpy()}
        for edges, on in ((part.added, True), (part.removed, False)):
            for (_, a), (_, b) in edges:
                assert flips[a, b] == on
                assert ((a, b) in standing) == on
        for (_, a), (_, b) in part.kept:
            assert (a, b) in standing
            assert (a, b) not in flips


def test_a_dense_neighbourhood_is_cut_down() -> None:
    flips = pd.DataFrame([(0, u, i, True, 0.0, 0.0) for u in range(30) for i in range(30)])
    flips.columns = ["step", "source", "target", "added", "score", "attack_loss"]
    meta = {"edge_type": ("user", "rates", "item"), "shape": [30, 30]}
    part = neighbourhood(change(gp.Perturbation(flips, meta), None), nodes=40)
    assert len(part.added) <= MAX_FLIPS
    assert MIN_NODES - 3 <= len(part.places) < 40


# --- Pictures and LaTeX ------------------------------------------------------------------------


def test_pictures_are_written_by_suffix(tmp_path: Path) -> None:
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for report in (node_report(), recommender_report()):
        draws = (report.plot_degrees, report.draw_neighbourhood, report.plot_transfer)
        for draw, (suffix, start) in zip(draws, starts.items(), strict=True):
            draw(path=tmp_path / f"picture.{suffix}")
            assert (tmp_path / f"picture.{suffix}").read_bytes().startswith(start)
    with pytest.raises(ValueError, match=r"attack='copy' is not known.*'copies'"):
        report.draw_neighbourhood("copy")
    with pytest.raises(ValueError, match="nodes must be at least 2"):
        report.draw_neighbourhood(nodes=1)
    with pytest.raises(ValueError, match="graph is not known"):
        many_flips(10).plot_degrees()
    with pytest.raises(ValueError, match="perturbations are not known"):
        Report(report.runs).draw_neighbourhood()
    with pytest.raises(ValueError, match="frame must be"):
        plot_transfer(report.table)


def test_transfer_has_the_form_of_a_transfer_matrix() -> None:
    report = node_report()
    frame = report.transfer()
    assert frame.index.names == ["surrogate", "victim"]
    columns = ["clean", "drop", "ci95", "flips", "random", "random_ci95", "random_flips"]
    assert list(frame.columns) == columns
    assert frame.loc[(HOSTILE, "gcn"), "drop"] == pytest.approx(0.055)
    assert frame.loc[("dice", "gcn"), "random"] == pytest.approx(0.005)
    figure = plot_transfer(frame)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels[1:] == ["dice", "random"]
    assert labels[0].replace("\n", "") == HOSTILE
    with pytest.raises(ValueError, match="a surrogate named 'random'"):
        plot_transfer(frame.rename(index={"dice": "random"}, level=0))


def test_latex_is_booktabs_with_intervals(tmp_path: Path) -> None:
    values = runs({"50%_&_#": [0.05, 0.06], "b": [-0.02, -0.02]}, measured=[("accuracy", "test")])
    text = Report(values).to_latex(tmp_path / "table.tex")
    assert (tmp_path / "table.tex").read_text(encoding="utf-8") == text
    lines = text.splitlines()
    assert lines[0] == "% victim: cf; metric: accuracy; split: test"
    assert lines[1] == r"\begin{tabular}{lrrrrr}"
    assert lines[2:5] == [
        r"\toprule",
        r"attack & flips & clean & poisoned & drop & seeds \\",
        r"\midrule",
    ]
    assert lines[6] == r"50\%\_\&\_\# & 4 & 0.8005 & 0.7455 & 0.0550 $\pm$ 0.0635 & 2 \\"
    assert lines[8] == r"b & 4 & 0.8005 & 0.8205 & $-$0.0200 $\pm$ 0.0000 & 2 \\"
    assert lines[9:] == [r"\bottomrule", r"\end{tabular}"]
    floating = to_latex(Report(values).table, caption="A", label="tab:a")
    assert r"\caption{A}" in floating
    assert r"\begin{table}" in floating


def test_latex_of_a_transfer_matrix() -> None:
    text = to_latex(node_report().transfer(), digits=2)
    assert r"dice & 0.03 $\pm$ 0.13 & 0.03 $\pm$ 0.13 \\" in text
    assert r"random & 0.01 $\pm$ 0.06 & 0.01 $\pm$ 0.06 \\" in text
    assert r"\textless " not in text.split(r"\midrule")[1].split("dice")[1]
    with pytest.raises(ValueError, match="frame must be what transfer_matrix returned"):
        to_latex(pd.DataFrame({"a": [1]}))


# --- The page in a browser ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for make in (node_report, feature_report, recommender_report, many_flips):
        make().to_html(folder / f"{make.__name__}.html")
    return folder


@pytest.fixture(scope="module")
def browser(pages: Path) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed: no browser to test pages in")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for name in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-background-networking",
        "disable-component-update", "disable-sync", "no-first-run", "window-size=1000,900",
    ):  # fmt: skip
        options.add_argument(f"--{name}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(pages)})
    found = webdriver.Chrome(options, Service(driver))
    yield found
    found.quit()


def wait_until(browser: webdriver.Chrome, condition: Callable[[], bool]) -> None:
    WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda _: condition())


def visit(browser: webdriver.Chrome, pages: Path, name: str) -> None:
    """Open a page and wait for its charts."""
    browser.get((pages / f"{name}.html").as_uri())
    drawn = "#results .chart:not([hidden]) svg"
    wait_until(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, drawn)) == 2)


def column(browser: webdriver.Chrome, key: str) -> list[str]:
    """What stands in one column of the flips on show."""
    return list(
        browser.execute_script(
            "const at = [...document.querySelectorAll('#flip-table thead th')]"
            ".findIndex((th) => th.dataset.key === arguments[0]);"
            "return [...document.querySelectorAll('#flip-table tbody tr')]"
            ".map((tr) => tr.cells[at].textContent)",
            key,
        )
    )


def head(browser: webdriver.Chrome, key: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, f"#flip-table th[data-key={key}]")


def status(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "status").text


def texts(browser: webdriver.Chrome, chart: str) -> set[str]:
    """The texts of the drawing of a chart that is on show."""
    drawings = browser.find_elements(By.CSS_SELECTOR, f"[data-chart={chart}]")
    (shown,) = [drawing for drawing in drawings if drawing.is_displayed()]
    return {text.text for text in shown.find_elements(By.TAG_NAME, "text")}


def _is_light(browser: webdriver.Chrome, light: bool) -> bool:
    """Whether the text of drawings is dark, or, without ``light``, is not."""
    fill = "return getComputedStyle(document.querySelector('.chart text')).fill"
    ink = re.findall(r"\d+", browser.execute_script(fill))
    return (int(ink[0]) < 128) == light


@pytest.mark.parametrize(
    "name", ["node_report", "feature_report", "recommender_report", "many_flips"]
)
def test_a_page_shows_without_errors_or_requests(
    browser: webdriver.Chrome, pages: Path, name: str
) -> None:
    visit(browser, pages, name)
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        light = scheme == "light"
        wait_until(browser, partial(_is_light, browser, light))
        picture = matplotlib.image.imread(io.BytesIO(browser.get_screenshot_as_png()))[..., :3]
        assert picture.std() > 0.03
        assert (np.median(picture) > 0.5) == light
    entries = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    assert browser.execute_script(entries) == []
    assert browser.get_log("browser") == []


def test_a_page_fits_a_narrow_screen(browser: webdriver.Chrome, pages: Path) -> None:
    screen = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        for name in ("node_report", "recommender_report"):
            visit(browser, pages, name)
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert wide <= 400
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_another_metric_is_chosen(browser: webdriver.Chrome, pages: Path) -> None:
    visit(browser, pages, "recommender_report")
    assert {"AUROC", "unseen data"} <= texts(browser, "curves")
    assert "AUROC, unseen data" in texts(browser, "pairs")
    Select(browser.find_element(By.ID, "choice")).select_by_visible_text("log loss, unseen data")
    assert {"log loss (nats)", "unseen data"} <= texts(browser, "curves")
    assert "log loss (nats), unseen data" in texts(browser, "pairs")
    rows = browser.find_elements(By.CSS_SELECTOR, "#means tbody tr")
    kept = [row for row in rows if row.is_displayed()]
    assert {row.get_attribute("data-key") for row in kept} == {"log_loss|unseen"}
    assert 0 < len(kept) < len(rows)


def test_another_attack_is_chosen(browser: webdriver.Chrome, pages: Path) -> None:
    visit(browser, pages, "recommender_report")

    def shown() -> list[str]:
        found = browser.find_elements(By.CSS_SELECTOR, "article.attack")
        return [one.get_attribute("data-attack") or "" for one in found if one.is_displayed()]

    assert shown() == ["0"]
    Select(browser.find_element(By.ID, "attack")).select_by_visible_text("random")
    assert shown() == ["1"]
    assert browser.find_element(By.CSS_SELECTOR, "article[data-attack='1'] .chart").is_displayed()


def test_flips_are_sorted_by_mouse_and_by_keyboard(browser: webdriver.Chrome, pages: Path) -> None:
    visit(browser, pages, "many_flips")
    table = many_flips().perturbations["meta"].flips
    assert column(browser, "source") == table["source"][:25].astype(str).tolist()
    assert head(browser, "source").get_attribute("aria-sort") == "none"
    head(browser, "source").find_element(By.TAG_NAME, "button").click()
    expected = table.sort_values("source", kind="stable")
    assert column(browser, "source") == expected["source"][:25].astype(str).tolist()
    assert column(browser, "target") == expected["target"][:25].astype(str).tolist()
    assert head(browser, "source").get_attribute("aria-sort") == "ascending"
    button = head(browser, "score").find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.ENTER)
    button.send_keys(Keys.SPACE)
    assert head(browser, "score").get_attribute("aria-sort") == "descending"
    assert head(browser, "source").get_attribute("aria-sort") == "none"
    expected = table.sort_values("score", ascending=False, na_position="last")
    found = np.array(column(browser, "score"), dtype=float)
    np.testing.assert_allclose(found, expected["score"][:25], rtol=1e-5)


def test_flips_are_filtered_paged_and_saved(browser: webdriver.Chrome, pages: Path) -> None:
    visit(browser, pages, "many_flips")
    table = many_flips().perturbations["meta"].flips
    assert status(browser) == "1 to 25 of 10,000"
    browser.find_element(By.ID, "next").click()
    assert column(browser, "source") == table["source"][25:50].astype(str).tolist()
    browser.find_element(By.ID, "previous").click()
    assert not browser.find_element(By.ID, "previous").is_enabled()
    Select(browser.find_element(By.ID, "size")).select_by_visible_text("100")
    assert status(browser) == "1 to 100 of 10,000"
    user, _ = browser.find_elements(By.CSS_SELECTOR, "#filters input")
    user.send_keys("123")
    Select(browser.find_elements(By.CSS_SELECTOR, "#filters select")[1]).select_by_value("added")
    chosen = table[(table["source"] == 123) & table["added"]]
    assert 0 < len(chosen) < 100
    assert column(browser, "target") == chosen["target"].astype(str).tolist()
    assert set(column(browser, "added")) == {"added"}
    browser.find_element(By.ID, "save").click()
    wait_until(browser, lambda: (pages / "flips.csv").exists())
    saved = pd.read_csv(pages / "flips.csv")
    assert saved.pop("attack").unique().tolist() == ["meta"]
    pd.testing.assert_frame_equal(saved, chosen.reset_index(drop=True))
    user.send_keys("456")
    assert status(browser) == "no flips match"
    assert not browser.find_element(By.ID, "save").is_enabled()
    assert browser.get_log("browser") == []


def test_features_are_no_nodes_in_the_table_of_flips(
    browser: webdriver.Chrome, pages: Path
) -> None:
    visit(browser, pages, "feature_report")
    assert head(browser, "target").text == "other node or feature"
    attack, made = browser.find_elements(By.CSS_SELECTOR, "#filters select")
    (node,) = browser.find_elements(By.CSS_SELECTOR, "#filters input")
    Select(browser.find_element(By.ID, "size")).select_by_visible_text("100")
    report = feature_report()
    table = pd.concat([found.flips for found in report.perturbations.values()])
    features = table[table["kind"] == "feature"]
    number = int(features["target"].iloc[0])
    node.send_keys(str(number))
    hit = (table["source"] == number) | ((table["target"] == number) & (table["kind"] == "edge"))
    assert column(browser, "source") == table.loc[hit, "source"].astype(str).tolist()
    node.send_keys(Keys.BACKSPACE * len(str(number)))
    Select(made).select_by_visible_text("cleared")
    cleared = features[~features["added"]]
    assert column(browser, "target") == cleared["target"].astype(str).tolist()
    assert set(column(browser, "added")) == {"cleared"}
    Select(attack).select_by_visible_text("words")
    count = report.perturbations["words"].features_cleared.size(1)
    assert status(browser) == f"1 to {count} of {count}"
    assert browser.get_log("browser") == []


def test_nodes_go_by_the_ids_of_the_data(tmp_path: Path) -> None:
    pairs = [(f"shopper {u}", f"<b>{i}</b>") for u in range(12) for i in range(u % 5, 9, 2)]
    data = gp.datasets.from_interactions(pd.DataFrame(pairs, columns=["user", "item"]))
    task = gp.Recommendation(data, gp.CF(dim=2))
    flips = gp.NewUsers(2, gp.RandomAttack())(task, 4)
    known = sides(change(flips, gp.read_graph(data)))[0].top()
    ids = [*data["user"].raw_id, "", ""]
    assert known["user id"].tolist() == [ids[user] for user in known["user"]]
    others = gp.RandomAttack()(task, 3)
    report = gp.evaluate(data, {"new": flips, "random": others}, [gp.CF(dim=2)], [0])
    page = outline(report, tmp_path)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    hit = data["user"].raw_id[int(others.pairs[0, 0])]
    assert hit in page.cells
    assert '"user id"' in text
    assert "<b>" not in text.replace("<body", "")
