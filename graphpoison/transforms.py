"""Perturbations as transforms, to stand among those of PyG."""

import os
from typing import Any

from torch_geometric.transforms import BaseTransform

from ._text import counted
from .budget import Budget
from .perturbation import Perturbation


class ApplyPerturbation(BaseTransform):
    """Poison the graph: ``T.Compose([ApplyPerturbation("run.npz"), T.NormalizeFeatures()])``.

    Transforms that add, remove or renumber nodes belong before it, as before the attack; the flips
    name nodes by number. A transform gives a new graph and leaves its input as it was.

    Args:
        perturbation: an attack's result, or the file that it was saved in, which is read at once.
        budget: the first flips alone: so many, or that share of the clean edges (not of the flips)
            if a float.

    Raises:
        TypeError: ``perturbation`` is neither.
        ValueError: the file is none, or there are fewer flips than ``budget``; at the call, the
            graph is another than the one attacked.
    """

    def __init__(
        self,
        perturbation: Perturbation | str | os.PathLike[str],
        budget: float | int | Budget | None = None,
    ) -> None:
        if isinstance(perturbation, str | os.PathLike):
            perturbation = Perturbation.load(perturbation)
        if not isinstance(perturbation, Perturbation):
            raise TypeError(
                "perturbation must be a Perturbation or the path of a saved one, found "
                f"{type(perturbation).__name__}."
            )
        self.perturbation = perturbation if budget is None else perturbation.prefix(budget)

    def forward(self, data: Any) -> Any:
        """``data`` poisoned, see :meth:`Perturbation.apply`."""
        return self.perturbation.apply(data)

    def __repr__(self) -> str:
        joined = self.perturbation.fake_users
        more = "" if joined is None else f", {counted(joined.count, 'fake user')}"
        return f"{type(self).__name__}({counted(len(self.perturbation), 'flip')}{more})"
