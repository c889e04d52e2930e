"""Attacks compared by paired tests: scipy and hand-made tables as references."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from swept import study

import graphpoison as gp
from graphpoison.report import compare
from graphpoison.report.paired import holm, paired


def table(drops: dict[str, list[float]], task: str = "cora", **more: Any) -> pd.DataFrame:
    """The table of a sweep in which an attack causes these drops of accuracy, by seed."""
    rows = [
        {
            **{"kind": "evaluation", "status": "done", "task": task, "attack": attack},
            **{"victim": "gcn", "budget": "5%", "flips": 40, "seed": seed, "attack_seed": seed},
            **{"accuracy_test_clean": 0.8 + 0.01 * seed},
            **{"accuracy_test_poisoned": 0.8 + 0.01 * seed - drop, "accuracy_test_drop": drop},
            **more,
        }
        for attack, values in drops.items()
        for seed, drop in enumerate(values)
    ]
    return pd.DataFrame(rows)


DROPS = {
    "meta": [0.10, 0.12, 0.09, 0.13, 0.11, 0.12, 0.10],
    "dice": [0.05, 0.09, 0.04, 0.07, 0.08, 0.06, 0.055],
    "random": [0.01, 0.02, 0.00, 0.03, 0.01, 0.015, 0.002],
}


def test_every_two_attacks_are_compared_by_the_paired_t_test() -> None:
    found = compare(table(DROPS)).table.set_index(["attack", "against"])
    assert list(found.index) == list(itertools.combinations(DROPS, 2))
    for (first, second), row in found.iterrows():
        reference = stats.ttest_rel(DROPS[first], DROPS[second])
        interval = reference.confidence_interval(0.95)
        assert row["p"] == pytest.approx(reference.pvalue)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert row["difference"] == pytest.approx(np.mean(DROPS[first]) - np.mean(DROPS[second]))
        assert row["drop"] == pytest.approx(np.mean(DROPS[first]))
        assert row["drop_against"] == pytest.approx(np.mean(DROPS[second]))
    assert found["p_holm"].tolist() == holm(found["p"].to_numpy()).tolist()
    assert found["pairs"].eq(7).all()


def test_one_attack_may_be_what_others_are_compared_with() -> None:
    found = compare(table(DROPS), against="random").table
    assert found["attack"].tolist() == ["meta", "dice"]
    assert found["against"].eq("random").all()
    assert found["p_holm"].tolist() == holm(found["p"].to_numpy()).tolist()


def test_wilcoxon_is_scipys() -> None:
    found = compare(table(DROPS), "random", test="wilcoxon").table.set_index("attack")
    reference = stats.wilcoxon(DROPS["meta"], DROPS["random"])
    assert found.loc["meta", "p"] == pytest.approx(reference.pvalue)
    assert found.loc["meta", "low"] > 0


@settings(deadline=None, max_examples=30)
@given(pairs=st.integers(6, 30), seed=st.integers(0, 2**20))
def test_the_interval_holds_the_shifts_that_are_not_rejected(pairs: int, seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.5, 1.0, pairs)
    found = paired(differences, "wilcoxon")
    assert found.low < found.difference < found.high
    inside = np.linspace(found.low + 1e-6, found.high - 1e-6, 7)
    shifts = np.array([found.low - 1e-6, *inside, found.high + 1e-6])
    p = stats.wilcoxon(differences[:, None] - shifts, axis=0).pvalue
    assert (p > 0.05).tolist() == [False, *[True] * 7, False]


def test_the_median_of_pairwise_means_of_a_known_sample() -> None:
    """Hollander and Wolfe, table 3.1, depression before and after: estimate -0.46, interval
    [-0.786, -0.010] at level 0.961."""
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    found = paired(np.array(after) - np.array(before), "wilcoxon")
    assert found.difference == pytest.approx(-0.46)
    assert (found.low, found.high) == pytest.approx((-0.786, -0.010))
    assert found.p == pytest.approx(0.0390625)


@pytest.mark.parametrize("count", [2, 5])
def test_few_pairs_have_no_interval_by_ranks(count: int) -> None:
    found = paired(np.linspace(0.1, 0.2, count), "wilcoxon")
    assert np.isnan(found.low)
    assert found.p == pytest.approx(2 / 2**count)


@settings(deadline=None)
@given(p=st.lists(st.floats(0, 1), max_size=8), missing=st.integers(0, 2))
def test_holms_correction_by_its_definition(p: list[float], missing: int) -> None:
    found = holm(np.array([*p, *[np.nan] * missing]))
    ordered = sorted(p)
    expected = {
        value: max(min(1.0, (len(p) - j) * ordered[j]) for j in range(ordered.index(value) + 1))
        for value in p
    }
    for value, corrected in zip(p, found, strict=False):
        assert corrected >= expected[value]
        last = len(p) - ordered[::-1].index(value)
        assert corrected <= max(min(1.0, (len(p) - j) * ordered[j]) for j in range(last))
    assert np.isnan(found[len(p) :]).all()


def test_one_pair_is_no_test_and_equal_replicates_are_one() -> None:
    single = compare(table({"a": [0.2], "b": [0.1]})).table.iloc[0]
    assert single["difference"] == pytest.approx(0.1)
    assert np.isnan([single["p"], single["p_holm"], single["low"]]).all()
    same = {"accuracy_test_clean": 0.8}
    frame = table({"a": [0.2] * 5, "b": [0.1] * 5}, **same)
    frame["accuracy_test_poisoned"] = 0.8 - frame["accuracy_test_drop"]
    found = compare(frame).table.iloc[0]
    assert found["pairs"] == 1
    assert np.isnan(found["p"])


def test_equal_differences_and_none() -> None:
    equal = compare(table({"a": [0.2, 0.3, 0.4], "b": [0.1, 0.2, 0.3]}, flips=3)).table.iloc[0]
    assert equal["low"] == pytest.approx(equal["high"]) == pytest.approx(0.1)
    for test in ("t", "wilcoxon"):
        none = compare(table({"a": [0.2, 0.3, 0.4], "b": [0.2, 0.3, 0.4]}), test=test).table
        assert none["p"].tolist() == [1.0]


def test_tasks_are_compared_apart_or_are_replicates() -> None:
    first, second = DROPS["meta"][:3], DROPS["meta"][3:6]
    frames = [
        table({"meta": first, "random": DROPS["random"][:3]}, "split 1"),
        table({"meta": second, "random": DROPS["random"][3:6]}, "split 2"),
    ]
    frame = pd.concat(frames, ignore_index=True)
    apart = compare(frame).table
    assert apart["task"].tolist() == ["split 1", "split 2"]
    assert apart["pairs"].tolist() == [3, 3]
    together = compare(frame, over=["task", "seed"]).table
    assert together["task"].tolist() == ["all"]
    assert together["pairs"].tolist() == [6]
    reference = stats.ttest_rel([*first, *second], DROPS["random"][:6])
    assert together["p"].iloc[0] == pytest.approx(reference.pvalue)
    with pytest.raises(ValueError, match="does not tell the runs of attack 'meta' apart"):
        compare(frame.assign(task="both"))


def test_the_clean_graph_is_not_compared() -> None:
    clean = table({"meta": [0.0] * 3, "random": [0.0] * 3}, budget="0", flips=0)
    both = pd.concat([table(DROPS), clean], ignore_index=True)
    pd.testing.assert_frame_equal(compare(both).table, compare(table(DROPS)).table)


def test_failed_runs_and_attacks_are_left_out() -> None:
    frame = table(DROPS)
    broken = frame.iloc[:1].assign(status="failed", accuracy_test_clean=np.nan)
    attack = frame.iloc[:1].assign(kind="attack", victim=None, accuracy_test_clean=np.nan)
    found = compare(pd.concat([frame.iloc[1:], broken, attack], ignore_index=True)).table
    assert found["pairs"].tolist() == [6, 6, 7]


def test_a_fall_of_the_log_loss_is_no_gain() -> None:
    runs = pd.DataFrame(
        [
            {"attack": attack, "victim": "cf", "flips": 4, "seed": seed, "metric": "log_loss",
             "split": "train", "clean": 0.5, "poisoned": 0.5 + rise + 0.01 * seed}
            for attack, rise in (("a", 0.2), ("b", 0.1))
            for seed in range(3)
        ]
    )  # fmt: skip
    assert compare(runs).table["difference"].iloc[0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"against": "mta"}, "Did you mean 'meta'?"),
        ({"metric": "auroc"}, "metric='auroc' is not known"),
        ({"split": "train"}, "split='train'"),
        ({"users": "touched"}, "users='touched'"),
        ({"test": "z"}, "test='z'"),
        ({"over": ["sed"]}, "Did you mean 'seed'?"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        compare(table(DROPS), **options)


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="results must be a table"):
        compare(3)
    with pytest.raises(FileNotFoundError, match=r"there is no \*.parquet"):
        compare(tmp_path)
    with pytest.raises(ValueError, match="results must be the table of a sweep"):
        compare(pd.DataFrame({"a": [1]}))
    with pytest.raises(ValueError, match="one study or more"):
        compare({})
    with pytest.raises(ValueError, match="nothing to compare"):
        compare(table({"only": [0.1, 0.2]}))


def test_folders_of_sweeps_and_reports_are_compared(tmp_path: Path) -> None:
    frame = gp.sweep(study(tmp_path), tmp_path / "out")
    found = compare(tmp_path / "out").table
    pd.testing.assert_frame_equal(found, compare(frame).table)
    assert found["budget"].tolist() == ["3", "6"]
    assert found["pairs"].max() <= 3


def test_several_studies_are_one_table_and_one_page(tmp_path: Path) -> None:
    studies = {"first <b>": table(DROPS), "second": table({"x": [0.1, 0.3], "y": [0.2, 0.25]})}
    found = compare(studies)
    assert found.table["study"].tolist() == ["first <b>"] * 3 + ["second"]
    assert found.table["p_holm"].iloc[3] == found.table["p"].iloc[3]  # a family of its own
    found.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "first &lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert "meta against random" in page


def test_tables_and_pictures_for_papers(tmp_path: Path) -> None:
    found = compare(table(DROPS), "random")
    text = found.to_latex(tmp_path / "table.tex", digits=3, caption="Drops")
    assert (tmp_path / "table.tex").read_text(encoding="utf-8") == text
    assert r"\toprule" in text
    assert "% task: cora; victim: gcn; budget: 5%; metric: accuracy; split: test" in text
    row = found.table.iloc[0]
    assert f"[{row['low']:.3f}, {row['high']:.3f}]" in text
    assert "$<$ 0.001" in text
    assert found.to_latex(digits=1).count(r"\\") == 3
    picture = tmp_path / "differences.svg"
    figure = found.plot(picture)
    assert "<svg" in picture.read_text(encoding="utf-8")
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["meta against random", "dice against random"]
