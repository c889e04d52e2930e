"""The thesis's figures: accuracy and AUROC against perturbations, and t-SNE of user embeddings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE

from .._io import atomic_write
from .._random import derive_seed, generator
from ..report.summary import NAMES
from ..tasks import Recommendation
from .experiment import DataSet, Trained

Panel = dict[str, str]
"""Column -> the value that all curves of a panel have in this column."""


def draw_curves(frame: pd.DataFrame, panels: Sequence[Panel], path: Path) -> Figure:
    """Draw one panel for each of ``panels`` (Figures 4.1 to 4.8).

    Our values are solid curves with shaded 95% intervals, the thesis's values are dashed curves.

    Args:
        frame: the result of :func:`graphpoison.reproduce.compare`.
        panels: column values that select the rows of ``frame``. A panel has one curve for each
            attack, model and treatment of perturbed pairs among these rows.
        path: the PNG file to write.
    """
    figure = Figure(figsize=(0.8 + 4.6 * len(panels), 3.8), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        chosen = frame[np.logical_and.reduce([frame[key] == panel[key] for key in panel])]
        names = [key for key in ("attack", "model", "pairs") if chosen[key].nunique() > 1]
        for key, line in chosen.groupby(["attack", "model", "pairs"], sort=False):
            parts = dict(zip(("attack", "model", "pairs"), key, strict=True))
            _line(axes, line, ", ".join(str(parts[name]) for name in names))
        axes.plot([], [], ls="--", color="grey", label="thesis")
        axes.set_xlabel("perturbations")
        axes.set_ylabel(NAMES[panel["metric"]])
        axes.set_title(", ".join(panel[key] for key in panel if key != "metric"))
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)
    return figure


def _line(axes: Axes, figures: pd.DataFrame, label: str) -> None:
    flips, ours = figures["flips"], figures["ours"]
    half = figures["ci95"].fillna(0.0)
    (drawn,) = axes.plot(flips, ours, marker="o", label=label or "ours")
    axes.fill_between(flips, ours - half, ours + half, color=drawn.get_color(), alpha=0.2, lw=0)
    if figures["thesis"].notna().any():
        axes.plot(flips, figures["thesis"], ls="--", color=drawn.get_color())


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
    points = np.concatenate([users, kmeans.cluster_centers_]).astype(np.float32)
    figure = Figure(figsize=(0.8 + 4.0 * len(perplexities), 4.2), layout="constrained")
    panels = figure.subplots(1, len(perplexities), squeeze=False)[0]
    for axes, perplexity in zip(panels, perplexities, strict=True):
        flat = TSNE(perplexity=perplexity, random_state=state).fit_transform(points)
        axes.scatter(*flat[: len(users)].T, c=kmeans.labels_, s=6, cmap="tab10")
        axes.scatter(*flat[len(users) :].T, c="black", s=60, marker="X", label="cluster means")
        axes.set_title(f"perplexity {perplexity:g}")
        axes.set_xticks([])
        axes.set_yticks([])
    panels[0].legend()
    _save(figure, path)
    return figure


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
