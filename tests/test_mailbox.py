"""Messages through shared memory arrive whole, at any length, and a dead process is noticed."""

import mmap
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphpoison import _mailbox
from graphpoison._mailbox import Mailbox, Peer
from graphpoison._ranks import RankError, Ranks

SLOT = 16

needs_linux = pytest.mark.skipif(Peer.this().home is None, reason="no shared memory here")


def ranks_of(size: int, peers: list[Peer] | None = None) -> list[Ranks]:
    """Ranks in threads of this process, with slots of 16 bytes."""
    memory = mmap.mmap(-1, Mailbox.num_bytes(size, SLOT))
    peers = peers or [Peer.this()] * size
    return [Ranks(rank, size, mailbox=Mailbox(rank, peers, memory, SLOT)) for rank in range(size)]


@needs_linux
@settings(deadline=None, max_examples=30)
@given(st.integers(2, 4), st.lists(st.integers(0, 23), min_size=16, max_size=16), st.booleans())
def test_messages_arrive(size: int, lengths: list[int], double: bool) -> None:
    dtype = torch.float64 if double else torch.int32
    counts = [lengths[4 * s : 4 * s + size] for s in range(size)]

    def numbers(sender: int, receiver: int, turn: int) -> torch.Tensor:
        start = 1000 * (10 * sender + receiver) + 100 * turn
        return torch.arange(start, start + counts[sender][receiver]).to(dtype)

    def job(ranks: Ranks) -> None:
        own = ranks.rank
        for turn in range(3):
            sent = torch.cat([numbers(own, other, turn) for other in range(size)])
            received = ranks.exchange(sent, counts)
            for sender, found in enumerate(received):
                assert torch.equal(found, numbers(sender, own, turn))
            rows = [count[0] for count in counts]
            whole = ranks.gather(numbers(own, 0, turn).unsqueeze(1).expand(-1, 2), rows)
            parts = [numbers(sender, 0, turn) for sender in range(size)]
            assert torch.equal(whole, torch.cat(parts).unsqueeze(1).expand(-1, 2))

    with ThreadPoolExecutor(size) as pool:
        for done in [pool.submit(job, ranks) for ranks in ranks_of(size)]:
            done.result()


@needs_linux
def test_a_slow_receiver_loses_nothing() -> None:
    """The sender is two messages ahead at most."""
    fast, slow = ranks_of(2)
    found, gate = [], threading.Event()

    def job() -> None:
        for _ in range(20):
            gate.wait(0.005)
            found.append(slow.gather(torch.zeros(0), [3, 0]).tolist())

    thread = threading.Thread(target=job)
    thread.start()
    for turn in range(20):
        fast.gather(torch.full((3,), float(turn)), [3, 0])
    thread.join()
    assert found == [[float(turn)] * 3 for turn in range(20)]


@needs_linux
def test_a_process_that_has_ended_is_noticed() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = _mailbox._stat(child.pid)[1]
    peer = Peer(child.pid, started, Peer.this().home)
    assert peer.alive
    assert not replace(peer, start=started + 1).alive  # another process with the same number
    child.communicate(b"\n")
    assert not peer.alive
    first, _ = ranks_of(2, [Peer.this(), peer])
    with pytest.raises(RankError, match="another process of this attack has ended"):
        first.gather(torch.zeros(1), [1, 1])


def test_other_processors_use_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mailbox.platform, "machine", lambda: "aarch64")
    assert Peer.this().home is None


@needs_linux
def test_too_little_memory_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    before = set(Path("/dev/shm").glob("graphpoison-*"))
    assert _mailbox._mapped("/dev/shm/graphpoison-none", 64) is None
    monkeypatch.setattr(_mailbox.os, "posix_fallocate", full)
    assert _mailbox._new_file(64) is None
    assert set(Path("/dev/shm").glob("graphpoison-*")) <= before
