"""A trained victim with checks of its predictions.

A wrong shape or a NaN raises an error; otherwise it would be measured like a prediction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..graphs import Graph, Interactions
from ..victims import FittedRecommender, VictimLike
from ..victims.base import scores_of_pairs


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained victim: its ``name``, the fitted ``model``, and the training ``graph``."""

    name: str
    model: Any
    graph: Graph

    def logits(self) -> Tensor:
        """Logits [N, C] of all nodes, from the model's ``logits()``.

        Raises:
            TypeError: the logits are no Tensor.
            ValueError: the logits have another shape, or are NaN.
        """
        nodes = self.graph.shape[0]
        found = self._tensor("logits()", self.model.logits())
        if found.dim() != 2 or found.size(0) != nodes:
            raise ValueError(
                f"logits() of victim {self.name!r} must be [N, C] with a row for each of {nodes} "
                f"nodes, found shape {tuple(found.shape)}."
            )
        wrong = int(found.isnan().any(dim=1).sum())
        if wrong:
            raise ValueError(f"logits() of victim {self.name!r} is NaN for {wrong} nodes.")
        return found

    def pairs(self, index: Tensor) -> Tensor:
        """Scores [K] of the pairs (user, item) ``index`` [2, K], from the model's own ``pairs`` if
        there is one, else from its ``scores``.

        Raises:
            TypeError: the scores are no Tensor.
            ValueError: the scores have another shape, or are not finite.
        """
        with torch.no_grad():
            if self.scores_pairs:
                found = self._tensor("pairs(index)", self.model.pairs(index))
            else:
                found = scores_of_pairs(self.scores, index)
        if found.shape != index.shape[1:]:
            raise ValueError(
                f"pairs(index) of victim {self.name!r} must be [{index.size(1)}], a score for each "
                f"pair, found shape {tuple(found.shape)}."
            )
        wrong = found.numel() - int(found.isfinite().sum())
        if wrong:
            raise ValueError(
                f"victim {self.name!r} has {wrong} scores that are not finite among "
                f"{found.numel()} pairs; score all items, also items that a user has seen."
            )
        return found

    @property
    def scores_pairs(self) -> bool:
        """Whether the model defines its own method ``pairs``."""
        own = getattr(self.model, "pairs", None)
        return own is not None and getattr(own, "__func__", None) is not FittedRecommender.pairs

    def blocks(self, users: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of ``size`` of the ``users`` [U'], with floating-point scores for all items.

        The scores come from the model's own ``scores`` if there is one, else from its ``pairs``.

        Raises:
            TypeError: the scores are no Tensor.
            ValueError: the scores have another shape.
        """
        for batch in users.split(size) if users.numel() else ():
            with torch.no_grad():
                found = self._block(batch)
            yield batch, found if found.is_floating_point() else found.double()

    def _block(self, users: Tensor) -> Tensor:
        if callable(getattr(self.model, "scores", None)):
            return self.scores(users)
        items = self.graph.shape[1]
        every = torch.arange(items, device=users.device)
        grid = torch.stack([users.repeat_interleave(items), every.repeat(users.numel())])
        return self.pairs(grid).view(users.numel(), items)

    def scores(self, users: Tensor) -> Tensor:
        """Scores [U', I] of ``users`` [U'] for all items."""
        found = self._tensor("scores(users)", self.model.scores(users))
        shape = users.numel(), self.graph.shape[1]
        if tuple(found.shape) != shape:
            raise ValueError(
                f"scores(users) of victim {self.name!r} must be [{shape[0]}, {shape[1]}], a row "
                f"for each user and a column for each item, found shape {tuple(found.shape)}."
            )
        return found

    def _tensor(self, method: str, found: object) -> Tensor:
        if not isinstance(found, Tensor):
            raise TypeError(
                f"{method} of victim {self.name!r} must return a Tensor, found "
                f"{type(found).__name__}; convert an array by torch.as_tensor."
            )
        return found


def fitted(victim: VictimLike, graph: Graph, seed: int) -> Fitted:
    """``victim`` trained on ``graph``.

    Raises:
        TypeError: the object that ``victim.fit`` returns has no method for predictions.
    """
    try:
        model = victim.fit(graph, seed)
    except Exception as error:
        error.add_note(
            f"Victim {victim.name!r} was trained on {type(graph).__name__}, seed {seed}."
        )
        raise
    of_pairs = isinstance(graph, Interactions)
    methods = ("pairs", "scores") if of_pairs else ("logits",)
    if not any(callable(getattr(model, name, None)) for name in methods):
        wanted = "scores(users)" if of_pairs else "logits()"
        base = "FittedRecommender" if of_pairs else "FittedNodes"
        raise TypeError(
            f"fit of victim {victim.name!r} must return an object with {wanted}, such as a "
            f"graphpoison.{base}, found {type(model).__name__}."
        )
    return Fitted(victim.name, model, graph)
