"""Converts tables between one row for each run and one row for each metric of a run."""

import math
import re
from typing import Any

import pandas as pd

from ..metrics import PAIR_METRICS, RANKING_METRICS, drop
from .summary import ALL, complete

COLUMN = re.compile(
    rf"(?P<metric>{'|'.join(PAIR_METRICS)}|(?:{'|'.join(RANKING_METRICS)})@[0-9]+)"
    r"_(?P<split>[a-z]+)(?:_(?P<users>.+))?_(?P<side>clean|poisoned|drop|ci95|users)"
)
SIDES = {"clean": "clean", "poisoned": "poisoned", "ci95": "user_ci95", "users": "num_users"}
"""The last part of a column's name -> the column of ``report.runs``."""
KEPT = ["task", "attack", "victim", "budget", "flips", "seed", "attack_seed"]


def wide(runs: pd.DataFrame) -> dict[str, float]:
    """Column -> value, for the measured values of one run.

    A column is ``METRIC_SPLIT_SIDE`` for all users, or ``METRIC_SPLIT_USERS_SIDE`` for a group of
    users, where SIDE is ``clean``, ``poisoned``, ``drop`` (positive if the attacker gained),
    ``ci95`` (half the 95% interval of the drop over users) or ``users`` (the number of users). Two
    examples are ``"accuracy_test_drop"`` and ``"ndcg@10_unseen_touched_drop"``.

    Args:
        runs: ``report.runs`` of one attack, victim, seed and number of flips.
    """
    found: dict[str, float] = {}
    for row in complete(runs).to_dict("records"):
        name = f"{row['metric']}_{row['split']}"
        name += "" if row["users"] == ALL else f"_{row['users']}"
        lost = float(drop(row["metric"], row["clean"], row["poisoned"]))
        found |= {f"{name}_clean": row["clean"], f"{name}_poisoned": row["poisoned"]}
        found[f"{name}_drop"] = lost
        if row["num_users"]:
            found |= {f"{name}_ci95": row["user_ci95"], f"{name}_users": row["num_users"]}
    return found


def runs_of(results: pd.DataFrame) -> pd.DataFrame:
    """The evaluations of a study in the form of ``report.runs``: one row for each metric, split and
    group of users. ``gp.Report(runs_of(frame))`` is a report on these evaluations.

    Args:
        results: the table of :func:`graphpoison.sweep`; failed runs and attacks are left out.

    Raises:
        ValueError: no column of the table is a metric.
    """
    matches = {name: found for name in results if (found := COLUMN.fullmatch(str(name)))}
    if not matches:
        raise ValueError(
            "results must be the table of a sweep, with columns such as 'accuracy_test_drop'; "
            f"found the columns {list(results.columns)[:12]}."
        )
    done = results[results["kind"].eq("evaluation") & results["status"].eq("done")]
    groups: dict[tuple[str, str, str], dict[str, str]] = {}
    for name, match in matches.items():
        key = (match["metric"], match["split"], match["users"] or ALL)
        groups.setdefault(key, {})[match["side"]] = str(name)
    parts = []
    for (metric, split, users), names in groups.items():
        measured = done[done[names["clean"]].notna()]
        part = measured[[name for name in KEPT if name in measured]].assign(
            metric=metric, split=split, users=users, user_ci95=math.nan, num_users=0
        )
        for side, column in SIDES.items():
            if side in names:
                part[column] = measured[names[side]].fillna(0 if side == "users" else math.nan)
        parts.append(part)
    runs: Any = pd.concat(parts, ignore_index=True)
    return runs.astype({"num_users": int, "flips": int, "seed": int})  # type: ignore[no-any-return]
