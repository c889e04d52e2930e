"""The folder of a study: rows, flips and claims, as files that several machines may share.

``_rows/KEY.json`` is the row of a finished run, ``_flips/KEY.npz`` the flips of an attack, and
``_rows/KEY.claim`` says that a process is at work on a run. Readers of parquet leave folders alone
whose names start with an underscore.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._io import atomic_write
from .._settings import digest

if TYPE_CHECKING:
    from filelock import SoftFileLease

LEASE_SECONDS = 60.0
"""A claim that its process has not renewed for so long is taken over."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Folder:
    """The files of one or more studies.

    Args:
        path: of the folder, which need not be there yet.
    """

    path: Path

    def made(self) -> "Folder":
        """The folder, with its parts."""
        for part in ("_rows", "_flips"):
            (self.path / part).mkdir(parents=True, exist_ok=True)
        return self

    def flips(self, key: str) -> Path:
        """The file of the flips of an attack."""
        return self.path / "_flips" / f"{key}.npz"

    def has(self, key: str) -> bool:
        """Whether a run has its row."""
        return self._file(key, "json").exists()

    def keys(self) -> set[str]:
        """The runs that have their rows."""
        return {
            name.removesuffix(".json")
            for name in os.listdir(self.path / "_rows")
            if name.endswith(".json")
        }

    def row(self, key: str) -> Row:
        """The row of a run.

        Raises:
            ValueError: the file is damaged.
            OSError: it is not there, or cannot be read.
        """
        path = self._file(key, "json")
        known, _, text = path.read_text(encoding="utf-8", errors="replace").partition("\n")
        if known != digest(text):
            raise ValueError(f"{path} is damaged: remove it, and its run is done again.")
        row: Row = json.loads(text)
        return row

    def rows(self, known: Mapping[str, Row] | None = None) -> dict[str, Row]:
        """All rows by the keys of their runs; ``known`` ones are not read again."""
        known, found = known or {}, {}
        for key in sorted(self.keys()):
            with suppress(FileNotFoundError):  # another process tries a failed run again
                found[key] = known[key] if key in known else self.row(key)
        return found

    def write(self, key: str, row: Row) -> None:
        """Write the row of a run."""
        text = json.dumps(row)
        with atomic_write(self._file(key, "json")) as file:
            file.write(f"{digest(text)}\n{text}".encode())

    def forget(self, key: str) -> None:
        """Remove the row of a run, which is done again then."""
        self._file(key, "json").unlink(missing_ok=True)

    def claim(self, key: str) -> "SoftFileLease":
        """The claim to a run: a file that its process renews, and that others take over when the
        process is dead, or has not renewed it for :data:`LEASE_SECONDS`."""
        from filelock import SoftFileLease

        # beside the rows: a file made there shows a client of NFS the rows made by others
        return SoftFileLease(self._file(key, "claim"), timeout=0, lease_duration=LEASE_SECONDS)

    def begin(self, key: str, call: str) -> None:
        """Note that a run begins, on behalf of the call of ``sweep`` named ``call``."""
        with open(self._file(key, "begun"), "a", encoding="utf-8") as file:
            file.write(f"{call}\n")

    def end(self, key: str) -> None:
        """Note that a run has come to an end, and has killed nobody."""
        self._file(key, "begun").unlink(missing_ok=True)

    def deaths(self, key: str, call: str) -> int:
        """How often a run has begun on behalf of ``call`` without coming to an end."""
        try:
            text = self._file(key, "begun").read_text(encoding="utf-8")
        except FileNotFoundError:
            return 0
        return text.split().count(call)

    def _file(self, key: str, kind: str) -> Path:
        return self.path / "_rows" / f"{key}.{kind}"
