"""How a model is trained: settings that surrogates and victims share."""

from dataclasses import dataclass
from typing import Literal

from .._checks import choice, in_range, positive_int
from .optimizers import Adam, Clipped, GradientDescent, InnerOptimizer


@dataclass(frozen=True)
class Training:
    """``steps`` full-batch updates of a model.

    A :class:`~graphpoison.Hypergradient`, not these settings, determines how training is
    differentiated.

    Args:
        steps: number of updates, T.
        lr: step size.
        momentum: heavy-ball momentum of gradient descent.
        optimizer: ``"sgd"`` or ``"adam"``.
        weight_decay: L2 penalty, added to the gradient.
        clip: the largest norm of the gradient at each step, over all parameters and before weight
            decay; larger gradients are scaled down to this norm. None: no clipping.

    Raises:
        TypeError, ValueError: a setting is invalid or out of range, or momentum is used with Adam.
    """

    steps: int = 100
    lr: float = 0.1
    momentum: float = 0.0
    optimizer: Literal["sgd", "adam"] = "sgd"
    weight_decay: float = 0.0
    clip: float | None = None

    def __post_init__(self) -> None:
        positive_int("steps", self.steps)
        in_range("lr", self.lr, 0.0, float("inf"), open_low=True)
        in_range("momentum", self.momentum, 0.0, 1.0)
        in_range("weight_decay", self.weight_decay, 0.0, float("inf"))
        if choice("optimizer", self.optimizer, ["sgd", "adam"]) == "adam" and self.momentum:
            raise ValueError("momentum belongs to optimizer='sgd'; leave it at 0 with 'adam'.")
        if self.clip is not None:
            in_range("clip", self.clip, 0.0, float("inf"), open_low=True)

    @property
    def inner(self) -> InnerOptimizer:
        """The update rule."""
        rule: InnerOptimizer = GradientDescent(self.lr, self.momentum, self.weight_decay)
        if self.optimizer == "adam":
            rule = Adam(self.lr, weight_decay=self.weight_decay)
        return rule if self.clip is None else Clipped(rule, self.clip)


def check_training(training: object) -> None:
    """Raise a TypeError unless ``training`` is a :class:`Training`."""
    if not isinstance(training, Training):
        raise TypeError(f"training must be a Training such as Training(), found {training!r}.")


NODES = Training(steps=100, lr=0.1, momentum=0.9)
"""Settings of the surrogates of Metattack (Zügner and Günnemann 2019)."""
INTERACTIONS = Training(steps=50, lr=0.05, optimizer="adam")
"""Settings of recommenders, both surrogates and victims; the thesis does not give settings."""
