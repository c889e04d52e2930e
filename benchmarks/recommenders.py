"""Attacks on the recommenders that people run, beside all heuristics at equal budget.

    python benchmarks/recommenders.py bystanders --data movielens-100k --splits 0 1 2 --out out/

measures one study and writes ``<study>-<data>.csv``: one row for each split, attack, victim, metric
and group of users. Splits that the file holds already are not measured again. Splits are 80/20 for
each user. The attack's settings are the defaults of the library, chosen on another split of
MovieLens-100K alone.
"""

import argparse
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import graphpoison as gp

CAP = 0.25
HALF_SEED = 1000
METRICS = ["ndcg@10", "recall@20"]
SEEDS = {"movielens-100k": 5}
VICTIMS = ["ease", "implicit-als", "item-knn", "mf-softmax"]


@dataclass(frozen=True)
class Study:
    """An attack and its setting.

    Args:
        cap: the largest share of a profile that may change.
        off_limits: whether a random half of the users may not be touched.
        removals: whether interactions may be removed.
    """

    cap: float | None = CAP
    off_limits: bool = False
    removals: bool = True


STUDIES = {
    "capped": Study(),
    "uncapped": Study(cap=None),
    "additions": Study(removals=False),
    "bystanders": Study(off_limits=True),
    "bystanders-additions": Study(off_limits=True, removals=False),
}


def half_of(num_users: int, split: int) -> torch.Tensor:
    """A random half of the users."""
    draw = torch.Generator().manual_seed(HALF_SEED + split)
    return torch.randperm(num_users, generator=draw)[: num_users // 2].sort().values


def attacks_of(study: Study, data: Any, split: int) -> tuple[dict[str, Any], dict[str, float]]:
    """Perturbations by name, and the seconds that each took."""
    graph = gp.read_graph(data)
    users = half_of(graph.num_users, split) if study.off_limits else None
    task = gp.Recommendation(graph, "ease", gp.Degrade(k=10))
    attack = gp.ranking_attack(study.cap, users, allow_removals=study.removals)
    started = time.perf_counter()
    ours = attack(task, gp.Budget.fraction(0.05), seed=split)
    seconds = {"ours": time.perf_counter() - started}
    beside = gp.heuristics(
        task,
        len(ours),
        seed=split,
        max_profile_share=study.cap,
        off_limits=users,
        allow_removals=study.removals,
    )
    return {"ours": ours, **beside}, seconds


def measure(study: str, name: str, split: int, victims: list[str]) -> pd.DataFrame:
    data = gp.datasets.load(name, split="per-user", seed=split)
    found, seconds = attacks_of(STUDIES[study], data, split)
    users = half_of(gp.read_graph(data).num_users, split)
    groups = {"bystanders": users} if STUDIES[study].off_limits else None
    cheap = [victim for victim in victims if victim not in ("lightgcn-bpr", "mf-softmax")]
    reports = [
        gp.evaluate(data, found, cheap, range(SEEDS.get(name, 1)), metrics=METRICS, groups=groups)
    ]
    slow = [victim for victim in victims if victim not in cheap]
    if slow:
        strong = strongest(reports[0].table, groups)
        few = {key: found[key] for key in ("ours", "random removals", *strong) if key in found}
        reports.append(gp.evaluate(data, few, slow, range(2), metrics=METRICS, groups=groups))
    table = pd.concat([report.table for report in reports])
    return table.assign(split=split, data=name, seconds=table["attack"].map(seconds))


def strongest(table: pd.DataFrame, groups: Any) -> list[str]:
    """The heuristics that hurt most on each victim, for the victims that take long to train."""
    chosen = table[
        (table["metric"] == METRICS[0]) & (table["users"] == ("bystanders" if groups else "all"))
    ]
    chosen = chosen[chosen["attack"] != "ours"]
    return list(dict.fromkeys(chosen.sort_values("relative").groupby("victim")["attack"].last()))


def promotion(name: str, split: int, share: float, victims: list[str], sets: int) -> pd.DataFrame:
    """Five items of popularity 5 to 20, promoted by fake users, beside the templates."""
    data = gp.datasets.load(name, split="per-user", seed=split)
    graph = gp.read_graph(data)
    popularity = torch.bincount(graph.edge_index[1], minlength=graph.num_items)
    unpopular = ((popularity >= 5) & (popularity <= 20)).nonzero().flatten()
    count = round(share * graph.num_users)
    length = round(graph.edge_index.size(1) / graph.num_users)
    tables = []
    for number in range(sets):
        draw = torch.Generator().manual_seed(100 * split + number)
        items = unpopular[torch.randperm(unpopular.numel(), generator=draw)[:5]].tolist()
        started = time.perf_counter()
        ours = gp.promote(graph, items, count, length, k=50, seed=split)
        seconds = time.perf_counter() - started
        beside = gp.promotion_templates(graph, items, count, length, seed=split)
        found = {"ours": ours, **beside}
        metrics = ["t-hr@50", "t-hr@10"]
        report = gp.evaluate(graph, found, victims, range(1), metrics=metrics, targets=items)
        table = report.table.assign(split=split, set=number, data=name, share=share)
        tables.append(table.assign(seconds=table["attack"].map({"ours": seconds})))
    return pd.concat(tables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=[*STUDIES, "promotion", "promotion-1%"])
    parser.add_argument("--data", default="movielens-100k")
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--victims", nargs="+", default=["ease", "implicit-als", "item-knn", "mf-softmax"]
    )
    parser.add_argument("--sets", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("out"))
    chosen = parser.parse_args()
    logging.getLogger("graphpoison").setLevel(logging.ERROR)
    run: Callable[[int], pd.DataFrame]
    if chosen.study.startswith("promotion"):
        share = 0.01 if chosen.study.endswith("1%") else 0.05
        run = lambda split: promotion(chosen.data, split, share, chosen.victims, chosen.sets)  # noqa: E731
    else:
        run = lambda split: measure(chosen.study, chosen.data, split, chosen.victims)  # noqa: E731
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / f"{chosen.study}-{chosen.data}.csv"
    before = pd.read_csv(path) if path.exists() else pd.DataFrame({"split": []})
    for split in chosen.splits:
        if split in set(before["split"]):
            continue
        before = pd.concat([before, run(split)])
        before.to_csv(path, index=False)
        rows = before[(before["split"] == split) & (before["metric"].isin(["ndcg@10", "t-hr@50"]))]
        value = "poisoned" if chosen.study.startswith("promotion") else "relative"
        shown = rows.pivot_table(index="attack", columns=["users", "victim"], values=value)
        print(path, "split", split, (100 * shown).round(1).to_string(), sep="\n", flush=True)


if __name__ == "__main__":
    main()
