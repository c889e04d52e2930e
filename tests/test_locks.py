"""One process at a time writes a file; the others are told so, and lose nothing."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import citation_graph

import graphpoison as gp
from graphpoison._io import locked

SHORT = gp.Training(steps=3, lr=0.1)
HOLD = """
import sys
from graphpoison._io import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Holds the lock of ``path`` until the block ends."""
    command = [sys.executable, "-c", HOLD, str(path)]
    folder = str(Path(gp.__file__).parents[1])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": folder},
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_checkpoint_has_one_writer(tmp_path: Path) -> None:
    data, file = citation_graph(), tmp_path / "flips.npz"
    task, attack = gp.NodeClassification(data), gp.MetaAttack(SHORT)
    with another_process(file), pytest.raises(ValueError, match="in use by another process"):
        attack(task, 2, checkpoint=file)
    assert not file.exists()
    assert len(attack(task, 2, checkpoint=file)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["flips.npz"]


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    file = tmp_path / "flips.npz"
    with another_process(file) as process:
        process.kill()
        process.wait(60)
        with locked(file):
            pass
    assert not list(tmp_path.iterdir())


def test_two_attacks_in_one_process_are_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "flips.npz"
    with locked(file), pytest.raises(ValueError, match="in use"), locked(file):
        pass
    with locked(None):
        pass


def test_a_finished_file_can_be_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, task = tmp_path / "flips.npz", gp.NodeClassification(citation_graph())
    first = gp.MetaAttack(SHORT)(task, 2, checkpoint=file)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    again = gp.MetaAttack(SHORT)(task, 2, checkpoint=file)
    assert again.flips.equals(first.flips)
