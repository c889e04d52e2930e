"""Files that are whole or not there, and that one process at a time makes."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # on Windows nothing is locked
    fcntl = None  # type: ignore[assignment]


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that takes the name ``path`` only once it is completely written."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def locked(path: str | os.PathLike[str] | None) -> Iterator[None]:
    """Hold the lock of the file ``path``, which need not be there yet; None holds nothing.

    The lock is a file beside it, which goes with the process that holds it. Where the file system
    knows no locks, nothing is locked.

    Raises:
        ValueError: another process holds it.
    """
    if path is None or fcntl is None:
        yield
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(f".{target.name}.lock")
    handle = _lock(lock, target)
    try:
        yield
    finally:
        if handle is not None:
            lock.unlink(missing_ok=True)
            os.close(handle)


def _lock(lock: Path, target: Path) -> int | None:
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            return None  # nothing can be written there, but a finished file can be read
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), lock.stat()):
                return handle
        except FileNotFoundError:
            pass
        except BlockingIOError as error:
            os.close(handle)
            raise ValueError(
                f"{target} is in use by another process, which will write to it; wait for its end, "
                "or name another file."
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                os.close(handle)
                raise
            os.close(handle)
            lock.unlink(missing_ok=True)
            return None
        os.close(handle)  # the process before has removed the file since it was opened


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
