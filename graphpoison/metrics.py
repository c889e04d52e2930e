"""Metrics of one trained model, and their paired comparison over seeds."""

import math

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor


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


HIGHER_IS_BETTER = {"accuracy": True, "auroc": True, "log_loss": False}


def drop(metric: str, clean: ArrayLike, poisoned: ArrayLike) -> np.ndarray:
    """How much worse each poisoned run is than the clean run of the same seed."""
    sign = 1.0 if HIGHER_IS_BETTER[metric] else -1.0
    lost: np.ndarray = np.asarray(clean, dtype=float) - np.asarray(poisoned, dtype=float)
    return sign * lost
