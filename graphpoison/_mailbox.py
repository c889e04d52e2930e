"""Messages between the processes of one machine, through memory that all of them map.

A message of a socket takes milliseconds between processes that compute in between, because the
threads of the receiver sleep and have to be woken. Here a receiver reads a counter until the
message is there.
"""

import mmap
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOT = 2**20
"""Bytes that a process writes before the others read. Longer messages take several turns."""

LINE = 64
"""Bytes of a cache line; each counter has one."""

SPIN_SECONDS, NAP_SECONDS, ALIVE_SECONDS = 0.005, 0.0001, 0.2

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Peer:
    """A process of this machine.

    Args:
        pid: its number.
        start: when it was started, in clock ticks after the boot.
        home: the boot and the namespace of process numbers; None if the machine cannot share memory
            in this way (only Linux on x86-64 can: its processors show writes in their order).
    """

    pid: int
    start: int
    home: str | None

    @classmethod
    def this(cls) -> "Peer":
        """The current process."""
        pid = os.getpid()
        if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
            return cls(pid, 0, None)
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return cls(pid, _stat(pid)[1], f"{boot} {os.readlink('/proc/self/ns/pid')}")
        except OSError:
            return cls(pid, 0, None)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        try:
            state, start = _stat(self.pid)
        except OSError:
            return False
        return start == self.start and state not in "ZX"


class Mailbox:
    r"""Messages of P processes; all of them must call :meth:`exchange` equally often.

    Every process owns a counter and two slots. To send, a process writes a slot and increments its
    counter; to receive, it waits for the counter of the sender and reads the slot. The next message
    uses the other slot. A process that writes message n has seen every counter at n - 1, so every
    process has read message n - 2 from the slot.

    Args:
        rank: the number of this process.
        peers: all processes, in the order of their numbers.
        memory: :meth:`num_bytes` bytes, zeros at first, which all processes map.
        slot: bytes of a slot.
    """

    def __init__(
        self, rank: int, peers: Sequence[Peer], memory: mmap.mmap, slot: int = SLOT
    ) -> None:
        size = len(peers)
        whole = np.frombuffer(memory, np.uint8)
        self.rank, self.peers, self.slot, self.count = rank, peers, slot, 0
        self.counters = whole[: LINE * size].view(np.int64)[:: LINE // 8]
        self.slots = whole[LINE * size :].reshape(size, 2, slot)

    @staticmethod
    def num_bytes(size: int, slot: int = SLOT) -> int:
        """Bytes of the memory of ``size`` processes."""
        return size * (LINE + 2 * slot)

    def exchange(
        self, own: Bytes, lengths: Sequence[int], wanted: Sequence[tuple[int, int, Bytes]]
    ) -> None:
        """Send ``own``, and receive parts of the messages of all processes.

        Args:
            own: the message of this process.
            lengths: bytes of the message of each process.
            wanted: for each process the first byte and the end of the wanted part of its message,
                and where to write this part.

        Raises:
            ConnectionError: another process has ended.
        """
        for low in range(0, max(lengths), self.slot):
            self.count += 1
            slot, part = self.count % 2, own[low : low + self.slot]
            self.slots[self.rank, slot, : len(part)] = part
            self.counters[self.rank] = self.count
            for rank, (start, stop, into) in enumerate(wanted):
                if rank != self.rank:
                    self._wait(rank)
                first, end = max(start, low), min(stop, low + self.slot)
                if first < end:
                    into[first - start : end - start] = self.slots[
                        rank, slot, first - low : end - low
                    ]

    def _wait(self, rank: int) -> None:
        counters, count = self.counters, self.count
        if counters[rank] >= count:
            return
        start = asked = time.perf_counter()
        while counters[rank] < count:
            now = time.perf_counter()
            if now - start < SPIN_SECONDS:
                os.sched_yield()
                continue
            time.sleep(NAP_SECONDS)
            if now - asked > ALIVE_SECONDS:
                asked = now
                if not self.peers[rank].alive and counters[rank] < count:
                    raise ConnectionError(f"process {self.peers[rank].pid} has ended.")


def mailbox_of(group: Any) -> Mailbox | None:
    """The mailbox of a process group of ``torch.distributed``; None unless it is a gloo group of
    several processes on one machine with enough shared memory. All processes must call it."""
    from torch import distributed as dist

    if dist.get_world_size(group) == 1 or dist.get_backend(group) != "gloo":
        return None
    rank, peers = dist.get_rank(group), _all(Peer.this(), group)
    if peers[0].home is None or any(peer.home != peers[0].home for peer in peers):
        return None
    size = Mailbox.num_bytes(len(peers))
    path = _all(_new_file(size) if rank == 0 else None, group)[0]
    memory = None if path is None else _mapped(path, size)
    complete = all(_all(memory is not None, group))
    if rank == 0 and path is not None:
        os.unlink(path)
    return Mailbox(rank, peers, memory) if complete and memory is not None else None


def _all(own: Any, group: Any) -> list[Any]:
    """``own`` of all processes."""
    from torch import distributed as dist

    found = [None] * dist.get_world_size(group)
    dist.all_gather_object(found, own, group)
    return found


def _new_file(size: int) -> str | None:
    """A file of ``size`` zeros in memory; None if there is too little."""
    try:
        number, path = tempfile.mkstemp(prefix="graphpoison-", dir="/dev/shm")
    except OSError:
        return None
    try:
        os.posix_fallocate(number, 0, size)
    except OSError:
        os.unlink(path)
        return None
    finally:
        os.close(number)
    return path


def _mapped(path: str, size: int) -> mmap.mmap | None:
    try:
        with open(path, "r+b") as file:
            return mmap.mmap(file.fileno(), size)
    except (OSError, ValueError):
        return None


def _stat(pid: int) -> tuple[str, int]:
    """The state of a process, and when it was started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])
