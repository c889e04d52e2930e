"""A command in several processes started by torchrun: one prints, all exit with the same code.

The process group is made and destroyed here. A process that ends early writes the reason to the
store of torchrun and leaves the group, so that the other processes do not wait for it. The other
processes read the reason and end with the same exit code; the first process prints the message.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from typing import Any

from .._ranks import ALONE, RankError, Ranks
from .._signals import ENDING, Terminated

PATIENCE = 10.0
"""Seconds to wait for the message of another process, and until all processes have read it."""
INTERRUPTS = range(128, 160)
"""Exit codes of processes that a signal has ended."""
_ENDING, _LEFT = "graphpoison/ending", "graphpoison/left"


@dataclass(frozen=True)
class Ending:
    """Why a process ends.

    Args:
        rank: the rank of the process.
        code: the exit code of the process.
        text: the message of the process.
    """

    rank: int
    code: int
    text: str


@dataclass(frozen=True, eq=False)
class Processes:
    """The processes of one command; by default only this process.

    Args:
        ranks: the rank of this process and the number of processes.
        store: the store of torchrun, through which processes exchange messages; None for one
            process.
    """

    ranks: Ranks = ALONE
    store: Any = None

    def end(self, code: int, text: str) -> tuple[int, str]:
        """Record that this process ends with ``code`` and ``text``, and leave the group. Returns
        the code and the text for all processes: the ones that the first process recorded."""
        if self.store is None:
            return code, text
        note = json.dumps([self.ranks.rank, code, text])
        first = Ending(*json.loads(self.store.compare_set(_ENDING, "", note)))
        _destroy()
        if code in INTERRUPTS and first.code in INTERRUPTS:
            return first.code, text  # the text of the process that saved the flips
        return first.code, first.text

    def leave(self) -> None:
        """Wait until every process has called this method, because torchrun ends all processes as
        soon as one has ended. Signals are ignored from here on: this process ends by itself, with
        its own exit code."""
        if self.store is None:
            return
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        self.store.add(_LEFT, 1)
        _until(lambda: self.store.add(_LEFT, 0) >= self.ranks.size)

    def gone(self) -> BaseException:
        """Return the error to raise if another process cannot be reached: the error that the other
        process has recorded, or a :class:`.RankError`."""
        with suppress(KeyboardInterrupt):  # torchrun ends the others when one has died
            _until(lambda: self.store.check([_ENDING]))
        if not self.store.check([_ENDING]):
            return RankError(
                "another process of this command has died without a message: it was killed, or "
                "memory ran out."
            )
        ending = Ending(*json.loads(self.store.get(_ENDING)))
        if ending.code not in INTERRUPTS:
            return RankError(ending.text)
        number = ending.code - 128
        return KeyboardInterrupt() if number == 2 else Terminated(number)


@contextmanager
def processes() -> Iterator[Processes]:
    """Make the processes of this command a group of ``torch.distributed`` until the block ends."""
    if not started_by_torchrun():
        yield Processes()
        return
    import torch
    from torch import distributed as dist

    store, rank, size = next(dist.rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    found = Processes(Ranks(rank, size), store)
    try:
        yield replace(found, ranks=replace(found.ranks, gone=found.gone))
    finally:
        _destroy()


@contextmanager
def one_voice() -> Iterator[None]:
    """In this block, only the first process prints."""
    with ExitStack() as silent:
        if started_by_torchrun() and os.environ["RANK"] != "0":
            nowhere = silent.enter_context(open(os.devnull, "w"))
            silent.enter_context(redirect_stdout(nowhere))
            silent.enter_context(redirect_stderr(nowhere))
        yield


def started_by_torchrun() -> bool:
    """Whether torchrun has started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1


def device_of(device: str, ranks: Ranks) -> str:
    """Return the device of this process: each process uses a different GPU.

    Raises:
        ValueError: there are fewer GPUs than processes, or ``device`` is one GPU for all processes.
    """
    if ranks.size == 1 or not device.startswith("cuda"):
        return device
    import torch

    own, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if device != "cuda":
        raise ValueError(f"device={device!r} is one GPU for all processes; use --device cuda.")
    if own >= count:
        raise ValueError(
            f"device='cuda' needs a GPU for each process, and this machine has {count} for "
            f"{os.environ['LOCAL_WORLD_SIZE']} processes."
        )
    return f"cuda:{own}"


def _until(done: Any) -> None:
    """Wait until ``done()`` is true, for at most :data:`PATIENCE` seconds."""
    end = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < end:
        time.sleep(0.02)


def _destroy() -> None:
    from torch import distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()
