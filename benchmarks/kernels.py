"""Milliseconds of every backend's two kernels: ``python benchmarks/kernels.py``."""

import statistics
import time
from collections.abc import Callable

import pandas as pd
import torch

from graphpoison._random import generator
from graphpoison.sparse import Pattern, sddmm, spmm
from graphpoison.sparse.kernels import BACKENDS, check_backend

SHAPES = [(2_485, 2_485, 12_600), (943, 1_682, 160_000), (8_138, 1_503, 3_100_000)]
COLUMNS = (7, 16, 32, 64)


def main() -> None:
    torch.set_num_threads(2)
    backends = [name for name in BACKENDS if name != "auto" and usable(name)]
    rows = [
        {
            "matrix": f"{users:,} x {items:,}, {entries:,} entries",
            "columns": columns,
            **milliseconds(users, items, entries, columns, backends),
        }
        for users, items, entries in SHAPES
        for columns in COLUMNS
    ]
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.2f}".format))


def milliseconds(
    users: int, items: int, entries: int, columns: int, backends: list[str]
) -> dict[str, float]:
    draw = generator(0)
    codes = torch.randperm(users * items, generator=draw)[:entries].sort().values
    weight = torch.rand(entries, generator=draw)
    left, right = (torch.rand(size, columns, generator=draw) for size in (users, items))
    found = {}
    for name in backends:
        pattern = Pattern(codes // items, codes % items, (users, items), name)
        found[f"spmm {name}"] = median(lambda p=pattern: spmm(p, weight, right))
        if name in ("csr", "gather"):
            found[f"sddmm {name}"] = median(lambda p=pattern: sddmm(p, left, right))
    return found


def median(once: Callable[[], torch.Tensor], repeat: int = 9) -> float:
    times = []
    for _ in range(repeat + 2):
        start = time.perf_counter()
        once()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def usable(backend: str) -> bool:
    try:
        check_backend(backend)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main()
