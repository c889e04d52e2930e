"""The tables of ``citation.py`` in Markdown, and their picture.

python benchmarks/citation_page.py out1 out2 --picture docs/results/strongest.png
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from graphpoison.report.colours import COLOURS as PALETTE
from graphpoison.report.colours import RANDOM
from graphpoison.report.matplotlib_figures import PALE

NAMES = {
    "cora-deeprobust": "Cora",
    "citeseer-deeprobust": "Citeseer",
    "cora-ml": "Cora-ML",
    "polblogs": "PolBlogs",
}
PICTURED, SHARES = ("cora-deeprobust", "citeseer-deeprobust"), (0.05, 0.1)
ORDER = ("clean", "random", "dice", "metattack", "strongest")
PRO_GNN = {  # Jin et al. (2020), Table 2: accuracy of a GCN at 0, 5, 10, 15, 20 and 25%
    "cora-deeprobust": (83.50, 76.55, 70.39, 65.10, 59.56, 47.53),
    "citeseer-deeprobust": (71.96, 70.88, 67.55, 64.52, 62.03, 56.94),
    "polblogs": (95.69, 73.07, 70.72, 64.96, 51.27, 49.23),
}
LABELS = {
    "clean": "clean",
    "random": "random flips",
    "dice": "DICE, knows all labels",
    "metattack": "Metattack",
    "strongest": "strongest attack",
}
COLOURS = {
    "clean": PALE,
    "random": RANDOM,
    "dice": PALETTE[1],
    "metattack": PALETTE[4],
    "strongest": PALETTE[0],
}


def read(folders: list[Path]) -> pd.DataFrame:
    files = [path for folder in folders for path in sorted(folder.glob("*.csv"))]
    tables = [pd.read_csv(path).assign(study=path.stem) for path in files]
    return pd.concat(tables).drop_duplicates(
        ["study", "data", "split", "share", "attack", "victim", "seed", "epoch"]
    )


def of_splits(table: pd.DataFrame) -> tuple[float, float, int]:
    """The mean over splits of the mean over victims, its 95% half-width, and the number of
    splits."""
    means = table.groupby("split").accuracy.mean().to_numpy()
    if means.size < 2:
        return float(means.mean()), float("nan"), means.size
    width = stats.sem(means) * stats.t.ppf(0.975, means.size - 1)
    return float(means.mean()), float(width), means.size


def cell(table: pd.DataFrame) -> str:
    if table.empty:
        return "-"
    mean, width, _ = of_splits(table)
    return f"{mean:.3f}" if np.isnan(width) else f"{mean:.3f} ± {width:.3f}"


def strongest(table: pd.DataFrame) -> None:
    rows = table[(table.study == "strongest") & (table.victim == "gcn")]
    print("| graph | edges | attack | validation epoch | last epoch | splits | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for data, name in NAMES.items():
        for share in sorted(rows[rows.data == data].share.unique()):
            for attack in (*ORDER, "one-hop"):
                these = rows[(rows.data == data) & (rows.share == share) & (rows.attack == attack)]
                if these.empty:
                    continue
                cells = [cell(these[these.epoch == epoch]) for epoch in ("validation", "last")]
                count, taken = these.split.nunique(), these.groupby("split").seconds.max().mean()
                time = f"{taken:.0f}" if taken else ""
                print(
                    f"| {name} | {share:.0%} | {attack} | {' | '.join(cells)} | {count} | {time} |"
                )


def published(table: pd.DataFrame) -> None:
    rows = table[table.study == "published"]
    print("\n| graph | edges | published | validation epoch | last epoch |")
    print("| --- | --- | --- | --- | --- |")
    for data, name in NAMES.items():
        for place, share in enumerate((0.0, 0.05, 0.1, 0.15, 0.2, 0.25)):
            these = rows[(rows.data == data) & (rows.share == share)]
            if these.empty:
                continue
            theirs = f"{PRO_GNN[data][place] / 100:.3f}" if data in PRO_GNN else "-"
            ours = [
                of_seeds(these[these.epoch == epoch].accuracy) for epoch in ("validation", "last")
            ]
            print(f"| {name} | {share:.0%} | {theirs} | {' | '.join(ours)} |")


def of_seeds(values: pd.Series) -> str:
    width = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return f"{values.mean():.3f} ± {width:.3f}"


def defences(table: pd.DataFrame) -> None:
    """Transferred flips beside the flips made for the defence, both epochs."""
    for data, name in NAMES.items():
        rows = table[table.study.isin(["transfer", "adaptive"]) & (table.data == data)]
        if rows.empty:
            continue
        print(f"\n| {name}, 5% | clean | transferred | adaptive |")
        print("| --- | --- | --- | --- |")
        split = rows[rows.attack == "adaptive"].split.unique()
        for victim in rows.victim.unique():
            cells = []
            for attack in ("clean", "strongest", "adaptive"):
                these = rows[(rows.victim == victim) & (rows.attack == attack)]
                these = these[these.share.isin([0.0, 0.05]) & these.split.isin(split)]
                pair = [these[these.epoch == epoch].accuracy for epoch in ("validation", "last")]
                cells.append(" / ".join(f"{v.mean():.3f}" if len(v) else "-" for v in pair))
            print(f"| {victim} | {' | '.join(cells)} |")


def bars(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and half-width of a GCN that keeps its last epoch, a row for each bar of the picture."""
    rows = table[(table.study == "strongest") & (table.epoch == "last")]
    found = []
    for data, share, attack in product(PICTURED, SHARES, ORDER):
        wanted = 0.0 if attack == "clean" else share
        these = rows[(rows.data == data) & (rows.share == wanted) & (rows.attack == attack)]
        found.append([NAMES[data], share, attack, *of_splits(these)[:2]])
    return pd.DataFrame(found, columns=["graph", "share", "attack", "mean", "half"])


def picture(table: pd.DataFrame, path: Path) -> None:
    """Accuracy of a GCN under each attack, from :func:`bars`."""
    groups = list(table.groupby(["graph", "share"], sort=False).groups)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, attack in enumerate(ORDER):
        rows = table[table.attack == attack]
        left = np.arange(len(groups)) + (place - 2) * 0.17
        look = {"color": COLOURS[attack], "label": LABELS[attack]}
        axes.bar(left, rows["mean"], 0.16, yerr=rows["half"], capsize=2, **look)
        for x, mean, width in zip(left, rows["mean"], rows["half"], strict=True):
            axes.text(x, mean + width + 0.01, f"{mean:.3f}", ha="center", fontsize=7)
    names = [f"{name}, {share:.0%} of the edges" for name, share in groups]
    axes.set_xticks(range(len(groups)), names)
    axes.set_ylabel("accuracy of a GCN")
    axes.set_ylim(0, 1)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(ORDER), frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    table = read(args.folders)
    strongest(table)
    published(table)
    defences(table)
    if args.picture:
        picture(bars(table), args.picture)


if __name__ == "__main__":
    main()
