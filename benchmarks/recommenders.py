"""Attacks on recommenders in common use, beside all heuristics at equal budget.

    python benchmarks/recommenders.py bystanders --data movielens-100k --splits 0 1 2 --out out/

measures one study and writes ``<study>-<data>.csv``: one row for each split, attack, victim, metric
and group of users. Splits that the file already holds are not measured again. The interactions of
each user are split 80/20. The attack's settings are the defaults of the library, which were chosen
only on another split of MovieLens-100K.
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
        off_limits: whether the interactions of a random half of the users must not be flipped.
        removals: whether interactions may be removed.
        group: whether the attack is on a random quarter of the users, not on all users.
        budget: the number of flips, as a share of the interactions.
        heldout: whether the objective is on hidden interactions and the search starts without
            flips.
    """

    cap: float | None = CAP
    off_limits: bool = False
    removals: bool = True
    group: bool = False
    budget: float = 0.05
    heldout: bool = False


STUDIES = {
    "capped": Study(),
    "uncapped": Study(cap=None),
    "additions": Study(removals=False),
    "bystanders": Study(off_limits=True),
    "bystanders-additions": Study(off_limits=True, removals=False),
    "heldout": Study(heldout=True),
    "group": Study(group=True, budget=0.0125),
}


OTHERS = ("promotion", "promotion-1%", "demotion", "filters")


