"""The thesis's figures, and how they are measured again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

import graphpoison as gp
import graphpoison.datasets as datasets
import graphpoison.reproduce.runner as runner
from graphpoison._store import Store
from graphpoison.cli import app
from graphpoison.reproduce import (
    DataSet,
    NodeExperiment,
    Outcome,
    RecommenderExperiment,
    Table,
    Trained,
    Users,
    compare,
    fill,
    names,
    ratios,
    reproduce,
    run,
    thesis_names,
)
from graphpoison.reproduce.figures import draw_curves, draw_users
from graphpoison.reproduce.settings import TABLES
from graphpoison.reproduce.tables import markdown
from graphpoison.reproduce.thesis import TABLES as THESIS

SMALL = DataSet(
    "synthetic-interactions",
    (("num_users", 25), ("num_items", 30), ("num_interactions", 150)),
)
QUICK_CF = Trained(gp.CF(4, scale=0.5), gp.Training(steps=8, lr=0.1, optimizer="adam"))
CASE = RecommenderExperiment(
    name="small",
    dataset=SMALL,
    budgets=(0, 10, 20),
    flips_per_step=5,
    attacks=("baseline", "meta-attack"),
    surrogate=QUICK_CF,
    target=replace(QUICK_CF, model=gp.CF(3, scale=0.5)),
)
KEYS = ["flips", "attack", "model", "split", "metric"]


def levels(number: str) -> pd.Series:
    return THESIS[number].figures.set_index(KEYS)["thesis"]


# The thesis's figures


@pytest.mark.parametrize("number", THESIS)
def test_every_line_of_a_table_is_whole(number: str) -> None:
    published = THESIS[number]
    lines = published.lines.drop(columns=list(published.notes))
    assert lines.shape[1] == 1 + len(published.columns)
    gaps = int(lines.isna().to_numpy().sum())
    assert gaps == (1 if number == "4.1" else 0)  # the paper has no figure for 2.5%
    assert not published.figures.duplicated(["row", *KEYS]).any()


@pytest.mark.parametrize("number", [f"4.{last}" for last in range(7, 13)])
def test_drops_are_the_first_line_less_the_last(number: str) -> None:
    published = THESIS[number]
    lines = published.lines.set_index("flips")
    lost = lines.loc["0"] - lines.loc["10000"]
    rounding = 1.5e-4 if published.scale == 100.0 else 1.05e-2  # of AUROC to four digits
    points = lost * (1.0 if published.scale == 100.0 else 100.0)
    assert (points - lines.loc["drop"]).abs().max() < rounding


@pytest.mark.parametrize(
    ("summary", "line", "number"),
    [
        ("4.13", 1, "4.7"),
        ("4.13", 3, "4.9"),
        ("4.13", 9, "4.11"),
        ("4.14", 1, "4.8"),
        ("4.14", 3, "4.10"),
        ("4.14", 9, "4.12"),
    ],
)
def test_the_cases_are_lines_of_the_summaries(summary: str, line: int, number: str) -> None:
    columns = list(THESIS[number].columns)
    drops = THESIS[number].lines.set_index("flips").loc["drop", columns]
    assert THESIS[summary].lines.loc[line - 1, columns].tolist() == drops.tolist()


def test_attacks_start_from_the_same_model() -> None:
    for number in [f"4.{last}" for last in range(2, 13)]:
        clean = levels(number).loc[0.0].unstack("attack")
        assert clean.nunique(axis=1).eq(1).all(), number
    assert levels("4.2").loc[0.0].unique().tolist() == levels("4.6").loc[0.0].unique().tolist()


def test_unseen_accuracies_of_table_4_11_are_shares_of_40381_pairs() -> None:
    """Where the settings have the share of unseen pairs from."""
    figures = THESIS["4.11"].figures
    unseen = figures[figures["split"] == "unseen"]["thesis"].to_numpy()
    shares = np.round(unseen * 403.81) / 403.81
    assert np.abs(np.round(shares, 4) - unseen).max() < 1e-6


# The settings


@pytest.mark.parametrize("number", TABLES)
def test_experiments_are_those_of_the_table(number: str) -> None:
    table, published = TABLES[number], THESIS[number]
    if not published.drops:
        wanted = set(published.figures["flips"])
        assert set(table.experiments[0].budgets) == wanted
        return
    lines = published.lines.to_dict("records")
    for line, experiment in zip(lines, table.experiments, strict=True):
        assert isinstance(experiment, RecommenderExperiment)
        assert max(experiment.budgets) == line["flips"]
        for role in ("surrogate", "target"):
            model = getattr(experiment, role).model
            assert type(model).__name__ == line[role]
        if "layers_differ" in line:
            alike = repr(experiment.surrogate.model) == repr(experiment.target.model)
            assert alike == (line["layers_differ"] == "No")
        if "dropout" in line:
            assert (experiment.dropout > 0) == (line["dropout"] == "Yes")
            assert experiment.users == Users(line["new_users"], "new")
        if "kmeans" in line:
            kind = "kmeans" if line["kmeans"] == "Yes" else "sample"
            assert experiment.users == Users(line["similar_users"], kind)


def test_quick_experiments_differ_in_flips_per_step_alone() -> None:
    for table in TABLES.values():
        for experiment in table.experiments:
            quick = experiment.quick()
            assert quick.flips_per_step >= experiment.flips_per_step
            assert replace(quick, flips_per_step=experiment.flips_per_step) == experiment


def test_an_unknown_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'nowhere' is not known"):
        run(replace(CASE, dataset=DataSet("nowhere")), tmp_path, seeds=[0])


# Runs


def test_a_unit_is_the_attack_and_its_evaluation(tmp_path: Path) -> None:
    found = run(CASE, tmp_path, seeds=[4])
    data = SMALL.load()
    task = gp.Recommendation(data, QUICK_CF.model)
    attack = gp.MetaAttack(QUICK_CF.training, 5, allow_removals=False)
    flips = attack(task, 20, seed=4)
    victim = gp.RecommenderVictim(CASE.target.model, "target", CASE.target.training)
    expected = gp.evaluate(data, {"meta-attack": flips}, [victim], [4], [0, 10, 20]).runs
    ours = found[(found["attack"] == "meta-attack") & (found["model"] == "target")]
    for column in ("flips", "metric", "split", "clean", "poisoned"):
        assert ours[column].tolist() == expected[column].tolist()
    assert set(found["model"]) == {"surrogate", "target"}
    assert len(found) == 2 * 2 * 3 * 2 * 3


def test_finished_units_are_not_run_again_and_settings_do_not_mix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(CASE, tmp_path, seeds=[0])
    calls = []
    measure = runner.evaluate
    monkeypatch.setattr(runner, "evaluate", lambda *a, **k: calls.append(1) or measure(*a, **k))
    pd.testing.assert_frame_equal(run(CASE, tmp_path, seeds=[0]), first)
    assert not calls
    both = run(CASE, tmp_path, seeds=[0, 1])
    assert len(calls) == 2 * 2
    pd.testing.assert_frame_equal(both[both["seed"] == 0], first)
    other = replace(CASE, target=QUICK_CF)
    run(other, tmp_path, seeds=[0])
    assert len(calls) == 4 * 2
    known = Store(tmp_path / "runs.sqlite").all()
    assert {key.partition("/")[0] for key in known} == {CASE.label, other.label}
    assert len(list((tmp_path / "flips").glob("meta-attack-*-0.npz"))) == 1  # shared by the two
    unit = known[f"{other.label}/meta-attack-0"]
    assert unit["settings"] == repr(other)
    record = unit["depends"]
    (target,) = (part for name, part in record.items() if name.startswith("target"))
    assert target["provenance"]["versions"]["graphpoison"] == gp.__version__
    assert all(attack["seed"] == 0 for attack in target["attacks"].values())


def test_an_interrupted_attack_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(CASE, tmp_path / "whole", seeds=[0])
    propose, steps = gp.MetaAttack.propose, []

    def interrupted(self: gp.MetaAttack, *arguments: object) -> object:
        if len(steps) == 2:
            raise KeyboardInterrupt
        steps.append(1)
        return propose(self, *arguments)

    monkeypatch.setattr(gp.MetaAttack, "propose", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(CASE, tmp_path / "cut", seeds=[0])
    (half,) = (tmp_path / "cut" / "flips").glob("meta-attack-*.npz")
    assert len(gp.Perturbation.load(half)) == 10
    steps.clear()
    monkeypatch.setattr(gp.MetaAttack, "propose", lambda *a: steps.append(1) or propose(*a))
    pd.testing.assert_frame_equal(run(CASE, tmp_path / "cut", seeds=[0]), whole)
    assert len(steps) == 2


def test_perturbed_pairs_are_measured_both_ways(tmp_path: Path) -> None:
    found = run(replace(CASE, perturbed=(False, True), shown=("target",)), tmp_path, seeds=[0])
    wide = found.set_index([*KEYS, "perturbed"])["poisoned"].unstack("perturbed")
    same = (wide[False] == wide[True]).groupby(level=["flips", "split"]).all()
    assert same.loc[0].all()
    assert not same.loc[20, "train"]


def test_node_experiments_have_shares_for_budgets(tmp_path: Path) -> None:
    experiment = NodeExperiment(
        name="nodes",
        dataset=DataSet("synthetic-citation", (("num_nodes", 120),)),
        budgets=(0.0, 5.0),
        flips_per_step=2,
        attacks=("meta-train", "baseline"),
        surrogate=gp.LinearGCN(hidden=4),
        training=gp.Training(steps=5, lr=0.1),
    )
    found = run(experiment, tmp_path, seeds=[0])
    assert set(found["flips"]) == {0.0, 5.0}
    edges = experiment.dataset.load().num_edges // 2
    for path in (tmp_path / "flips").iterdir():
        assert len(gp.Perturbation.load(path)) == edges // 20
    table = compare(Table("4.1", (experiment,), (("published", "meta-train"),)), [found])
    pair = table[table["flips"] == 5.0].set_index("attack")
    assert pair.loc["published", "ours"] == pair.loc["meta-train", "ours"]
    assert pair.loc["published", "thesis"] == 0.788


def test_a_target_can_start_where_the_surrogate_does(tmp_path: Path) -> None:
    same = replace(CASE, target=QUICK_CF, same_start=True, shown=("target",))
    found = run(same, tmp_path, seeds=[2])
    data = SMALL.load()
    task = gp.Recommendation(data, QUICK_CF.model)
    attack = gp.MetaAttack(QUICK_CF.training, 5, allow_removals=False, redraw=False)
    flips = attack(task, 20, seed=2)
    victim = gp.surrogate_victim(task, attack, 2, "target")
    expected = gp.evaluate(data, {"meta-attack": flips}, [victim], [2], [0, 10, 20]).runs
    ours = found[found["attack"] == "meta-attack"]
    assert ours["poisoned"].tolist() == expected["poisoned"].tolist()


def test_meta_approx_is_one_of_the_attacks(tmp_path: Path) -> None:
    found = run(replace(CASE, attacks=("meta-approx",)), tmp_path, seeds=[0])
    assert set(found["attack"]) == {"meta-approx"}


@pytest.mark.parametrize("kind", ["new", "sample", "kmeans"])
def test_fake_users_make_the_flips(tmp_path: Path, kind: str) -> None:
    experiment = replace(CASE, users=Users(4, kind), target=QUICK_CF, budgets=(0, 20))
    found = run(experiment, tmp_path, seeds=[0])
    assert set(found["flips"]) == {0, 20}
    for path in (tmp_path / "flips").iterdir():
        assert int(gp.Perturbation.load(path).pairs[0].min()) >= 25


# Tables, pages and pictures


def made_up(drop: float, seeds: int = 3) -> pd.DataFrame:
    """Runs of Table 4.7 or 4.8 in which every figure is known."""
    rows = [
        [attack, seed, flips, model, split, metric, False, 0.8, 0.8 - drop * flips - 0.01 * seed]
        for attack in ("baseline", "meta-attack")
        for seed in range(seeds)
        for flips in (0, 10_000)
        for model in ("surrogate", "target")
        for split in ("train", "unseen")
        for metric in ("accuracy", "auroc", "log_loss")
    ]
    columns = ["attack", "seed", "flips", "model", "split", "metric", "perturbed"]
    return pd.DataFrame(rows, columns=[*columns, "clean", "poisoned"])


def test_ours_stand_beside_the_thesis_in_its_units() -> None:
    frame = compare(Table("4.7", (CASE,)), [made_up(drop=1e-5)])
    last = frame.set_index(KEYS).loc[10_000, "meta-attack", "target", "unseen", "accuracy"]
    assert last["ours"] == pytest.approx(69.0)
    assert last["thesis"] == 70.9318
    assert last["difference"] == pytest.approx(69.0 - 70.9318)
    assert last["ci95"] == pytest.approx(stats.t.ppf(0.975, 2) / np.sqrt(3))
    assert last["seeds"] == 3
    assert set(frame["metric"]) == {"accuracy"}
    assert len(frame) == 48  # flips that only the thesis has are there too
    assert frame["ours"].isna().sum() == 32
    auroc = compare(Table("4.8", (CASE,)), [made_up(drop=1e-5, seeds=1)])
    assert auroc["ours"].dropna().round(9).isin([0.8, 0.7]).all()
    assert auroc["ci95"].isna().all()


def test_experiments_beyond_the_thesis_follow_its_lines() -> None:
    beyond = replace(CASE, budgets=(0, 75_000))
    runs = [made_up(1e-6), made_up(1e-6).replace({"flips": {10_000: 75_000}})]
    frame = compare(Table("4.7", (CASE, beyond)), runs)
    assert not frame.duplicated(["row", *KEYS]).any()
    assert frame["flips"].max() == 75_000
    assert frame.set_index("flips").loc[75_000, "thesis"].isna().all()
    assert markdown(frame, {}).splitlines()[-1].startswith("| 75000 | 78.0000")


def test_drops_are_in_percentage_points_a_line_for_each_experiment() -> None:
    table = TABLES["4.14"]
    runs = [
        made_up(1e-6 * line).replace({"flips": {10_000: int(max(experiment.budgets))}})
        for line, experiment in enumerate(table.experiments)
    ]
    frame = compare(table, runs)
    assert len(frame) == 88
    for line, group in frame.groupby("row"):
        assert group["ours"].to_numpy() == pytest.approx(int(line) - 1 + 1.0)


def test_drops_with_fake_users_start_once_they_have_joined() -> None:
    joined = made_up(drop=1e-6)
    joined["poisoned"] -= 0.2  # what joining costs is no drop
    runs = [
        joined.replace({"flips": {10_000: int(max(experiment.budgets))}})
        for experiment in TABLES["4.15"].experiments
    ]
    frame = compare(TABLES["4.15"], runs)
    assert frame["ours"].dropna().to_numpy() == pytest.approx(1.0)
    assert frame["ours"].notna().sum() == 56


def test_ratios_of_the_thesis_are_its_own() -> None:
    frame = compare(Table("4.8", (CASE,)), [made_up(drop=1e-5)])
    lines = ratios(frame).set_index("source")
    assert lines.loc["thesis", "ratio"] == pytest.approx((0.8351 - 0.7778) / (0.8351 - 0.7905))
    assert lines.loc["ours", "baseline"] == pytest.approx(0.1)
    assert lines.loc["ours", "ratio"] == pytest.approx(1.0)
    drops = ratios(compare(TABLES["4.14"], [made_up(1e-6)] * 11))
    seventh = drops[drops["row"] == 7].set_index("source")
    assert seventh.loc["thesis", "ratio"] == pytest.approx(5.9428 / 2.9401)


def test_markdown_has_a_line_for_each_row_and_number_of_flips() -> None:
    frame = compare(Table("4.7", (CASE,)), [made_up(drop=1e-5)])
    lines = markdown(frame, {}).splitlines()
    assert lines[0].startswith("| accuracy | meta-attack, surrogate, train |")
    assert lines[-1].startswith("| 10000 | 69.0000 ± 2.4841 (87.7830) |")
    assert "| 2000 | - (89.9967) |" in lines[3]
    assert len(lines) == 2 + 6


def test_pages_are_filled_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- 4.7 -->\nold\n<!-- end 4.7 -->\nb\n")
    fill(page, {"4.7": "new \\1\n"})
    assert page.read_text() == "a\n<!-- 4.7 -->\nnew \\1\n<!-- end 4.7 -->\nb\n"
    with pytest.raises(ValueError, match="no place for 4\\.8"):
        fill(page, {"4.8": "new"})


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("4.7", "4.8"):
        monkeypatch.setitem(TABLES, number, Table(number, (CASE,)))
    levels = replace(CASE, shown=("target",), perturbed=(False, True))
    monkeypatch.setitem(TABLES, "4.2", Table("4.2", (levels,)))


@pytest.mark.usefixtures("small_tables")
def test_tables_and_figures_are_written(tmp_path: Path) -> None:
    made = reproduce("4.8", tmp_path, seeds=2)
    assert [path.name for path in made.files] == ["table-4.8.csv", "table-4.8.md"]
    assert len(pd.read_csv(made.files[0])) == len(made.frame)
    page = made.files[1].read_text()
    assert page == made.section
    assert "graphpoison reproduce 4.8 --seeds 2\n" in page
    assert repr(CASE) in page
    runs = set(Store(tmp_path / "runs.sqlite").all())
    for name in ("figure-4.6", "figure-4.1"):
        (picture,) = reproduce(name, tmp_path, seeds=2).files
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert runs < set(Store(tmp_path / "runs.sqlite").all())
    with pytest.raises(ValueError, match=r"name='4.20' is not known"):
        reproduce("4.20", tmp_path)
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        reproduce("4.8", tmp_path, seeds=-1)


def test_bands_of_figures_end_at_100_percent(tmp_path: Path) -> None:
    keys = {"attack": "meta-attack", "model": "target", "metric": "accuracy", "pairs": "all"}
    frame = pd.DataFrame({"flips": [0.0, 1.0], "ours": 60.0, "ci95": 70.0, "thesis": np.nan})
    figure = draw_curves(frame.assign(**keys), [{"metric": "accuracy"}], tmp_path / "one.png")
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0.0, 100.0)


def test_users_are_drawn_with_their_cluster_means(tmp_path: Path) -> None:
    path = tmp_path / "users.png"
    figure = draw_users(SMALL, QUICK_CF, path, clusters=3, perplexities=(3.0, 6.0))
    assert path.read_bytes().startswith(b"\x89PNG")
    shown = [[len(points.get_offsets()) for points in axes.collections] for axes in figure.axes]
    assert shown == [[25, 3], [25, 3]]


def test_table_4_19_counts_what_the_files_hold(tmp_path: Path, real_data: Path) -> None:
    frame = reproduce("4.19", tmp_path, root=real_data).frame.set_index(["dataset", "count"])
    assert frame.loc["movielens-100k", "difference"].eq(0).all()
    assert frame.loc["steam", "difference"].eq(0).all()


# The command line


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


@pytest.mark.usefixtures("small_tables")
def test_the_command_prints_and_fills_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- 4.7 -->\n<!-- end 4.7 -->\n")
    options = ["--out", str(tmp_path / "out"), "--seeds", "1", "--no-progress", "--quick"]
    code, output = call("reproduce", "4.7", *options, "--page", str(page))
    assert code == 0, output
    assert "thesis" in output
    assert "75.8822" in output
    assert "### Table 4.7" in page.read_text()


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    code, output = call("reproduce", "4.77", "--out", str(tmp_path))
    assert code == 2
    assert "Did you mean '4.7'?" in output.replace("\n", " ")
    code, output = call("datasets", "steem")
    assert code == 2
    assert not list(tmp_path.iterdir())


def test_data_sets_are_named_and_counted() -> None:
    code, output = call("datasets")
    assert code == 0
    assert output.split() == datasets.names()
    code, output = call("datasets", "synthetic-interactions")
    assert code == 0
    assert "80,000" in output


def test_all_names_are_tables_and_figures() -> None:
    assert len(thesis_names()) == 19 + 9
    assert names() == [
        *thesis_names(),
        "cora",
        "cora-seeds",
        "cora-ml",
        "cora-ml-seeds",
        "citeseer",
        "citeseer-seeds",
        "cora-transfer",
    ]


def test_all_are_those_of_the_thesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def note(name: str, *arguments: object) -> Outcome:
        asked.append(name)
        return Outcome((), "")

    monkeypatch.setattr("graphpoison.cli.reproduce.reproduce", note)
    code, output = call("reproduce", "all", "--out", str(tmp_path / "out"))
    assert code == 0, output
    assert asked == thesis_names()
