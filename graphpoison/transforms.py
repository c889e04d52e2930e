"""A perturbation as a PyG transform."""

import os
from typing import Any

from torch_geometric.transforms import BaseTransform

from ._text import counted
from .budget import Budget
from .perturbation import Perturbation


class ApplyPerturbation(BaseTransform):
    """Poison the graph: ``T.Compose([ApplyPerturbation("run.npz"), T.NormalizeFeatures()])``.

    The flips name nodes by number, so apply transforms that add, remove or renumber nodes before
    this one, as before the attack. The input is not changed; the result is a new graph.

    Args:
        perturbation: the result of an attack, or the path of its file, which is read at once.
        budget: apply only the first ``budget`` flips; a float is a share of the clean edges (not of
            the flips). None for all.

    Raises:
        TypeError: ``perturbation`` is neither a :class:`~graphpoison.Perturbation` nor a path.
        ValueError: the file is no saved perturbation, or ``budget`` exceeds its flips; when called:
            the flips do not fit the graph.
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
