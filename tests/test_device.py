"""The device follows the data, and the numbers do not depend on it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import citation_graph, interaction_graph
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import graphpoison as gp

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
SETTINGS = [
    gp.Training(steps=8, lr=0.1, momentum=0.9),
    gp.Training(steps=8, lr=0.05, optimizer="adam"),
    gp.Training(steps=8, lr=0.5, clip=0.01),
]
RECOMMENDERS = [
    gp.CF(4),
    gp.CF(4, dropout=0.2),
    gp.GMF(4),
    gp.GMF(4, (3,)),
    gp.NeuMF(4, (3,)),
    gp.LightGCN(4),
]


@needs_cuda
@pytest.mark.parametrize("training", SETTINGS)
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
def test_node_classification_gives_the_same_on_cuda(surrogate: str, training: gp.Training) -> None:
    data = citation_graph(num_nodes=40)
    here = gp.NodeClassification(data, surrogate)
    there = gp.NodeClassification(data.clone().to("cuda"), surrogate)
    found = gp.Unrolled()(there, training).values
    assert found.is_cuda
    torch.testing.assert_close(
        found.cpu(), gp.Unrolled()(here, training).values, rtol=1e-7, atol=1e-12
    )
    attack = gp.MetaAttack(training, constraints=[gp.NoSingletons()])
    assert torch.equal(attack(here, 8).pairs, attack(there, 8).pairs)


@needs_cuda
@pytest.mark.parametrize("training", SETTINGS)
@pytest.mark.parametrize("loss", ["log", "bpr", "softmax"])
@pytest.mark.parametrize("surrogate", RECOMMENDERS)
def test_recommendation_gives_the_same_on_cuda(
    surrogate: gp.Recommender, loss: str, training: gp.Training
) -> None:
    data = interaction_graph(20, 30, positives=150, negatives=150)
    here, there = (
        gp.Recommendation(graph, surrogate, loss=loss, dtype=torch.float64)
        for graph in (data, data.clone().to("cuda"))
    )
    torch.testing.assert_close(
        gp.Unrolled()(there, training).values.cpu(),
        gp.Unrolled()(here, training).values,
        rtol=1e-7,
        atol=1e-12,
    )
    attack = gp.MetaAttack(training, flips_per_step=3)
    assert torch.equal(attack(here, 9).pairs, attack(there, 9).pairs)


@needs_cuda
def test_random_flips_and_evaluation_on_cuda() -> None:
    for data, make in (
        (interaction_graph(), gp.Recommendation),
        (citation_graph(num_nodes=30, dtype=torch.float32), gp.NodeClassification),
    ):
        data = data.to("cuda")
        flips = gp.RandomAttack(allow_removals=True)(make(data), 5)
        poisoned = flips.apply(data)
        assert all(store.edge_index.is_cuda for store in poisoned.stores if "edge_index" in store)
        assert len(gp.evaluate(data, flips, seeds=[0]).table)


class Waiting(TorchDispatchMode):
    """Counts the operations for which a host has to wait for its GPU.

    Reading a number is one, unless it counts steps: optimisers keep these on the host.
    """

    NAMES = ("nonzero", "unique", "masked_select", "repeat_interleave", "equal", "is_nonzero")

    STEPS = range(10)

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.__name__
        self.count += any(part in name for part in self.NAMES)
        if name.startswith("index") and len(args) > 1 and isinstance(args[1], list | tuple):
            masks = [part for part in args[1] if isinstance(part, Tensor)]
            self.count += any(mask.dtype == torch.bool for mask in masks)
        if name.startswith("_local_scalar_dense"):
            self.count += result not in self.STEPS
        return result


@pytest.mark.parametrize("training", SETTINGS)
@pytest.mark.parametrize(
    "surrogate",
    [
        "linear-gcn",
        "relu-gcn",
        gp.CF(4),
        gp.GMF(4),
        gp.GMF(4, (3,)),
        gp.MLP(4, (3,)),
        gp.NeuMF(4, (3,)),
    ],
)
def test_no_step_of_training_waits_for_the_device(
    surrogate: str | gp.Recommender, training: gp.Training
) -> None:
    """Seen on a CPU: the operations that a GPU would have to be waited for do not grow with T."""
    task: gp.Task = (
        gp.NodeClassification(citation_graph(), surrogate, "train")
        if isinstance(surrogate, str)
        else gp.Recommendation(interaction_graph(), surrogate, dtype=torch.float64)
    )

    def waits(steps: int) -> int:
        with Waiting() as mode:
            gp.Unrolled()(task, dataclasses.replace(training, steps=steps))
        return mode.count

    waits(1)  # patterns remember what they derive
    assert waits(9) == waits(2)
