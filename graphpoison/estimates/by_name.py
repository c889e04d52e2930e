"""Workloads by the name of the surrogate."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from .._checks import choice
from .nodes import NodeWorkload
from .recommenders import RankingWorkload, RecommenderWorkload
from .workload import Workload

KINDS: dict[str, type[Workload]] = {
    **dict.fromkeys(("cf", "gmf", "lightgcn"), RecommenderWorkload),
    "ease": RankingWorkload,
    **dict.fromkeys(("linear-gcn", "sgc"), NodeWorkload),
}
"""Surrogate -> its workload."""


def workload_of(surrogate: str, sizes: Mapping[str, Any]) -> Workload:
    """The workload of the named ``surrogate``; ``sizes`` has its sizes and settings by name.

    Raises:
        TypeError, ValueError: the surrogate is unknown; a size is missing, or does not belong to
            this surrogate; the workload refuses a value.
    """
    if surrogate == "bpr":
        raise ValueError("surrogate='bpr' is a loss; use surrogate='cf' with loss='bpr'.")
    kind = KINDS[choice("surrogate", surrogate, KINDS)]
    known = {each.name: each.default for each in fields(kind)}
    foreign = [name for name in sizes if name not in known]
    if foreign:
        raise ValueError(f"{foreign[0]} is not for surrogate={surrogate!r}; leave it out.")
    missing = [name for name, usual in known.items() if usual is MISSING and name not in sizes]
    if missing:
        raise ValueError(f"{missing[0]} must be given for surrogate={surrogate!r}: a number.")
    named = {"surrogate": surrogate} if "surrogate" in known else {}
    return kind(**named, **sizes)
