"""``max_memory``: a limit that is enforced, and the estimate that goes with it."""

import sys
from pathlib import Path

import pytest
import torch
from conftest import citation_graph, interaction_graph

import graphpoison as gp
from graphpoison._memory import limited, num_bytes
from graphpoison.attacks.base import Proposal
from graphpoison.graphs import PairState

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, 5), ("5", 5), ("2GB", 2 * 10**9), ("1.5 MiB", 3 * 2**19), ("4 kb", 4000)],
)
def test_sizes(value: int | str, expected: int) -> None:
    assert num_bytes("max_memory", value) == expected


@pytest.mark.parametrize("value", ["", "GB", "2 apples", "-1", 0, "0GB", -5])
def test_no_sizes(value: object) -> None:
    with pytest.raises(ValueError, match="max_memory must be a positive number of bytes"):
        num_bytes("max_memory", value)


@pytest.mark.parametrize("value", [True, 1.5, [2]])
def test_sizes_of_the_wrong_type(value: object) -> None:
    with pytest.raises(TypeError, match="max_memory must be"):
        num_bytes("max_memory", value)


@linux
def test_an_allocation_beyond_the_limit_fails_and_the_limit_ends() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    with (
        pytest.raises(MemoryError, match=r"max_memory='8GB' does not suffice.*gp.estimate says"),
        limited("8GB", CPU),
    ):
        torch.empty(3 * 10**9)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert torch.empty(3 * 10**9).numel()  # is not touched


@linux
def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot"), limited("8GB", CPU):
        torch.ones(2, 3) @ torch.ones(2, 3)


@linux
def test_too_little_for_the_process_itself() -> None:
    task = gp.NodeClassification(citation_graph())
    with pytest.raises(ValueError, match=r"max_memory must exceed the .* MB that are in use"):
        gp.metattack()(task, 1, max_memory="1MB")


class Hungry(gp.RandomAttack):
    """Asks for 16 GB after its first flip."""

    def propose(
        self, task: gp.Task, state: PairState, limit: int, seed: int, step: int
    ) -> Proposal:
        proposal = super().propose(task, state, 1, seed, step)
        torch.empty(4 * 10**9 if step else 1)
        return proposal


@linux
def test_flips_so_far_are_kept(tmp_path: Path) -> None:
    task = gp.Recommendation(interaction_graph())
    with pytest.raises(MemoryError, match="does not suffice"):
        Hungry()(task, 3, checkpoint=tmp_path / "flips.npz", max_memory="8GB")
    assert len(gp.Perturbation.load(tmp_path / "flips.npz")) == 1


@linux
@pytest.mark.parametrize("attack", [gp.RandomAttack(), gp.NewUsers(2, gp.RandomAttack())])
def test_enough_memory_changes_nothing(attack: gp.Attack) -> None:
    task = gp.Recommendation(interaction_graph())
    limit = "8GB"
    assert torch.equal(attack(task, 3, max_memory=limit).pairs, attack(task, 3).pairs)
    assert gp.estimate(attack, task, 3, max_memory=limit).bytes
