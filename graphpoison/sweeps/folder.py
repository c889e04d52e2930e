"""The folder of a study: rows, flips and claims, as files that several machines can share.

``_rows/KEY.json`` is the row of a finished run, ``_flips/KEY.npz`` has the flips of an attack, and
``_rows/KEY.claim`` marks a run that a process is working on. Parquet readers ignore folders whose
names start with an underscore.
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
"""Another process takes over a claim that has not been renewed for this time."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Folder:
    """The files of one or more studies.

    Args:
        path: path of the folder, which need not exist.
    """

    path: Path

    def made(self) -> "Folder":
        """Create the folder and its subfolders, and return this object."""
        for part in ("_rows", "_flips"):
            (self.path / part).mkdir(parents=True, exist_ok=True)
        return self

    def flips(self, key: str) -> Path:
        """The file of the flips of an attack."""
        return self.path / "_flips" / f"{key}.npz"

    def has(self, key: str) -> bool:
        """Whether the row of a run has been written."""
        return self._file(key, "json").exists()

    def keys(self) -> set[str]:
        """The keys of the runs whose rows have been written."""
        return {
            name.removesuffix(".json")
            for name in os.listdir(self.path / "_rows")
            if name.endswith(".json")
        }

    def row(self, key: str) -> Row:
        """The row of a run.

        Raises:
            ValueError: the file is damaged.
            OSError: the file is missing or cannot be read.
        """
        path = self._file(key, "json")
        known, _, text = path.read_text(encoding="utf-8", errors="replace").partition("\n")
        if known != digest(text):
            raise ValueError(f"{path} is damaged: remove it to repeat its run.")
        row: Row = json.loads(text)
        return row

    def rows(self, known: Mapping[str, Row] | None = None) -> dict[str, Row]:
        """All rows by the keys of their runs; rows in ``known`` are not read again."""
        known, found = known or {}, {}
        for key in sorted(self.keys()):
            with suppress(FileNotFoundError):  # another process repeats a failed run
                found[key] = known[key] if key in known else self.row(key)
        return found

    def write(self, key: str, row: Row) -> None:
        """Write the row of a run."""
        text = json.dumps(row)
        with atomic_write(self._file(key, "json")) as file:
            file.write(f"{digest(text)}\n{text}".encode())

    def forget(self, key: str) -> None:
        """Remove the row of a run, so that the run is repeated."""
        self._file(key, "json").unlink(missing_ok=True)

    def claim(self, key: str) -> "SoftFileLease":
        """The claim to a run: a file that the process of the run renews. Another process takes over
        the claim if that process is dead, or has not renewed the claim for
        :data:`LEASE_SECONDS`."""
        from filelock import SoftFileLease

        # in the folder of rows: making a file there lets an NFS client see the rows of others
        return SoftFileLease(self._file(key, "claim"), timeout=0, lease_duration=LEASE_SECONDS)

    def begin(self, key: str, call: str) -> None:
        """Record that the call ``call`` of ``sweep`` starts a run."""
        with open(self._file(key, "begun"), "a", encoding="utf-8") as file:
            file.write(f"{call}\n")

    def end(self, key: str) -> None:
        """Record that a run has ended without killing its process."""
        self._file(key, "begun").unlink(missing_ok=True)

    def deaths(self, key: str, call: str) -> int:
        """How often ``call`` has started a run that did not end."""
        try:
            text = self._file(key, "begun").read_text(encoding="utf-8")
        except FileNotFoundError:
            return 0
        return text.split().count(call)

    def _file(self, key: str, kind: str) -> Path:
        return self.path / "_rows" / f"{key}.{kind}"
