"""Memory of the process or of a CUDA device: its peak so far, and a limit within a block."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_REFUSED = ("can't allocate memory", "out of memory", "bad_alloc", "Unable to allocate")


def num_bytes(name: str, value: Any) -> int:
    """A number of bytes from an integer or from text such as ``"2GB"`` or ``"512 MiB"``.

    Raises:
        TypeError: ``value`` is neither an integer nor text.
        ValueError: the text is not a size, or the number is not positive.
    """
    example = f'{name} must be a positive number of bytes or text such as "2GB", found {value!r}.'
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(example)
    text = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(value))
    if text is None or text[2].upper() not in UNITS:
        raise ValueError(example)
    found = int(float(text[1]) * UNITS[text[2].upper()])
    if found <= 0:
        raise ValueError(example)
    return found


def peak_bytes(device: torch.device) -> int | None:
    """Peak memory so far, in bytes, of the process or of a CUDA ``device``; None if not known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():  # ru_maxrss starts from the memory of the parent process
        return _status("VmHWM")
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak(device: torch.device) -> None:
    """Have :func:`peak_bytes` begin anew, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        _CLEAR.write_text("5")  # the peak of resident memory, see proc(5)


@contextmanager
def limited(max_memory: int | str | None, device: torch.device) -> Iterator[None]:
    """Limit the memory of the process, or of a CUDA ``device``, to ``max_memory`` bytes in this
    block; None sets no limit.

    An allocation beyond the limit fails at once, before the system runs out of memory. The limit
    covers the whole process, so only one attack may run in it. Linux counts allocated memory, used
    or not, and the stacks of threads; temporary files do not count. A refused allocation in a
    thread of a compiled library may end the process.

    Raises:
        TypeError: ``max_memory`` is neither an integer nor text.
        ValueError: ``max_memory`` is not a size, does not exceed the memory in use, or cannot be
            enforced on this system.
        MemoryError: the block needs more memory.
    """
    if max_memory is None:
        yield
        return
    limit = num_bytes("max_memory", max_memory)
    enforced = _of_device(limit, device) if device.type == "cuda" else _of_process(limit)
    with enforced:
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            text = str(error)
            refused = isinstance(error, MemoryError) or any(words in text for words in _REFUSED)
            if not refused or text.startswith("max_memory="):  # raised by a nested limit
                raise
            raise MemoryError(
                f"max_memory={max_memory!r} does not suffice: {' '.join(text.split())[:200]} "
                "Allow more, or choose a smaller surrogate, fewer candidates or fewer training "
                "steps; gp.estimate says how much an attack takes."
            ) from error


@contextmanager
def _of_process(limit: int) -> Iterator[None]:
    if sys.platform != "linux":
        raise ValueError("max_memory can be enforced on Linux and on CUDA only; leave it out.")
    import resource

    torch.zeros(2**17).add_(1.0)  # starts the threads of torch, whose stacks count
    used = _status("VmRSS")
    _refuse_small(limit, used)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    room = _status("VmData") + limit - used
    allowed = [min(room, 2**60)] + [bound for bound in before if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(allowed), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@contextmanager
def _of_device(limit: int, device: torch.device) -> Iterator[None]:
    _refuse_small(limit, torch.cuda.memory_reserved(device))
    total = torch.cuda.get_device_properties(device).total_memory
    known = getattr(torch.cuda, "get_per_process_memory_fraction", lambda _: 1.0)(device)
    torch.cuda.set_per_process_memory_fraction(min(known, limit / total), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(known, device)


def _refuse_small(limit: int, used: int) -> None:
    if limit <= used:
        raise ValueError(
            f"max_memory must exceed the {used / 1e6:,.0f} MB that are in use before the attack, "
            f"found {limit / 1e6:,.0f} MB."
        )


def _status(name: str) -> int:
    """An entry of /proc/self/status, in bytes."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])
