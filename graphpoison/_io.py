"""Atomic writes, and file locks: one process at a time writes a file, completely or not at all."""

import errno
import glob
import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # on Windows nothing is locked
    fcntl = None  # type: ignore[assignment]


LARGEST = 4 * 2**30
LONGEST = 200
"""Largest number of characters of a file's name in the names of its temporary and lock files."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that is renamed to ``path`` once it is completely written.

    A symbolic link is kept, and its target is replaced. A file keeps its mode. If ``path`` is a
    device (``/dev/null``), the content is copied to it.

    Raises:
        ValueError: ``path`` is a folder, a pipe or a socket.
        OSError: the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    device = target.is_char_device()
    refuse_special(path, device=True)
    folder = Path(tempfile.gettempdir()) if device else target.parent
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=_beside(target, "."), suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        if device:
            with open(name, "rb") as file, open(target, "wb") as out:
                shutil.copyfileobj(file, out)
            os.unlink(name)
            return
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def refuse_special(path: str | os.PathLike[str], device: bool = False) -> None:
    """Raise a ValueError if ``path`` exists and is not a regular file: a folder, a pipe, a socket
    or, unless ``device`` is True, a device."""
    place = Path(path)
    if not place.exists() or place.is_file() or (device and place.is_char_device()):
        return
    kind = "a folder" if place.is_dir() else "a pipe" if place.is_fifo() else "a device or socket"
    raise ValueError(f"{os.fspath(path)} is {kind}; name a file.")


def refuse_large(file: IO[bytes], wanted: Callable[[str], bool]) -> None:
    """Raise a ValueError if the ``wanted`` members of a zip archive declare too many bytes: more
    than :data:`LARGEST` and more than 100 times the size of the file."""
    with zipfile.ZipFile(file) as archive:
        size = sum(info.file_size for info in archive.infolist() if wanted(info.filename))
    packed = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > max(LARGEST, 100 * packed):
        raise ValueError(f"it declares {size / 1e9:,.1f} GB in a file of {packed / 1e9:,.1f} GB")


def _beside(target: Path, suffix: str) -> str:
    """The name of a hidden file beside ``target``, short enough for the file system."""
    name = target.name
    if len(name) > LONGEST:
        name = f"{name[:LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f".{name}{suffix}"


@contextmanager
def locked(path: str | os.PathLike[str] | None) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` in this block; None locks nothing.

    ``path`` need not exist: the lock is held on a hidden file beside it, and ends with the process.
    Temporary files left by a killed process are removed. On a file system without locks, nothing
    is locked.

    Raises:
        ValueError: another process holds the lock.
    """
    if path is None or fcntl is None:
        yield
        return
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(_beside(target, ".lock"))
    handle = _lock(lock, target)
    try:
        if handle is not None:
            drawn = "[a-z0-9_]" * 8  # by tempfile
            for orphan in target.parent.glob(f"{glob.escape(_beside(target, '.'))}{drawn}.tmp"):
                orphan.unlink(missing_ok=True)  # left by a process that was killed while writing
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
            return None  # a read-only place: a finished file can still be read
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
        os.close(handle)  # the last holder removed the lock file after it was opened here: retry


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
