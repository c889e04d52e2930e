"""The tower of :mod:`~graphpoison.training.mlp_pair_loss` in one compiled loop, ``tower.cpp``.

The loop is compiled when the package is installed, if a C++ compiler is found. It keeps the layers
of 64 pairs in the first-level cache and sums in registers; torch writes every intermediate result
to memory. Each thread computes a range of rows. Without the loop, and on a GPU, torch scores pairs.
"""

import ctypes
import functools
import logging
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..sparse.shares import Block
from .chunked_tower import PairOutputs
from .dual import GradAndTangent
from .pair_scores import PairScores
from .prepared import Params

logger = logging.getLogger(__name__)
ACTIVATIONS = ("relu", "tanh", "sigmoid")  # in the order of tower.cpp
SCORES, GRADIENT, DUAL = range(3)
VECTOR_BYTES = 64


@functools.cache
def library() -> ctypes.CDLL | None:
    """The loop compiled for the widest vectors that this processor has.

    None if there is no loop, if it does not load, or if it was built from other sources.
    """
    vectors = torch.backends.cpu.get_cpu_capability().lower()
    kinds = [vectors, "avx2", "default"] if vectors == "avx512" else [vectors, "default"]
    for kind in kinds:
        for suffix in EXTENSION_SUFFIXES:
            path = Path(__file__).with_name(f"_tower_{kind}{suffix}")
            if path.exists() and (found := _loaded(path)) is not None:
                return found
    return None


def _loaded(path: Path) -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(str(path))
        sizes = found.tower_sizes
    except (OSError, AttributeError) as error:  # built for another machine, or from an older source
        logger.info("%s is not used: %s", path.name, error)
        return None
    sizes.restype = ctypes.c_int64
    single, double = (ctypes.sizeof(kind) for kind in _STRUCTURES.values())
    expected = (single * 1000 + double) * 1000 + ctypes.sizeof(_Affine)
    return found if sizes() == expected else None


def compiled(labels: Tensor) -> bool:
    """Whether the loop is used for pairs with these ``labels``.

    A loop that was built without threads is used only if torch has a single thread.
    """
    if labels.device.type != "cpu" or labels.dtype not in _STRUCTURES:
        return False
    loop = library()
    return loop is not None and (bool(loop.tower_threads()) or torch.get_num_threads() == 1)


class _Affine(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("inputs", "outputs", "padded_in", "padded_out")),
        *((name, ctypes.c_void_p) for name in ("kernel", "turn", "transposed", "turn_transposed")),
        *((name, ctypes.c_void_p) for name in ("bias", "shift")),
        *((name, ctypes.c_void_p) for name in ("gradient", "derivative", "on_bias", "on_shift")),
    ]


_INTEGERS = ("product", "activation", "mode", "num_affine")
_SIZES = ("dim", "width", "padded_dim", "padded_width")
_PAIRS = ("pointers", "columns", "labels", "dots", "dot_tangents")
_TABLES = ("left", "left_move", "right", "right_move")
_ON_TABLES = tuple(f"on_{name}" for name in _TABLES)
_OUTPUTS = ("residual", "curvature", "on_labels")


def _structure(number: type[Any]) -> type[ctypes.Structure]:
    fields = [
        *((name, ctypes.c_int32) for name in (*_INTEGERS, *_SIZES)),
        *((name, ctypes.c_void_p) for name in _PAIRS),
        ("share", number),
        *((name, ctypes.c_void_p) for name in (*_TABLES, *_ON_TABLES, *_OUTPUTS)),
        ("first", _Affine),
        ("affine", ctypes.POINTER(_Affine)),
    ]
    return type("_Problem", (ctypes.Structure,), {"_fields_": fields})


_STRUCTURES = {
    torch.float32: _structure(ctypes.c_float),
    torch.float64: _structure(ctypes.c_double),
}


