"""What an evaluation found: every run, a table of means with confidence intervals, and a plot."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch_geometric.data import Data, HeteroData

from ._checks import choice
from ._io import atomic_write
from .metrics import confidence_halfwidth, drop
from .perturbation import Perturbation

KEYS = ["attack", "victim", "flips", "metric", "split"]
LABELS = {"accuracy": "accuracy", "auroc": "AUROC", "log_loss": "log loss (nats)"}


@dataclass(frozen=True, eq=False)
class Report:
    """Victims on the clean and on the poisoned graph.

    Args:
        runs: DataFrame, one row for each attack, victim, number of flips, seed, metric and split,
            with the columns ``clean`` and ``poisoned``.
        perturbations: the attacks by name, whole; none if they are not known.
        data: the clean graph, where it is known.
        meta: what the runs depend on besides: settings, seeds, versions, device and time.
    """

    runs: pd.DataFrame
    perturbations: Mapping[str, Perturbation] = field(default_factory=dict)
    data: Data | HeteroData | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """Means over seeds, one row for each of :data:`.KEYS`, then clean, poisoned, drop,
        ci95 and seeds.

        ``drop`` is how much worse the poisoned victim is than the clean one of the same seed
        (positive: the attack hurt), ``ci95`` half the width of the 95% t interval of its mean.
        """
        rows = []
        for key, group in self.runs.groupby(KEYS, sort=False):
            lost = drop(str(key[3]), group["clean"].to_numpy(), group["poisoned"].to_numpy())
            rows.append(
                [
                    *key,
                    group["clean"].mean(),
                    group["poisoned"].mean(),
                    lost.mean(),
                    confidence_halfwidth(lost),
                    len(group),
                ]
            )
        columns = [*KEYS, "clean", "poisoned", "drop", "ci95", "seeds"]
        return pd.DataFrame(rows, columns=columns)

    def plot(
        self,
        metric: str,
        split: str | Sequence[str] | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> Figure:
        """The metric against the number of perturbations, a line for each attack and victim.

        Shaded: the 95% t interval of the mean over seeds. As figures 4.1 to 4.8 of the thesis.

        Args:
            metric: one that was measured.
            split: one panel for each; all that were measured by default.
            path: write the picture there (PNG, SVG or PDF by the suffix).
        """
        choice("metric", metric, self.runs["metric"].unique())
        measured = self.runs[self.runs["metric"] == metric]
        found = list(measured["split"].unique())
        wanted = found if split is None else [split] if isinstance(split, str) else list(split)
        for name in wanted:
            choice("split", name, found)
        figure = Figure(figsize=(0.8 + 4.6 * len(wanted), 3.8), layout="constrained")
        panels = figure.subplots(1, len(wanted), squeeze=False)[0]
        for panel, name in zip(panels, wanted, strict=True):
            for (attack, victim), group in measured[measured["split"] == name].groupby(
                ["attack", "victim"], sort=False
            ):
                flips, mean, half = _curve(group)
                (line,) = panel.plot(flips, mean, marker="o", label=f"{attack} ({victim})")
                panel.fill_between(
                    flips, mean - half, mean + half, color=line.get_color(), alpha=0.2, linewidth=0
                )
            panel.set_xlabel("perturbations")
            panel.set_ylabel(LABELS.get(metric, metric))
            panel.set_title(f"{name} data")
            panel.grid(alpha=0.3)
            panel.legend()
        if path is not None:
            FigureCanvasAgg(figure)
            with atomic_write(path) as file:
                figure.savefig(file, format=Path(path).suffix.lstrip(".") or "png", dpi=150)
        return figure


def _curve(group: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of flips (0 for the clean graph), means and half-widths (0 where there is none)."""
    first = group[group["flips"] == group["flips"].min()]
    points = [(0, first["clean"].to_numpy())] if first["flips"].iloc[0] else []
    for flips, runs in group.groupby("flips"):
        points.append((int(str(flips)), runs["poisoned"].to_numpy()))
    counts = np.array([point[0] for point in points])
    mean = np.array([point[1].mean() for point in points])
    half = np.nan_to_num([confidence_halfwidth(point[1]) for point in points])
    return counts, mean, half
