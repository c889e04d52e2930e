"""Draw pictures of docs/results from the tables on its pages: ``python benchmarks/redraw.py``.

Draws Figures 4.5 to 4.8 of the thesis, strongest.png and recommenders.png. The other pictures need
values that no page prints; the commands on their pages draw them.
"""

import argparse
import re
from pathlib import Path

import citation_page
import pandas as pd
import recommenders_page

from graphpoison.reproduce.figures import draw_curves
from graphpoison.reproduce.outcome import PICTURES
from graphpoison.reproduce.thesis import TABLES

FIGURES = ("figure-4.5", "figure-4.6", "figure-4.7", "figure-4.8")
RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
CELL = re.compile(r"([-+]?[\d.]+)(?: ± ([\d.]+))?(?: \(([\d.]+)\))?")
"""A mean, half its interval, and the value of the thesis."""
METRICS = {"accuracy": "accuracy", "AUROC": "auroc"}
Row = list[str]


def tables(text: str) -> list[list[Row]]:
    """The markdown tables of ``text``, as rows of cells, without the lines of dashes."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [
        [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in table.splitlines()
            if not line.startswith("| ---")
        ]
        for table in found
    ]


def numbers(cell: str) -> list[float]:
    """Mean, half-width and the thesis's value; NaN if missing."""
    match = CELL.fullmatch(cell)
    return [float(part or "nan") for part in match.groups()] if match else [float("nan")] * 3


def of_thesis(number: str, page: str) -> pd.DataFrame:
    """The values of a table of thesis.md, with the columns that ``draw_curves`` reads."""
    section = page.partition(f"<!-- {number} -->")[2].partition(f"<!-- end {number} -->")[0]
    rows = []
    for (metric, *columns), *lines in tables(section):
        for flips, *cells in lines:
            for column, cell in zip(columns, cells, strict=True):
                attack, model, split = column.split(", ")
                name = METRICS.get(metric, metric)
                rows.append([float(flips), attack, model, split, name, *numbers(cell)])
    columns = ["flips", "attack", "model", "split", "metric", "ours", "ci95", "thesis"]
    return pd.DataFrame(rows, columns=columns).assign(pairs="without perturbed pairs")


def of_strongest(page: str) -> pd.DataFrame:
    """The bars of strongest.png: the column of the last epoch."""
    (first, *lines) = next(table for table in tables(page) if table[0][:2] == ["graph", "edges"])
    rows = [dict(zip(first, line, strict=True)) for line in lines]
    found = []
    for graph in (citation_page.NAMES[data] for data in citation_page.PICTURED):
        for share in citation_page.SHARES:
            for attack in citation_page.ORDER:
                key = (graph, "0%" if attack == "clean" else f"{share:.0%}", attack)
                row = next(r for r in rows if (r["graph"], r["edges"], r["attack"]) == key)
                found.append([graph, share, attack, *numbers(row["last epoch"])[:2]])
    return pd.DataFrame(found, columns=["graph", "share", "attack", "mean", "half"])


def of_recommenders(page: str) -> pd.DataFrame:
    """The bars of recommenders.png: percent of NDCG@10 that bystanders lose."""
    section = page.partition("## bystanders-movielens-100k:")[2]
    (_, *victims), *lines = tables(section)[0]
    found = []
    for attack, *cells in lines:
        for victim, cell in zip(victims, cells, strict=True):
            if attack in recommenders_page.PICTURED:
                mean, half, _ = numbers(cell)
                found.append([attack, victim, -mean, half])
    return pd.DataFrame(found, columns=["attack", "victim", "mean", "half"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    thesis = (RESULTS / "thesis.md").read_text()
    for name in FIGURES:
        chosen = PICTURES[name]
        frame = pd.concat([of_thesis(number, thesis) for number in chosen.tables])
        for number in chosen.tables:  # every value of the thesis was read
            known = TABLES[number].figures.query("metric != 'log_loss'")["thesis"]
            assert set(known.round(4)) <= set(frame["thesis"]), number
        draw_curves(frame.drop_duplicates(), chosen.panels, out / f"{name}.png")
    strongest = of_strongest((RESULTS / "strongest.md").read_text())
    citation_page.picture(strongest, out / "strongest.png")
    recommenders = of_recommenders((RESULTS / "recommenders.md").read_text())
    recommenders_page.picture(recommenders, out / "recommenders.png")


if __name__ == "__main__":
    main()
