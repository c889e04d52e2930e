"""A report: all runs of an evaluation, with tables, figures and a page."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from .._checks import choice, positive_int
from .._html import facts
from .._text import counted
from ..graphs import Graph
from ..perturbation import Perturbation
from . import latex
from .changes import Change, change, sides
from .summary import ALL, complete, means, measured, random_baseline, transfer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

File = str | os.PathLike[str]


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """The metrics of victims on the clean and on the poisoned graph: the result of ``evaluate``.

    Args:
        runs: DataFrame, one row for each attack, victim, number of flips, seed, metric, split and
            group of users, with the metric of the ``clean`` and of the ``poisoned`` victim. The
            columns ``users`` (name of the group), ``user_ci95`` (half the width of the 95% interval
            of the mean difference over these users) and ``num_users`` may be missing if all rows
            are of all users.
        perturbations: the attacks by name, with all flips; empty if they are not known.
        graph: the clean graph, as returned by :func:`graphpoison.read_graph`; None if not known.
        meta: settings of the evaluation, seeds, versions, device and time, and the settings of the
            attacks.
    """

    runs: pd.DataFrame
    perturbations: Mapping[str, Perturbation] = field(default_factory=dict)
    graph: Graph | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Report: {self._counts()}>"

    def _repr_html_(self) -> str:
        return facts(f"Report: {self._counts()}", {}, self.table.to_html(index=False))

    def _counts(self) -> str:
        kinds = ("attack", "victim", "seed", "metric")
        return ", ".join(counted(self.runs[kind].nunique(), kind) for kind in kinds)

    @property
    def table(self) -> pd.DataFrame:
        """Means over seeds, one row for each attack, victim, number of flips, metric, split and
        group of users: clean, poisoned, drop, ci95, relative, seeds.

        ``users`` is ``"all"``, ``"touched"`` (real users with at least one flip), ``"untouched"``
        or the name of a group given to ``evaluate``. ``drop`` is the change between the clean
        and the poisoned victim of the same seed: positive for a fall of the metric, or for a rise
        of log loss, popularity and the metrics of targets. It is positive if the attacker gained,
        except for an attack that demotes items: its success is a negative drop of ``t-hr@k``.
        ``ci95`` is half the width of the 95% t interval of the mean drop: over seeds, or over users
        if there is one run. ``relative`` is the drop as a share of ``clean``.
        """
        return means(self.runs)

    def to_html(self, path: File) -> None:
        """Write one self-contained HTML page: the main finding as text, charts, the nodes with most
        flips, a drawing of the flips, a table of all flips, and the provenance.

        Parts that are not known (flips, graph, provenance) are left out.

        Raises:
            ValueError: no run has a value, or the flips name nodes that the graph lacks.
        """
        from .page import write_report  # matplotlib takes long to import

        write_report(self, path)

    def to_latex(
        self,
        path: File | None = None,
        digits: int = 4,
        caption: str | None = None,
        label: str | None = None,
    ) -> str:
        r"""The table for a paper, see :func:`graphpoison.report.to_latex`, which also takes a
        selection of rows."""
        return latex.to_latex(self.table, path, digits, caption, label)

    def transfer(self, metric: str | None = None, split: str | None = None) -> pd.DataFrame:
        """The drop of every victim by every attack with all its flips, in the form of
        :func:`graphpoison.transfer_matrix`, with a random attack as the baseline.

        Args:
            metric: a measured metric; by default the most informative one.
            split: a measured split; by default the most informative one of the metric.

        Raises:
            ValueError: the metric or the split was not measured.
        """
        found = measured(self.runs)
        metric = metric or found[0][0]
        split = split or next((there for name, there in found if name == metric), found[0][1])
        return transfer(self.runs, metric, split, random_baseline(self.perturbations))

    def plot(
        self,
        metric: str,
        split: str | Sequence[str] | None = None,
        path: File | None = None,
        users: str = ALL,
    ) -> "Figure":
        """The metric against the number of perturbations, a line for each attack and victim.

        Shaded: the 95% t interval of the mean over seeds. As figures 4.1 to 4.8 of the thesis.

        Args:
            metric: a measured metric.
            split: measured splits, one panel for each; all by default.
            path: file to which the figure is written (PNG, SVG or PDF by the suffix).
            users: the group of users for which the metric is measured.

        Raises:
            ValueError: the metric, a split or the group was not measured.
        """
        runs = complete(self.runs)
        choice("metric", metric, runs["metric"].unique())
        runs = runs[runs["metric"] == metric]
        choice("users", users, runs["users"].unique())
        runs = runs[runs["users"] == users]
        found = list(runs["split"].unique())
        wanted = found if split is None else [split] if isinstance(split, str) else list(split)
        for name in wanted:
            choice("split", name, found)
        from .matplotlib_figures import plot_curves, save  # matplotlib takes long to import

        baseline = random_baseline(self.perturbations)
        return save(plot_curves(runs, metric, wanted, baseline), path)

    def plot_degrees(self, attack: str | None = None, path: File | None = None) -> "Figure":
        """Histogram of degrees before and after the attack; a panel each for users and items.

        Args:
            attack: name of the attack; by default the first.
            path: file to which the figure is written (PNG, SVG or PDF by the suffix).

        Raises:
            ValueError: the report has no such attack, or no graph.
        """
        if self.graph is None:
            raise ValueError("graph is not known to this report: give Report(..., graph=graph).")
        from .matplotlib_figures import plot_degrees, save

        return save(plot_degrees(sides(self._change(attack))), path)

    def draw_neighbourhood(
        self,
        attack: str | None = None,
        nodes: int = 40,
        seed: int = 0,
        path: File | None = None,
    ) -> "Figure":
        """A drawing of the nodes with most flips, their partners in these flips, and some of their
        other edges. A flip of a feature counts as a flip of its node.

        Added edges are thick and orange, removed edges dashed and blue, kept edges thin and grey. A
        bipartite graph is drawn in two columns.

        Args:
            attack: name of the attack; by default the first.
            nodes: largest number of nodes.
            seed: seed of the layout.
            path: file to which the figure is written (PNG, SVG or PDF by the suffix).

        Raises:
            ValueError: the report has no such attack, or the attack made no flips.
        """
        from .matplotlib_figures import draw_neighbourhood, save
        from .neighbourhood import neighbourhood  # networkx takes long to import

        positive_int("nodes", nodes, minimum=2)
        part = neighbourhood(self._change(attack), nodes, seed)
        if not part.places:
            raise ValueError(f"attack={attack!r} made no flips: there is nothing to draw.")
        return save(draw_neighbourhood(part), path)

    def plot_transfer(
        self, metric: str | None = None, split: str | None = None, path: File | None = None
    ) -> "Figure":
        """:meth:`transfer` as a heat map, see :func:`graphpoison.report.plot_transfer`."""
        return plot_transfer(self.transfer(metric, split), path)

    def _change(self, attack: str | None) -> Change:
        if not self.perturbations:
            raise ValueError(
                "perturbations are not known to this report: give Report(..., perturbations={...})."
            )
        name = next(iter(self.perturbations)) if attack is None else attack
        choice("attack", name, self.perturbations)
        return change(self.perturbations[name], self.graph)


def plot_transfer(frame: pd.DataFrame, path: File | None = None) -> "Figure":
    """Drops by surrogate and victim, as a heat map with 95% intervals.

    Args:
        frame: the result of :func:`graphpoison.transfer_matrix`; a row is added for its baseline.
        path: file to which the figure is written (PNG, SVG or PDF by the suffix).

    Raises:
        ValueError: ``frame`` is not a result of :func:`graphpoison.transfer_matrix`.
    """
    from .matplotlib_figures import draw_transfer, save

    return save(draw_transfer(frame), path)
