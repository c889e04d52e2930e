"""Metrics of one trained model, the names of all metrics, and their paired comparison."""

import math
import re
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ._checks import nearest

PAIR_METRICS = ("log_loss", "accuracy", "auroc")
"""Metrics of scored pairs, in the order in which they are measured."""
RELEVANCE_METRICS = ("ndcg", "recall", "hr", "precision", "mrr", "map")
"""Metrics of the unseen items among the first k of a user's list."""
LIST_METRICS = ("coverage", "popularity", "overlap")
"""Metrics of the lists themselves."""
TARGET_METRICS = ("t-hr", "t-ndcg", "any-t-hr")
"""Metrics of the target items in the lists, which an attack that promotes items raises."""
RANKING_METRICS = (*RELEVANCE_METRICS, *LIST_METRICS, *TARGET_METRICS)
"""All metrics of the first k items of a user's list, written ``"ndcg@10"``."""
HIGHER_IS_BETTER = {
    **dict.fromkeys((*PAIR_METRICS, *RANKING_METRICS), True),
    **dict.fromkeys(("log_loss", "popularity", *TARGET_METRICS), False),
}
"""Kind of a metric -> True if a fall is the attacker's gain, False if a rise is."""


@dataclass(frozen=True)
class RankingMetric:
    """A metric of the first ``k`` items of every user's list, e.g. kind ``"ndcg"`` and k 10."""

    kind: str
    k: int

    @property
    def name(self) -> str:
        """As RecBole spells it, e.g. ``"ndcg@10"``."""
        return f"{self.kind}@{self.k}"


def kind_of(metric: str) -> str:
    """The metric without the length of its lists: ``"ndcg"`` of ``"ndcg@10"``."""
    return metric.partition("@")[0]


def parse_metric(name: object) -> str | RankingMetric:
    """A metric of pairs by its name, or the :class:`RankingMetric` that ``name`` spells.

    Raises:
        ValueError: ``name`` is no metric; the message lists the known ones.
    """
    if isinstance(name, str) and name in PAIR_METRICS:
        return name
    found = re.fullmatch(r"([a-z-]+)@([1-9][0-9]*)", name) if isinstance(name, str) else None
    if found is not None and found[1] in RANKING_METRICS:
        return RankingMetric(found[1], int(found[2]))
    known = [*PAIR_METRICS, *(f"{kind}@k" for kind in RANKING_METRICS)]
    raise ValueError(
        f"metrics has {name!r}, which is not known; choose from {known}, with a whole number from "
        f"1 for k, e.g. 'ndcg@10'.{nearest(_with_k(name), known)}"
    )


def _with_k(name: object) -> str:
    kind, at, _ = str(name).partition("@")
    return f"{kind}@k" if at else kind


def majority_share(labels: Tensor) -> float:
    """The accuracy of predicting the most frequent class of ``labels`` (LongTensor [n]) always."""
    return float(torch.bincount(labels).max() / labels.numel())


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of nodes whose largest logit [N, C] belongs to their label [N]."""
    from sklearn.metrics import accuracy_score  # scikit-learn takes long to import

    return float(accuracy_score(labels.cpu(), logits.argmax(dim=1).cpu()))


def link_metrics(scores: Tensor, labels: Tensor) -> dict[str, float]:
    """Log loss (nats), accuracy at probability 1/2 and AUROC of scores [K] (logits) for 0/1 labels.

    AUROC is NaN if only one label occurs. All three are NaN if there are no scores.
    """
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    if not scores.numel():
        return dict.fromkeys(("log_loss", "accuracy", "auroc"), math.nan)
    truth = labels.cpu().numpy()
    logits = scores.detach().double().cpu()
    both = len(np.unique(truth)) == 2
    return {
        "log_loss": float(log_loss(truth, logits.sigmoid().numpy(), labels=[0, 1])),
        "accuracy": float(accuracy_score(truth, (logits > 0).numpy())),
        "auroc": float(roc_auc_score(truth, logits.numpy())) if both else math.nan,
    }


def confidence_halfwidth(values: ArrayLike, level: float = 0.95) -> float:
    """Half the width of Student's t interval for the mean of ``values``; NaN for fewer than two."""
    from scipy import stats

    sample = np.asarray(values, dtype=float)
    if sample.size < 2:
        return math.nan
    quantile = stats.t.ppf(0.5 + level / 2, sample.size - 1)
    return float(quantile * sample.std(ddof=1) / math.sqrt(sample.size))


def drop(metric: str, clean: ArrayLike, poisoned: ArrayLike) -> np.ndarray:
    """The attacker's gain in each run, from the clean to the poisoned victim of the same seed:
    ``clean - poisoned`` if :data:`HIGHER_IS_BETTER` of the metric, else ``poisoned - clean``."""
    sign = 1.0 if HIGHER_IS_BETTER[kind_of(metric)] else -1.0
    lost: np.ndarray = np.asarray(clean, dtype=float) - np.asarray(poisoned, dtype=float)
    return sign * lost
