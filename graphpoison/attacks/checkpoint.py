"""The file in which an attack keeps its flips, and when it is one that may be gone on from."""

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._settings import differences
from ..flip_columns import COLUMNS
from ..perturbation import Perturbation

logger = logging.getLogger(__name__)
SAVE_EVERY_SECONDS = 10.0

_REASONS = {
    "budget": "an attack looks at what is left of its budget, so that its flips at a smaller one "
    "need not be the first of those at a larger",
    "fingerprint": "these are digits of the clean graph, its candidates, features and labels",
    "start": "these are digits of the surrogate's initial parameters: a module of one's own needs "
    "reset_parameters in every layer that has any",
}


def resume(checkpoint: str | os.PathLike[str] | None, meta: dict[str, Any]) -> Perturbation:
    """The flips of ``checkpoint`` that a run of ``meta`` goes on from, none if there is no file.

    They end with a whole step: if somebody has cut them (:meth:`Perturbation.prefix`), the last
    step may be short, and is left out.

    Raises:
        ValueError: the file is damaged, or of another run.
    """
    if checkpoint is None or not Path(checkpoint).exists():
        return Perturbation(pd.DataFrame({n: np.empty(0, kind) for n, kind in COLUMNS.items()}))
    found = Perturbation.load(checkpoint)
    refuse_another_run(checkpoint, found, meta)
    if found.provenance.get("flips") != len(found):
        steps = found.flips["step"]
        whole = found.flips[steps < steps.max()]
        found = replace(found, flips=whole, provenance={**found.provenance, "finished": False})
    logger.info("resuming after %d flips", len(found))
    return found


def save(perturbation: Perturbation, checkpoint: str | os.PathLike[str]) -> None:
    """Write ``checkpoint``; where that fails, say so and lose nothing else."""
    try:
        perturbation.save(checkpoint)
    except OSError as error:
        logger.warning("the checkpoint cannot be written, and flips are not safe: %s", error)


def refuse_another_run(
    checkpoint: str | os.PathLike[str], found: Perturbation, meta: dict[str, Any]
) -> None:
    """Raise a ValueError that says what differs, if ``found`` differs from ``meta`` where that
    says anything."""
    wanted, there = (json.loads(json.dumps(part)) for part in (meta, found.meta))
    for name, value in wanted.items():
        if name in ("attack", "task", "edges"):  # settings and the fingerprint say it better
            continue
        different = differences(there.get(name), value, "" if name == "settings" else name)
        if different:
            reason = f" ({_REASONS[name]})" if name in _REASONS else ""
            raise ValueError(
                f"checkpoint {os.fspath(checkpoint)!r} is of another run: "
                f"{'; '.join(different)}{reason}. Go back to what it was made with, name another "
                "file, or remove it."
            )
