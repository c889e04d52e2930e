"""The provenance of a result: versions, device and time."""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from ._settings import digest
from ._version import __version__
from .graphs import Graph, Interactions

PACKAGES = ("torch", "torch-geometric", "numpy", "torch-sparse")
SERIES = ".".join(__version__.split(".")[:2])
"""Major and minor version: results of one series can be resumed by another release of it."""


def environment(device: torch.device, dtype: torch.dtype, ranks: int = 1) -> dict[str, Any]:
    """Versions, the device by name, the numbers of threads and of processes and the dtype, as plain
    values.

    A package that is not installed has the version None.
    """
    cuda = device.type == "cuda"
    return {
        "versions": {
            "graphpoison": __version__,
            "python": platform.python_version(),
            **{package: _version(package) for package in PACKAGES},
        },
        "device": f"cuda ({torch.cuda.get_device_name(device)})" if cuda else device.type,
        "threads": torch.get_num_threads(),
        "ranks": ranks,
        "dtype": str(dtype).removeprefix("torch."),
    }


@dataclass(frozen=True)
class Clock:
    """The clock of one session of a run; a resumed run has several sessions.

    Args:
        environment: see :func:`environment`.
        before: the last result of :meth:`read` in the previous session; empty for a new run.
        began: the time at which this session began, in UTC.
        ticks: the same time on the monotonic clock, in seconds.
    """

    environment: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    ticks: float = field(default_factory=time.monotonic)

    def read(self) -> dict[str, Any]:
        """The provenance of the run so far: the environment of this session, and of all sessions
        together the start (``started``, ISO 8601, UTC), the ``seconds`` and the number
        (``sessions``).

        Other environments of earlier sessions are listed under ``elsewhere``, each once.
        """
        found = {
            **self.environment,
            "started": self.before.get("started", self.began.isoformat(timespec="seconds")),
            "seconds": round(self.before.get("seconds", 0.0) + time.monotonic() - self.ticks, 3),
            "sessions": self.before.get("sessions", 0) + 1,
        }
        earlier = {name: self.before[name] for name in self.environment if name in self.before}
        elsewhere = list(self.before.get("elsewhere", []))
        for place in [earlier] if earlier else []:
            if place != self.environment and place not in elsewhere:
                elsewhere.append(place)
        return {**found, "elsewhere": elsewhere} if elsewhere else found


def graph_digest(graph: Graph) -> str:
    """A digest (16 hexadecimal digits) of all that was read of ``graph``."""
    parts = {each.name: getattr(graph, each.name) for each in fields(graph)}
    if isinstance(graph, Interactions) and graph.fake_users is not None:
        users = graph.fake_users
        parts |= {"fake_users": users.count, "fake_edges": users.edges}
        parts |= {f"latent_{number}": part for number, part in enumerate(users.latent)}
    tensors = {name: value for name, value in parts.items() if isinstance(value, Tensor)}
    others = {name: value for name, value in parts.items() if not isinstance(value, Tensor)}
    text = repr((sorted(tensors), sorted(others.items())))
    return digest(text, *(tensors[name] for name in sorted(tensors)))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