def part_of(num_users: int, split: int, parts: int = 2) -> torch.Tensor:
    """A random part of the users: one half, or one over ``parts``."""
    draw = torch.Generator().manual_seed(HALF_SEED + split)
    return torch.randperm(num_users, generator=draw)[: num_users // parts].sort().values


def attacks_of(study: Study, data: Any, split: int) -> tuple[dict[str, Any], dict[str, float]]:
    """Perturbations by name, and the seconds that each took."""
    graph = gp.read_graph(data)
    users = part_of(graph.num_users, split) if study.off_limits else None
    group = part_of(graph.num_users, split, 4) if study.group else None
    task = gp.Recommendation(graph, "ease", gp.Degrade(group, k=10))
    attack = gp.ranking_attack(study.cap, users, allow_removals=study.removals)
    if study.heldout:
        aim = gp.Degrade(on="heldout", temperature=0.005)
        task = gp.Recommendation(graph, gp.EASE(l2=3000.0), aim)
        attack = gp.ranking_attack(study.cap, start=None)
    started = time.perf_counter()
    ours = attack(task, gp.Budget.fraction(study.budget), seed=split)
    seconds = {"ours": time.perf_counter() - started}
    beside = gp.heuristics(
        task,
        len(ours),
        seed=split,
        max_profile_share=study.cap,
        off_limits=users if group is None else without(group, graph.num_users),
        allow_removals=study.removals,
    )
    return {"ours": ours, **beside}, seconds


def without(users: torch.Tensor, num_users: int) -> torch.Tensor:
    """All users except ``users``."""
    every = torch.arange(num_users)
    return every[~torch.isin(every, users)]


def measure(study: str, name: str, split: int, victims: list[str]) -> pd.DataFrame:
    data = gp.datasets.load(name, split="per-user", seed=split)
    found, seconds = attacks_of(STUDIES[study], data, split)
    count = gp.read_graph(data).num_users
    groups = None
    if STUDIES[study].off_limits:
        groups = {"bystanders": part_of(count, split)}
    elif STUDIES[study].group:
        group = part_of(count, split, 4)
        groups = {"group": group, "others": without(group, count)}
    cheap = [victim for victim in victims if victim not in ("lightgcn-bpr", "mf-softmax")]
    seeds = range(SEEDS.get(name, 1))
    reports = [gp.evaluate(data, found, cheap, seeds, metrics=METRICS, groups=groups)]
    slow = [victim for victim in victims if victim not in cheap]
    if slow:
        strong = strongest(reports[0].table, next(iter(groups)) if groups else "all")
        few = {key: found[key] for key in ("ours", "random removals", *strong) if key in found}
        reports.append(gp.evaluate(data, few, slow, range(2), metrics=METRICS, groups=groups))
    table = pd.concat([report.table for report in reports])
    return table.assign(split=split, data=name, seconds=table["attack"].map(seconds))


def strongest(table: pd.DataFrame, users: str) -> list[str]:
    """The most harmful heuristic for each victim, for tests on victims that are slow to train."""
    chosen = table[(table["metric"] == METRICS[0]) & (table["users"] == users)]
    mean = chosen[chosen["attack"] != "ours"].groupby(["victim", "attack"])["relative"].mean()
    return list(dict.fromkeys(attack for _, attack in mean.groupby("victim").idxmax()))


def promoted(graph: Any, share: float, split: int, number: int) -> tuple[list[int], int, int]:
    """Five items of popularity 5 to 20, the number of fake users and the length of a profile."""
    popularity = torch.bincount(graph.edge_index[1], minlength=graph.num_items)
    unpopular = ((popularity >= 5) & (popularity <= 20)).nonzero().flatten()
    draw = torch.Generator().manual_seed(100 * split + number)
    items = unpopular[torch.randperm(unpopular.numel(), generator=draw)[:5]].tolist()
    return items, round(share * graph.num_users), round(graph.edge_index.size(1) / graph.num_users)


def promotion(name: str, split: int, share: float, victims: list[str], sets: int) -> pd.DataFrame:
    """Five items of popularity 5 to 20, promoted by fake users, beside the templates."""
    data = gp.datasets.load(name, split="per-user", seed=split)
    graph = gp.read_graph(data)
    tables = []
    for number in range(sets):
        items, count, length = promoted(graph, share, split, number)
        started = time.perf_counter()
        ours = gp.promote(graph, items, count, length, k=50, seed=split)
        seconds = time.perf_counter() - started
        beside = gp.promotion_templates(graph, items, count, length, seed=split)
        table = target_hits(graph, {"ours": ours, **beside}, victims, items, seconds)
        tables.append(table.assign(split=split, set=number, data=name, share=share))
    return pd.concat(tables)


def target_hits(
    graph: Any, found: dict[str, Any], victims: list[str], items: list[int], seconds: float
) -> pd.DataFrame:
    """The share of users who find ``items`` in their lists, and the seconds of our attack."""
    metrics = ["t-hr@50", "t-hr@10"]
    table = gp.evaluate(graph, found, victims, range(1), metrics=metrics, targets=items).table
    return table.assign(seconds=table["attack"].map({"ours": seconds}))


def demotion(name: str, split: int, victims: list[str], sets: int) -> pd.DataFrame:
    """Five of the fifty most popular items, demoted by flips of real users, beside random removals
    of interactions with these items."""
    data = gp.datasets.load(name, split="per-user", seed=split)
    graph = gp.read_graph(data)
    popularity = torch.bincount(graph.edge_index[1], minlength=graph.num_items)
    popular = popularity.argsort(descending=True, stable=True)[:50]
    tables = []
    for number in range(sets):
        draw = torch.Generator().manual_seed(100 * split + number)
        items = popular[torch.randperm(popular.numel(), generator=draw)[:5]].sort().values
        task = gp.Recommendation(graph, "ease", gp.Demote(items, k=10))
        started = time.perf_counter()
        ours = gp.ranking_attack(CAP)(task, gp.Budget.fraction(0.0025), seed=split)
        seconds = time.perf_counter() - started
        own = graph.edge_index[:, torch.isin(graph.edge_index[1], items)]
        chosen = torch.randperm(own.size(1), generator=draw)[: len(ours)]
        few = gp.Recommendation(graph, "ease", candidates=own[:, chosen])
        removed = gp.HeuristicAttack("random removals", CAP)(few, len(ours), seed=split)
        found = {"ours": ours, "the items' own interactions, at random": removed}
        table = target_hits(graph, found, victims, items.tolist(), seconds)
        tables.append(table.assign(split=split, set=number, data=name))
    return pd.concat(tables)


def filters(name: str, split: int) -> pd.DataFrame:
    """How well detectors distinguish touched or fake users from other users (AUROC), for our attack
    and for heuristics."""
    data = gp.datasets.load(name, split="per-user", seed=split)
    graph = gp.read_graph(data)
    tables = []
    for study in ("bystanders", "capped"):
        found, _ = attacks_of(STUDIES[study], data, split)
        for attack in ("ours", "popular removals", "rare items become popular", "random flips"):
            table = gp.detectability(data, found[attack], seed=split)
            tables.append(table.assign(study=study, attack=attack))
    items, count, length = promoted(graph, 0.05, split, 0)
    fakes = {"ours": gp.promote(graph, items, count, length, k=50, seed=split)}
    fakes |= gp.promotion_templates(graph, items, count, length, seed=split)
    for attack, fake in fakes.items():
        table = gp.detectability(data, fake, seed=split)
        tables.append(table.assign(study="promotion", attack=attack))
    return pd.concat(tables).assign(split=split, data=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=[*STUDIES, *OTHERS])
    parser.add_argument("--data", default="movielens-100k")
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--victims", nargs="+", default=VICTIMS)
    parser.add_argument("--sets", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("out"))
    chosen = parser.parse_args()
    logging.getLogger("graphpoison").setLevel(logging.ERROR)
    share = 0.01 if chosen.study.endswith("1%") else 0.05
    runs: dict[str, Callable[[int], pd.DataFrame]] = {
        "promotion": lambda split: promotion(
            chosen.data, split, share, chosen.victims, chosen.sets
        ),
        "demotion": lambda split: demotion(chosen.data, split, chosen.victims, chosen.sets),
        "filters": lambda split: filters(chosen.data, split),
    }
    usual = lambda split: measure(chosen.study, chosen.data, split, chosen.victims)  # noqa: E731
    run = runs.get(chosen.study.partition("-")[0], usual)
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / f"{chosen.study}-{chosen.data}.csv"
    before = pd.read_csv(path) if path.exists() else pd.DataFrame({"split": []})
    for split in chosen.splits:
        if split in set(before["split"]):
            continue
        before = pd.concat([before, run(split)])
        before.to_csv(path, index=False)
        print(path, "split", split, flush=True)


if __name__ == "__main__":
    main()
