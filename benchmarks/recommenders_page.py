"""Tables of docs/results/recommenders.md from the files of recommenders.py.

python benchmarks/recommenders_page.py out/
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from graphpoison.metrics import confidence_halfwidth
from graphpoison.report.colours import COLOURS, RANDOM
from graphpoison.report.matplotlib_figures import INK

SHOWN = 5
"""The number of heuristics in a table, the most harmful first; random removals come last."""
TITLES = {
    "bystanders": "Bystanders, 5% of the interactions flipped in the other half of the users",
    "bystanders-additions": "Bystanders, additions only",
    "capped": "5% of the interactions, at most a quarter of a profile, all users",
    "uncapped": "5% of the interactions, no limit for a profile",
    "additions": "5% additions only, at most a quarter of a profile",
    "heldout": "The same on hidden interactions, with EASE(l2=3000) and from no flips",
    "group": "A random quarter of the users is to be harmed; 1.25% of the interactions",
}
GROUPS = {"bystanders": ["bystanders"], "group": ["group", "others"]}
SHARES = {
    "promotion": "Users who lack a target and find it in their list, in %, with 5% fake users",
    "promotion-1%": "The same with 1% fake users",
    "demotion": "Users who lack a popular target and find it in their list, in %, 0.25% flips",
}


PICTURED = {
    "ours": ("attack on rankings", COLOURS[0]),
    "popular removals": ("popular removals, the best heuristic", COLOURS[1]),
    "random removals": ("random removals", RANDOM),
}
VICTIMS = {
    "ease": "EASE",
    "implicit-als": "ALS",
    "item-knn": "item-KNN",
    "mf-softmax": "softmax\nfactorisation",
}


def cell(values: pd.Series) -> str:
    """Mean in percent, and half the 95% interval over splits if there are several."""
    mean, half = 100 * values.mean(), 100 * confidence_halfwidth(values.to_numpy())
    return f"{-mean:+.1f}" + ("" if half != half else f" ± {half:.1f}")


def table(frame: pd.DataFrame, metric: str, users: str) -> str:
    """Change of ``metric`` in percent: a row for each attack, a column for each victim."""
    chosen = frame[(frame["metric"] == metric) & (frame["users"] == users)]
    mean = chosen.groupby(["attack", "victim", "split"])["relative"].mean()
    cells = mean.groupby(["attack", "victim"]).apply(cell).unstack()
    order = mean.groupby("attack").mean().sort_values(ascending=False).index
    order = ["ours", *[name for name in order if name != "ours"][:SHOWN], "random removals"]
    order = [name for name in dict.fromkeys(order) if name in cells.index]
    clean = chosen.groupby("victim")["clean"].mean().map("{:.3f}".format)
    cells = pd.concat([clean.rename("clean").to_frame().T, cells.reindex(order)]).fillna("")
    return markdown(cells)


def markdown(cells: pd.DataFrame) -> str:
    rows = [["attack", *cells.columns], ["---"] * (len(cells.columns) + 1)]
    rows += [[str(name), *row] for name, row in zip(cells.index, cells.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def shares(frame: pd.DataFrame) -> str:
    """Share of users in percent with a target in their list, mean over targets and sets, and half
    the 95% interval over sets of all splits."""
    frame = frame[frame["users"] == "all"]
    clean = frame.assign(attack="clean", poisoned=frame["clean"])
    every = pd.concat([clean, frame])
    keys = ["attack", "victim", "metric", "split", "set"]
    mean = 100 * every.groupby(keys)["poisoned"].mean()
    cells = mean.groupby(keys[:3]).apply(
        lambda values: f"{values.mean():.2f} ± {confidence_halfwidth(values.to_numpy()):.2f}"
    )
    table = cells.unstack(["victim", "metric"])
    table.columns = pd.Index([" ".join(name) for name in table.columns])
    first = [name for name in ("clean", "ours") if name in table.index]
    return markdown(table.reindex([*first, *table.index.drop(first)]))


def filters(frame: pd.DataFrame) -> str:
    """AUROC of detectors, a row for each attack."""
    frame = frame.dropna(subset="auroc")
    rows = frame["study"] + ", " + frame["population"] + ": " + frame["attack"]
    means = frame.groupby([rows.rename("attack"), "detector"], sort=False)["auroc"].mean()
    return markdown(means.map("{:.2f}".format).unstack())


def bars(frame: pd.DataFrame) -> pd.DataFrame:
    """Percent of NDCG@10 that bystanders lose and its half-width, a row for each bar."""
    chosen = frame[(frame["metric"] == "ndcg@10") & (frame["users"] == "bystanders")]
    values = 100 * chosen.groupby(["attack", "victim", "split"])["relative"].mean()
    by_bar = values.groupby(["attack", "victim"])
    half = by_bar.apply(lambda lost: confidence_halfwidth(lost.to_numpy()))
    return pd.DataFrame({"mean": by_bar.mean(), "half": half}).reset_index()


def picture(table: pd.DataFrame, path: Path) -> None:
    """Bars of the NDCG@10 that bystanders lose, for each victim, from :func:`bars`."""
    victims = [name for name in VICTIMS if name in set(table["victim"])]
    figure = Figure(figsize=(7.0, 3.2), layout="constrained")
    axes = figure.subplots()
    for number, (attack, (label, colour)) in enumerate(PICTURED.items()):
        rows = table[table["attack"] == attack].set_index("victim").loc[victims]
        places = [place + 0.27 * (number - 1) for place in range(len(victims))]
        axes.bar(
            places, rows["mean"], 0.25, yerr=rows["half"], capsize=3, color=colour, label=label
        )
    axes.set_xticks(range(len(victims)), [VICTIMS[name] for name in victims])
    axes.set_ylabel("NDCG@10 lost (%)")
    axes.axhline(0.0, color=INK, lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    if chosen.picture:
        frame = pd.read_csv(chosen.folder / "bystanders-movielens-100k.csv")
        picture(bars(frame), chosen.picture)
    for path in sorted(chosen.folder.glob("*.csv")):
        frame = pd.read_csv(path)
        known = sorted([*TITLES, *SHARES, "filters"], key=len, reverse=True)
        study = next(name for name in known if path.stem.startswith(f"{name}-"))
        print(f"\n## {path.stem}: splits {sorted(set(frame['split'].astype(int)))}\n")
        if study in SHARES:
            print(f"{SHARES[study]}:\n\n{shares(frame)}")
            continue
        if study == "filters":
            print(f"AUROC of users touched or made up against all others:\n\n{filters(frame)}")
            continue
        print(TITLES[study] + "\n")
        users = GROUPS.get(study.partition("-")[0], ["all", "touched", "untouched"])
        for group in users:
            print(f"\nNDCG@10, {group} users, change in %:\n")
            print(table(frame, "ndcg@10", group))
        seconds = frame.loc[frame["attack"] == "ours", "seconds"].mean()
        print(f"\nThe attack took {seconds:.0f} s.")


if __name__ == "__main__":
    main()
