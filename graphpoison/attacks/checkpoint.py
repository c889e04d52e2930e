"""The checkpoint file of an attack, and the checks before an attack resumes from it."""

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
    "budget": "an attack depends on the budget that is left: its flips for a smaller budget need "
    "not be a prefix of its flips for a larger one",
    "fingerprint": "a digest of the clean graph, its candidates, features and labels",
    "start": "a digest of the surrogate's initial parameters: in your own module, every layer with "
    "parameters needs reset_parameters",
}


def resume(checkpoint: str | os.PathLike[str] | None, meta: dict[str, Any]) -> Perturbation:
    """Returns the flips of ``checkpoint`` after which a run of ``meta`` resumes; none without file.

    The flips end with a complete step. If the file holds a prefix of a perturbation
    (:meth:`Perturbation.prefix`), its last step may be incomplete and is left out.

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
    """Write ``checkpoint``. If this fails, log a warning, so that the attack can go on."""
    try:
        perturbation.save(checkpoint)
    except OSError as error:
        logger.warning("the checkpoint cannot be written, and the flips are not saved: %s", error)


def refuse_another_run(
    checkpoint: str | os.PathLike[str], found: Perturbation, meta: dict[str, Any]
) -> None:
    """Raise a ValueError that names the differences if ``found`` is of another run than
    ``meta``."""
    wanted, there = (json.loads(json.dumps(part)) for part in (meta, found.meta))
    for name, value in wanted.items():
        if name in ("attack", "task", "edges"):  # settings and fingerprint are clearer
            continue
        different = differences(there.get(name), value, "" if name == "settings" else name)
        if different:
            reason = f" ({_REASONS[name]})" if name in _REASONS else ""
            raise ValueError(
                f"checkpoint {os.fspath(checkpoint)!r} is of another run: "
                f"{'; '.join(different)}{reason}. Use the settings and data it was made with, name "
                "another file, or remove it."
            )
