r"""The cost of a workload from fitted coefficients.

.. math::
    \text{seconds} = \sum_k a_k \, n_k, \qquad \text{bytes} = \sum_k b_k \, m_k

where n are the operations and m the arrays of a workload by kind. All coefficients are
non-negative; ``benchmarks/fit_estimate.py`` measures them.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from .._checks import choice, in_range, positive_int
from .._io import atomic_write
from .._settings import known_fields
from ..attacks.cost import Estimate
from .workload import Workload

SHIPPED = "coefficients.json"
MEASURE = "python benchmarks/fit_estimate.py measures them"
GIGABIT = 1e9 / 8
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Cluster:
    """Processes that share the pairs of one attack, and the network between them.

    Every rank holds its own rows of the tables of users and items. In each training step, forwards
    and backwards, each rank sends its rows of items, and its sums over the items of other ranks.

    Args:
        ranks: number of ranks R.
        efficiency: the speed of R ranks in the divided part of the work, over R times the speed of
            one rank; in (0, 1].
        gigabits: bandwidth of a rank's network, in Gbit/s.

    Raises:
        TypeError, ValueError: a setting is out of range.
    """

    ranks: int = 1
    efficiency: float = 1.0
    gigabits: float = 10.0

    def __post_init__(self) -> None:
        positive_int("ranks", self.ranks)
        in_range("efficiency", self.efficiency, 0.0, 1.0, open_low=True)
        in_range("gigabits", self.gigabits, 0.0, 1e6, open_low=True)

    def seconds_of(self, sent: float) -> float:
        """Seconds in which a rank sends ``sent`` bytes and receives the same number of bytes."""
        return sent / (self.gigabits * GIGABIT)


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of one device, and the circumstances of their measurement.

    Args:
        seconds: seconds of one operation, by kind.
        bytes: bytes at the peak for each byte of an array, by kind.
        process_bytes: bytes of the process after importing the libraries.
        processor, threads: the processor and the number of threads of the measurement.
        versions: versions of the libraries.
        points: number of measured points.
    """

    seconds: Mapping[str, float]
    bytes: Mapping[str, float]
    process_bytes: float = 0.0
    processor: str = ""
    threads: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)
    points: int = 0

    @classmethod
    def load(
        cls, device: str = "cpu", path: str | os.PathLike[str] | None = None
    ) -> "Coefficients":
        """The coefficients of ``device`` in the file ``path``, or in the installed one.

        Raises:
            ValueError: there are no coefficients for the device, or the file holds none at all.
            OSError: the file cannot be read.
        """
        choice("device", device, DEVICES)
        found = _read(path).get(device)
        if found is None:
            where = "this installation has" if path is None else f"{os.fspath(path)} has"
            raise ValueError(
                f"device={device!r}: {where} no measured coefficients for this device; {MEASURE}; "
                "give their file as coefficients."
            )
        return found

    def save(self, device: str, path: str | os.PathLike[str]) -> None:
        """Write the coefficients of ``device`` to the file ``path``, and keep the coefficients of
        other devices in this file."""
        choice("device", device, DEVICES)
        known = _read(path) if Path(path).exists() else {}
        content = {name: asdict(each) for name, each in {**known, device: self}.items()}
        with atomic_write(path) as file:
            file.write((json.dumps(content, indent=2) + "\n").encode())


def estimate_by_size(
    workload: Workload,
    *,
    cluster: Cluster | None = None,
    device: str = "cpu",
    scale: float = 1.0,
    coefficients: Coefficients | None = None,
) -> Estimate:
    """Estimate time and memory of an attack from the sizes of the graph.

    No data are needed: the estimate is a sum of measured coefficients times counts. If you have the
    graph, use :func:`~graphpoison.estimate`: it measures on the graph and is more accurate.

    Args:
        workload: :class:`RecommenderWorkload`, :class:`RankingWorkload` or :class:`NodeWorkload`.
        cluster: processes that share the pairs; one process by default.
        device: ``"cpu"`` or ``"cuda"``.
        scale: the ratio of the time on this machine to the time on the measured machine, as
            returned by ``graphpoison.estimates.calibrate``.
        coefficients: by default the installed coefficients of the device.

    Returns:
        The estimate; ``proposals`` is the number of gradients, ``bytes`` the memory of each rank.

    Raises:
        TypeError: ``workload`` is not a workload.
        ValueError: ``cluster`` has several ranks and the workload cannot be divided; there are no
            coefficients for the device, or none for an operation of the workload.
    """
    if not isinstance(workload, Workload):
        raise TypeError(
            f"workload must be a RecommenderWorkload, RankingWorkload or NodeWorkload, found "
            f"{workload!r}; if you have a task, use gp.estimate(attack, task, budget)."
        )
    in_range("scale", scale, 0.0, 1e6, open_low=True)
    cluster = Cluster() if cluster is None else cluster
    if cluster.ranks > 1 and not workload.divisible:
        raise ValueError(
            f"ranks={cluster.ranks} divide the pairs of recommenders that are trained in steps; "
            f"{type(workload).__name__} runs on one rank."
        )
    known = Coefficients.load(device) if coefficients is None else coefficients
    on_cpu = device == "cpu"
    work, arrays = workload.operations(on_cpu), workload.bytes(on_cpu)
    shared, whole = _total(known.seconds, work.shared), _total(known.seconds, work.whole)
    share = workload.share(cluster.ranks) if cluster.ranks > 1 else 1.0
    if cluster.ranks > 1:
        shared *= share / cluster.efficiency
    sent = workload.exchanged_bytes(cluster.ranks)
    gradient = scale * (shared + whole) + cluster.seconds_of(sent)
    held = share * _total(known.bytes, arrays.shared) + _total(known.bytes, arrays.whole)
    return Estimate(
        seconds=workload.num_gradients * gradient,
        setup_seconds=scale * _total(known.seconds, work.once),
        proposals=float(workload.num_gradients),
        bytes=round(known.process_bytes + held),
    )


def _total(coefficients: Mapping[str, float], counts: Mapping[str, float]) -> float:
    missing = [name for name in counts if name not in coefficients]
    if missing:
        raise ValueError(f"coefficients lack {missing}; {MEASURE}.")
    return sum(coefficients[name] * count for name, count in counts.items())


def _read(path: str | os.PathLike[str] | None) -> dict[str, Coefficients]:
    """Device -> coefficients."""
    file = resources.files(__package__) / SHIPPED if path is None else Path(path)
    if path is None and not file.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {
            device: Coefficients(**known_fields(Coefficients, entry))
            for device, entry in found.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"coefficients={str(file)!r} holds no coefficients: {error}; {MEASURE}."
        ) from error