class CompiledTower:
    """The tower on the pairs of a block, in ranges of rows: its parts, or pieces of parts.

    It has the methods of :class:`~graphpoison.training.chunked_tower.ChunkedTower`, with equal
    results; a pass along a direction also computes all gradients.

    Args:
        block: a block of m pairs; with more threads than parts, each part is cut into pieces.
        labels: Tensor [m], float32 or float64 on the CPU.
        scoring: the terms of a score.
        count: the number of pairs of all blocks, over which the loss is averaged.
    """

    gradient_along = True

    def __init__(self, block: Block, labels: Tensor, scoring: PairScores, count: int) -> None:
        self.labels, self.scoring, self.count = labels.contiguous(), scoring, count
        self.shape, self.num_parts = block.pattern.shape, block.num_parts
        self.fewest = 6 if scoring.tower == "product" else 4  # parameters of one hidden layer
        pointers, columns = block.pattern.csr
        self.pointers, self.columns = pointers.long(), columns.int()
        self.pieces, self.cuts = -(-torch.get_num_threads() // block.num_parts), [0]
        for start, stop in pairwise(block.cuts):
            low, high = self.pointers[[start, stop]].tolist()
            wanted = low + torch.arange(1, self.pieces) * (high - low) // self.pieces
            inner = torch.searchsorted(self.pointers, wanted).clamp_(start, stop)
            self.cuts += [*inner.tolist(), stop]

    def scores(self, dots: Sequence[Tensor], params: Params) -> Tensor:
        """Logits [m], from the dot products [m], if any, and the other score parameters."""
        found = torch.empty_like(self.labels)
        self._run(SCORES, dots, params, None, (found, None, None))
        return found

    def parts(
        self,
        dots: Sequence[Tensor],
        params: Params,
        direction: Params | None,
        outputs: PairOutputs,
    ) -> list[GradAndTangent]:
        """Gradients w.r.t. ``params`` and, given a ``direction``, their derivatives along it; as
        in ``ChunkedTower.parts``."""
        mode = GRADIENT if direction is None else DUAL
        jobs = self._run(mode, dots, params, direction, outputs)
        found = []
        for n, param in enumerate(params):
            gradient, derivative = self._sums(n, [job.gradients for job in jobs], param), None
            if mode == DUAL:
                derivative = self._sums(n, [job.derivatives for job in jobs], param)
            found.append(GradAndTangent(gradient, derivative))
        return found

    def _sums(self, number: int, of_jobs: list[list[Tensor]], like: Tensor) -> Tensor:
        """The sums of each part, from the sums of its jobs; all jobs share the table of users."""
        if number == 0:
            return of_jobs[0][0][..., : like.size(-1)].contiguous()
        found = [tensors[number] for tensors in of_jobs]
        starts = range(0, len(found), self.pieces)
        sums = [functools.reduce(Tensor.add_, found[at : at + self.pieces]) for at in starts]
        return torch.stack([part[..., : like.size(-1)] for part in sums])

    def _run(
        self,
        mode: int,
        dots: Sequence[Tensor],
        params: Params,
        direction: Params | None,
        outputs: Sequence[Tensor | None],
    ) -> list["_Job"]:
        self._refuse_shapes(params)
        loop = getattr(library(), f"tower_{str(self.labels.dtype).removeprefix('torch.')}")
        point = _Point(params, direction)
        jobs: list[_Job] = []
        for _ in self.cuts[1:]:
            jobs.append(_Job(self, mode, point, dots, outputs, jobs[0] if jobs else None))
        structure, threads = _STRUCTURES[self.labels.dtype], torch.get_num_threads()
        for at in range(0, len(jobs), threads):  # one thread for each job
            some, cuts = jobs[at : at + threads], self.cuts[at : at + threads + 1]
            problems = (structure * len(some))(*(job.problem for job in some))
            if loop(problems, (ctypes.c_int64 * len(cuts))(*cuts), len(some)):
                raise MemoryError("no memory for the layers of a tower")
        return jobs

    def _refuse_shapes(self, params: Params) -> None:
        """Raise a ValueError unless the shapes and types of ``params`` fit; the loop does not check
        them, and would read beyond their memory."""
        dim = params[0].size(-1)
        expected: list[tuple[int, ...]] = [(rows, dim) for rows in self.shape]
        widths = [dim, *(kernel.size(-1) for kernel in params[2::2])]
        for inputs, outputs in pairwise(widths):
            expected += [(inputs, outputs), (outputs,)]
        found = [tuple(param.shape) for param in params]
        if found != expected or widths[-1] != 1 or len(params) < self.fewest:
            raise ValueError(
                f"the score parameters of a tower have the shapes {found}, but these pairs and "
                f"layers need {expected}, with one unit in the last layer."
            )
        kinds = {(param.dtype, param.device) for param in params}
        if kinds != {(self.labels.dtype, self.labels.device)}:
            raise ValueError(
                f"the score parameters of a tower must be {self.labels.dtype} on "
                f"{self.labels.device}, as the labels are; found {kinds}."
            )


class _Point:
    """Parameters and an optional direction, padded to whole vectors, with transposed kernels."""

    def __init__(self, params: Params, direction: Params | None) -> None:
        self.values = list(map(_padded, params))
        self.moves = list(map(_padded, direction or ()))
        self.transposed = _transposed_kernels(params)
        self.turned = _transposed_kernels(direction or ())
        self.shapes = [param.shape for param in params]


class _Job:
    """The tensors that one thread of the loop reads from and adds to.

    Each row of the table of users belongs to one thread, so all threads add to the same gradient.
    """

    def __init__(
        self,
        tower: CompiledTower,
        mode: int,
        point: _Point,
        dots: Sequence[Tensor],
        outputs: Sequence[Tensor | None],
        first_job: "_Job | None",
    ) -> None:
        product = tower.scoring.tower == "product"
        self.gradients = [] if mode == SCORES else list(map(torch.zeros_like, point.values))
        self.derivatives = list(map(torch.zeros_like, point.moves))
        if first_job is not None:
            self.gradients[:1] = first_job.gradients[:1]
            self.derivatives[:1] = first_job.derivatives[:1]
        head = range(4 if product else 2, len(point.values), 2)
        affine = (_Affine * len(head))(*(self._affine(point, n) for n in head))
        first = 2 if product else 0  # a parameter whose columns are units of the first layer
        pairs = [tower.pointers, tower.columns, tower.labels, *dots, None, None][:5]
        tables = (point.values, point.moves), (self.gradients, self.derivatives)
        self.problem = _STRUCTURES[tower.labels.dtype](
            product,
            ACTIVATIONS.index(tower.scoring.activation),
            mode,
            len(head),
            *(point.shapes[0][1], point.shapes[first][1]),
            *(point.values[0].size(1), point.values[first].size(1)),
            *map(_address, pairs),
            1.0 / max(1, tower.count),
            *(_address(_get(part, n)) for two in tables for n in (0, 1) for part in two),
            *map(_address, outputs),
            self._affine(point, 2) if product else _Affine(),
            affine,
        )

    def _affine(self, point: _Point, n: int) -> _Affine:
        """The affine map whose kernel is parameter n, and whose bias is parameter n + 1."""
        inputs, outputs = point.shapes[n]
        transposed = point.transposed[n]
        assert transposed is not None
        tensors = (
            point.values[n], _get(point.moves, n), transposed, _get(point.turned, n),
            point.values[n + 1], _get(point.moves, n + 1),
            _get(self.gradients, n), _get(self.derivatives, n),
            _get(self.gradients, n + 1), _get(self.derivatives, n + 1),
        )  # fmt: skip
        padded = transposed.size(1), point.values[n].size(1)
        return _Affine(inputs, outputs, *padded, *map(_address, tensors))


def _transposed_kernels(params: Params) -> list[Tensor | None]:
    """For each parameter its padded transpose if it is a kernel, else None."""
    kernels = [n >= 2 and param.dim() == 2 for n, param in enumerate(params)]
    return [_padded(p.t()) if is_one else None for p, is_one in zip(params, kernels, strict=True)]


def _get(tensors: Sequence[Tensor | None], number: int) -> Tensor | None:
    return tensors[number] if tensors else None


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _padded(matrix: Tensor) -> Tensor:
    """A copy with rows padded to whole vectors, so that every row is aligned like a tensor."""
    width, lanes = matrix.size(-1), VECTOR_BYTES // matrix.element_size()
    found = matrix.new_zeros(*matrix.shape[:-1], -(-width // lanes) * lanes)
    found[..., :width] = matrix
    return found
