"""The thesis's figures: accuracy and AUROC against perturbations, and t-SNE of user embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE

from .._io import atomic_write
from .._random import derive_seed, generator
from ..report.colours import COLOURS, RANDOM, attack_colours
from ..report.matplotlib_figures import HIT, INK, MARKERS, PALE, PLAIN, legend_below
from ..tasks import Recommendation
from .experiment import DataSet, Trained

Panel = dict[str, str]
"""Column -> the value that all curves of a panel have in this column."""
BASELINE = "baseline"
TERMS = {BASELINE: "random flips", "meta-attack": "Meta-Attack", "meta-approx": "Meta-Approx"}
"""Name of an attack in the tables -> its name in figures."""
CLUSTERS = [*COLOURS, RANDOM, PALE, HIT, INK]
AXES = {"accuracy": "accuracy (%)", "auroc": "AUROC"}


def draw_curves(frame: pd.DataFrame, panels: Sequence[Panel], path: Path) -> Figure:
    """Draw one panel for each of ``panels`` (Figures 4.1 to 4.8).

    Our values are solid curves with shaded 95% intervals, the thesis's values are dashed curves.
    Colours mark attacks, random flips in grey; markers mark models. In panels of one attack,
    colours mark the treatment of perturbed pairs. Intervals end at 0 and at 100% (at 1 for AUROC).

    Args:
        frame: the result of :func:`graphpoison.reproduce.compare`.
        panels: column values that select the rows of ``frame``. A panel has one curve for each
            attack, model and treatment of perturbed pairs among these rows.
        path: the PNG file to write.
    """
    figure = Figure(figsize=(0.8 + 4.6 * len(panels), 4.4), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        chosen = frame[np.logical_and.reduce([frame[key] == panel[key] for key in panel])]
        names = [key for key in ("attack", "model", "pairs") if chosen[key].nunique() > 1]
        kind = "pairs" if chosen["attack"].nunique() == 1 else "attack"
        colours = attack_colours(chosen.assign(attack=chosen[kind]), BASELINE)
        models = list(chosen["model"].unique())
        for key, line in chosen.groupby(["attack", "model", "pairs"], sort=False):
            parts = dict(zip(("attack", "model", "pairs"), map(str, key), strict=True))
            text = ", ".join(TERMS.get(parts[name], parts[name]) for name in names)
            marker = MARKERS[models.index(parts["model"])]
            look = {"color": colours[parts[kind]], "marker": marker}
            _line(axes, line, text or "ours", look, 1.0 if panel["metric"] == "auroc" else 100.0)
        axes.plot([], [], ls="--", color=INK, label="thesis")
        axes.set_xlabel("perturbations")
        axes.set_ylabel(AXES[panel["metric"]])
        axes.set_title(_title(panel))
        axes.grid(alpha=0.3)
    legend_below(figure, axes, 2)
    _save(figure, path)
    return figure


def _title(panel: Panel) -> str:
    named = {"split": f"{panel.get('split')} pairs"}
    parts = (named.get(key, TERMS.get(panel[key], panel[key])) for key in panel if key != "metric")
    return ", ".join(parts)


def _line(
    axes: Axes, figures: pd.DataFrame, label: str, look: dict[str, Any], highest: float
) -> None:
    flips, ours = figures["flips"], figures["ours"]
    half = figures["ci95"].fillna(0.0)
    low, high = (ours - half).clip(lower=0.0), (ours + half).clip(upper=highest)
    axes.plot(flips, ours, label=label, **look)
    axes.fill_between(flips, low, high, color=look["color"], alpha=0.2, lw=0)
    if figures["thesis"].notna().any():
        axes.plot(flips, figures["thesis"], ls="--", ms=3, **look)


def draw_users(
    dataset: DataSet,
    trained: Trained,
    path: Path,
    root: str | Path | None = None,
    clusters: int = 10,
    perplexities: Sequence[float] = (5.0, 30.0, 100.0),
    seed: int = 0,
) -> Figure:
    """Draw the user embeddings of a trained recommender and the cluster means of K-means in two
    dimensions (Figure 4.9).

    K-means runs in the embedding space. t-SNE (van der Maaten and Hinton 2008) maps users and
    cluster means together, once for each perplexity.
    """
    task = Recommendation(dataset.load(root), trained.model)
    start = task.init(generator(seed))
    users = task.train(trained.training, task.state, start)[0].cpu().numpy()
    state = derive_seed(seed) % 2**32
    kmeans = KMeans(clusters, random_state=state).fit(users)
    colours = np.array(CLUSTERS)[kmeans.labels_ % len(CLUSTERS)]
    points = np.concatenate([users, kmeans.cluster_centers_]).astype(np.float32)
    figure = Figure(figsize=(0.8 + 4.0 * len(perplexities), 4.2), layout="constrained")
    panels = figure.subplots(1, len(perplexities), squeeze=False)[0]
    for axes, perplexity in zip(panels, perplexities, strict=True):
        flat = TSNE(perplexity=perplexity, random_state=state).fit_transform(points)
        axes.scatter(*flat[: len(users)].T, c=colours, s=6)
        axes.scatter(*flat[len(users) :].T, c=PLAIN, ec=INK, s=70, marker="X", label="cluster mean")
        axes.set_title(f"perplexity {perplexity:g}")
        axes.set_xticks([])
        axes.set_yticks([])
    legend_below(figure, panels[0], 1)
    _save(figure, path)
    return figure


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
