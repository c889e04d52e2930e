"""Files of finished runs: several writers, kills and damage lose nothing and hide nothing."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from killed import CONTEXT

import graphpoison as gp
from graphpoison._store import Store

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


def test_the_first_value_of_a_key_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "runs.sqlite")
    assert store.all() == {}
    assert store.get("a") is None
    assert not store.path.exists()
    assert store.put("a", [1, None, float("inf")]) == [1, None, float("inf")]
    assert store.put("a", 2) == [1, None, float("inf")]
    store.replace("b", {"x": 0.1})
    store.replace("b", {"x": 0.2})
    assert Store(store.path).all() == {"a": [1, None, float("inf")], "b": {"x": 0.2}}


def together(target: Callable[..., None], *arguments: tuple[Any, ...]) -> None:
    """Processes that call ``target`` at once, each with arguments of its own, to their end."""
    processes = [CONTEXT.Process(target=target, args=each) for each in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0


def put_numbers(path: Path, first: int) -> None:
    store = Store(path)
    for number in range(first, 120, 2):
        store.put(str(number), number)
        store.put("first", first)


@POSIX
def test_two_processes_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    together(put_numbers, (path, 0), (path, 1))
    found = Store(path).all()
    assert found.pop("first") in (0, 1)
    assert found == {str(number): number for number in range(120)}


@POSIX
@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.05])
def test_a_killed_writer_leaves_whole_values(delay: float, tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    process = CONTEXT.Process(target=put_numbers, args=(path, 0))
    process.start()
    while process.is_alive() and not path.exists():
        time.sleep(0.0005)
    time.sleep(delay)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    found = Store(path).all()
    found.pop("first", None)
    assert found == {str(number): number for number in range(0, 2 * len(found), 2)}
    put_numbers(path, 0)
    assert len(Store(path).all()) == 61


def full(path: Path) -> bytes:
    store = Store(path)
    for number in range(30):
        store.put(f"unit {number}", [{"victim": "gcn", "value": number / 7}] * 4)
    return path.read_bytes()


@settings(deadline=None, max_examples=120)
@given(place=st.floats(0, 0.999999), bit=st.integers(0, 7))
def test_a_changed_bit_is_found_or_harmless(place: float, bit: int, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("store") / "runs.sqlite"
    content = bytearray(full(path))
    whole = Store(path).all()
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = Store(path).all()
    except ValueError as error:
        assert "Name another file, or remove it" in str(error)  # noqa: PT017
        return
    assert found.items() <= whole.items()


def test_edited_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    full(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE units SET value = '[]' WHERE key = 'unit 3'")
    with pytest.raises(ValueError, match="the digest of 'unit 3' differs"):
        Store(path)


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(ValueError, match="the database of another program"):
        Store(path)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    full(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(ValueError, match="it is of format 7, not 1"):
        Store(path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "runs.sqlite").mkdir()
    with pytest.raises(OSError, match="cannot be read or written"):
        Store(tmp_path / "runs.sqlite").put("a", 1)


def evaluated(path: Path, seeds: range, out: Path) -> None:
    data = interaction_graph()
    flips = gp.RandomAttack()(gp.Recommendation(data, gp.CF(dim=2)), 4)
    victim = gp.RecommenderVictim(gp.CF(dim=2), "cf", gp.Training(steps=3))
    gp.evaluate(data, flips, [victim], seeds, checkpoint=path).runs.to_pickle(out)


@POSIX
def test_two_evaluations_share_one_file(tmp_path: Path) -> None:
    path, outs = tmp_path / "runs.sqlite", [tmp_path / name for name in ("a", "b", "c")]
    asked = (range(6), range(3, 9))
    together(evaluated, *((path, *each) for each in zip(asked, outs, strict=False)))
    keys = [key for key in Store(path).all() if key.startswith('["unit"')]
    assert len(keys) == 9
    evaluated(tmp_path / "alone.sqlite", range(9), outs[2])
    first, second, whole = map(pd.read_pickle, outs)
    for part in (first, second):
        expected = whole[whole["seed"].isin(part["seed"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, expected)
