"""Finished units of work in one SQLite file, each with a digest; several processes may write it."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

APPLICATION = 0x67706F69  # "gpoi", the application id in the header of the SQLite file
FORMAT = 1
WAIT_SECONDS = 60.0
"""How long a process waits for another one that is writing."""

_DAMAGE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_CREATE = "CREATE TABLE units (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL)"


class Store:
    """JSON values by key. A key keeps the first value put under it, unless it is replaced.

    Every write is a transaction, so that a killed process leaves no partial value. Reading verifies
    the digests.

    Args:
        path: the file, which is created when the first value is put.

    Raises:
        ValueError: the file exists, and is damaged or of another kind.
        OSError: the file cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.all()

    def all(self) -> dict[str, Any]:
        """All values by key, in the order in which they were put."""
        if not self._is_there():
            return {}
        with self._open("DEFERRED") as connection:
            wrong = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if wrong != "ok":
                raise self._damaged(wrong)
            found = connection.execute("SELECT * FROM units ORDER BY rowid").fetchall()
        return {row[0]: self._read(*row) for row in found}

    def get(self, key: str) -> Any:
        """The value of ``key``, None if there is none."""
        if not self._is_there():
            return None
        with self._open("DEFERRED") as connection:
            return self._get(connection, key)

    def put(self, key: str, value: Any) -> Any:
        """Write the value of ``key`` unless it has one; returns the stored value."""
        return self.agree({key: value})[key]

    def agree(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Write all ``values``, or nothing if one of the keys has another value already. Returns
        the values that are stored now."""
        with self._open("IMMEDIATE") as connection:
            known = {key: self._get(connection, key) for key in values}
            there = {key: value for key, value in known.items() if value is not None}
            if any(there[key] != _plain(values[key]) for key in there):
                return there
            for key, value in values.items():
                if key not in there:
                    connection.execute("INSERT INTO units VALUES (?, ?, ?)", _row(key, value))
        return {key: _plain(value) for key, value in values.items()}

    def replace(self, key: str, value: Any) -> None:
        """Write the value of ``key``, replacing an earlier one."""
        with self._open("IMMEDIATE") as connection:
            connection.execute("INSERT OR REPLACE INTO units VALUES (?, ?, ?)", _row(key, value))

    def _is_there(self) -> bool:
        return self.path.exists() and bool(self.path.stat().st_size)

    def _get(self, connection: sqlite3.Connection, key: str) -> Any:
        row = connection.execute("SELECT * FROM units WHERE key = ?", (key,)).fetchone()
        return None if row is None else self._read(*row)

    @contextmanager
    def _open(self, kind: str) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction: DEFERRED to read, IMMEDIATE to write exclusively."""
        if kind == "IMMEDIATE":
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(
                sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
            ) as opened:
                opened.execute(f"BEGIN {kind}")
                if not opened.execute("PRAGMA schema_version").fetchone()[0]:
                    if self.path.stat().st_size:  # SQLite treats any short file as a new database
                        raise self._damaged("it has no tables")
                    opened.execute(f"PRAGMA application_id = {APPLICATION}")
                    opened.execute(f"PRAGMA user_version = {FORMAT}")
                    opened.execute(_CREATE)
                self._refuse_other(opened)
                yield opened
                opened.execute("COMMIT")
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            if code in _DAMAGE:
                raise self._damaged(str(error)) from error
            raise OSError(
                f"checkpoint {os.fspath(self.path)!r} cannot be read or written ({error}); name "
                "another file, or wait for the process that writes it."
            ) from error

    def _refuse_other(self, connection: sqlite3.Connection) -> None:
        application, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        )
        if application != APPLICATION:
            raise self._damaged("it is the database of another program")
        if version != FORMAT:
            raise self._damaged(f"it is of format {version}, not {FORMAT}")

    def _read(self, key: Any, value: Any, known: Any) -> Any:
        if not isinstance(key, str) or not isinstance(value, str) or known != _digest(key, value):
            raise self._damaged(f"the digest of {str(key)[:80]!r} differs")
        return json.loads(value)

    def _damaged(self, reason: str) -> ValueError:
        return ValueError(
            f"checkpoint {os.fspath(self.path)!r} is no file of finished runs, or it is damaged "
            f"({reason}). Name another file, or remove it."
        )


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _row(key: str, value: Any) -> tuple[str, str, str]:
    text = json.dumps(value)
    return key, text, _digest(key, text)


def _digest(key: str, value: str) -> str:
    return hashlib.sha256(f"{key}\0{value}".encode()).hexdigest()
