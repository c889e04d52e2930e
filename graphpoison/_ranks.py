"""Processes (ranks) that share the work of one attack, and their communication."""

import os
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ._mailbox import Bytes, Mailbox

T = TypeVar("T")


class RankError(RuntimeError):
    """Another process of the same attack has ended, or disagrees with this process."""


def _gone() -> BaseException:
    return RankError(
        "another process of this attack has ended or cannot be reached; read the output of that "
        "process for the reason."
    )


@dataclass(frozen=True)
class Ranks:
    """The number of this process among the ``size`` processes that share the work of one attack.
    ``Ranks()`` is a single process.

    All processes must call the same methods in the same order. A single process sends nothing.

    Args:
        rank: the number of this process, from 0 on.
        size: number of processes.
        group: the process group of ``torch.distributed``; None for the default group.
        gone: returns the error to raise if another process cannot be reached.
        mailbox: sends tensors on a CPU through shared memory; None to send all by the group.
    """

    rank: int = 0
    size: int = 1
    group: Any = field(default=None, repr=False)
    gone: Callable[[], BaseException] = field(default=_gone, repr=False)
    mailbox: "Mailbox | None" = field(default=None, repr=False, compare=False)

    @classmethod
    def of_group(cls, group: Any = None) -> "Ranks":
        """The processes of ``group``, by default of the default group of ``torch.distributed``.

        All processes of ``group`` must call this. Processes of one machine share memory.

        Raises:
            ValueError: there is no process group, or this process is not in ``group``.
        """
        from torch import distributed as dist

        if not (dist.is_available() and dist.is_initialized()):
            raise ValueError(
                "Ranks.of_group needs a process group: call torch.distributed.init_process_group "
                "in every process first, or leave the ranks out."
            )
        from ._mailbox import mailbox_of

        rank = dist.get_rank(group)
        if rank < 0:
            raise ValueError("this process is not in group; only its members share the attack.")
        return cls(rank, dist.get_world_size(group), group, mailbox=mailbox_of(group))

    @property
    def first(self) -> bool:
        """Whether this is the process that reads checkpoints, writes and reports."""
        return self.rank == 0

    def gather(self, own: "Tensor", counts: Sequence[int]) -> "Tensor":
        """Concatenates ``own`` [counts[rank], ...] of all ranks, in order: [sum(counts), ...].

        Raises:
            RankError: another process cannot be reached.
        """
        if self.size == 1:
            return own
        whole = own.new_empty(sum(counts), *own.shape[1:])
        lengths = (
            [count * whole[:1].numel() for count in counts] if whole.numel() else [0] * self.size
        )
        into = whole.view(-1).split(lengths)
        self._send(own.reshape(-1), [[(0, length)] * self.size for length in lengths], into)
        return whole

    def exchange(self, own: "Tensor", counts: Sequence[Sequence[int]]) -> "list[Tensor]":
        """Each rank s sends ``counts[s][r]`` numbers to each rank r.

        Args:
            own: the numbers that this rank sends [sum(counts[rank])], in the order of the ranks.
            counts: the same for all ranks.

        Returns:
            For each rank s the numbers [counts[s][rank]] that it sends to this rank.

        Raises:
            RankError: another process cannot be reached.
        """
        ends = [[0, *accumulate(count)] for count in counts]
        into = [own.new_empty(count[self.rank]) for count in counts]
        self._send(own, [list(pairwise(end)) for end in ends], into)
        return into

    def _send(
        self,
        own: "Tensor",
        cuts: Sequence[Sequence[tuple[int, int]]],
        into: "Sequence[Tensor]",
    ) -> None:
        """Send numbers ``slice(*cuts[rank][r])`` of ``own`` to each rank r, and write the numbers
        from each rank s to ``into[s]``."""
        own = own.detach().contiguous()
        try:
            if self.mailbox is None or own.is_cuda:
                self._send_by_group(own, cuts[self.rank], into)
                return
            width = own.element_size()
            lengths = [width * max(stop for _, stop in each) for each in cuts]
            wanted = [
                (width * each[self.rank][0], width * each[self.rank][1], _bytes(part))
                for each, part in zip(cuts, into, strict=True)
            ]
            self.mailbox.exchange(_bytes(own), lengths, wanted)
        except (RuntimeError, ConnectionError) as error:
            raise self.gone() from error

    def _send_by_group(
        self, own: "Tensor", cuts: Sequence[tuple[int, int]], into: "Sequence[Tensor]"
    ) -> None:
        from torch import distributed as dist

        parts = [own[slice(*cut)] for cut in cuts]
        into[self.rank].copy_(parts[self.rank])
        others = [rank for rank in range(self.size) if rank != self.rank]
        sent = [(dist.isend, parts[rank], rank) for rank in others if parts[rank].numel()]
        received = [(dist.irecv, into[rank], rank) for rank in others if into[rank].numel()]
        sending = [
            dist.P2POp(kind, tensor, self._in_world(rank), self.group)
            for kind, tensor, rank in (*sent, *received)
        ]
        for work in dist.batch_isend_irecv(sending) if sending else ():
            work.wait()

    def share(self, work: Callable[[], T]) -> T:
        """Runs ``work`` on the first rank; every rank returns its result, or raises its error."""
        if self.size == 1:
            return work()
        if not self.first:
            received: tuple[T, Exception | None] = pickle.loads(self._sent_by_first(b""))
            if received[1] is not None:
                raise received[1]
            return received[0]
        try:
            result = work()
        except Exception as error:
            self._sent_by_first(_pickled(None, error))
            raise
        self._sent_by_first(_pickled(result, None))
        return result

    def in_turn(self, work: Callable[[], T]) -> T:
        """Runs ``work`` on the first rank, and then on the others, which may read its files."""
        if not self.first:
            self.share(lambda: None)
            return work()
        result = work()
        self.share(lambda: None)
        return result

    def mapped(self, work: Callable[[], T]) -> T:
        """Runs ``work`` on the first rank. The ranks of one machine share the memory of the tensors
        in its result, through a temporary file (in ``TMPDIR``) that all of them map.

        The result must be one that :func:`torch.save` takes, such as a graph or a task. Ranks
        without shared memory run ``work`` :meth:`in_turn`.
        """
        if self.mailbox is None:
            return self.in_turn(work)
        import torch

        def write() -> str:
            number, path = tempfile.mkstemp(prefix="graphpoison-", suffix=".pt")
            os.close(number)
            try:
                torch.save(work(), path)
            except BaseException:
                os.unlink(path)
                raise
            return path

        path = self.share(write)
        try:
            found: T = torch.load(path, mmap=True, weights_only=False)
        finally:
            self.any(False, torch.device("cpu"))  # all ranks have mapped it
            if self.first:
                os.unlink(path)
        return found

    def any(self, own: bool, device: "torch.device") -> bool:
        """Whether ``own`` is true on at least one rank."""
        if self.size == 1:
            return own
        import torch

        number = torch.tensor([int(own)], device=device)
        return bool(self.gather(number, [1] * self.size).any())

    def agree(self, what: str, device: "torch.device", *parts: "Tensor | str") -> None:
        """Raise a :class:`RankError` unless the ``parts`` of ``what`` have the same bits on every
        rank."""
        if self.size == 1:
            return
        import torch

        from ._settings import digest

        number = torch.tensor([int(digest(*parts, digits=15), 16)], device=device)
        numbers = self.gather(number, [1] * self.size).tolist()
        others = [str(rank) for rank, each in enumerate(numbers) if each != numbers[0]]
        if others:
            raise RankError(
                f"the processes of this attack disagree: {what} differ between rank 0 and rank "
                f"{', '.join(others)}. All processes need the same input, arguments, versions, "
                "number of threads and kind of processor."
            )

    def _in_world(self, rank: int) -> int:
        """The number of ``rank`` among all processes; the group may have only some of them."""
        from torch import distributed as dist

        return rank if self.group is None else dist.get_global_rank(self.group, rank)

    def _sent_by_first(self, content: bytes) -> bytes:
        from torch import distributed as dist

        held = [content]
        try:
            dist.broadcast_object_list(held, src=self._in_world(0), group=self.group)
        except RuntimeError as error:
            raise self.gone() from error
        return held[0]


ALONE = Ranks()
"""The ranks of a single process."""


def _bytes(numbers: "Tensor") -> "Bytes":
    """``numbers``, a contiguous Tensor [n], as bytes of the same memory."""
    import torch

    return (numbers if numbers.numel() else numbers.new_empty(1)[:0]).view(torch.uint8).numpy()


def _pickled(result: Any, error: Exception | None) -> bytes:
    try:
        content = pickle.dumps((result, error))
        pickle.loads(content)  # some exceptions can be pickled but not unpickled
        return content
    except Exception:
        return pickle.dumps((None, RankError(f"rank 0: {error}")))
