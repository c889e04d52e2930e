"""The compiled loop of towers, for each kind of vectors; without a compiler none is built."""

import sys

from setuptools import Extension, setup

FLAGS = {
    "avx512": [f"-m{part}" for part in ("avx512f", "avx512dq", "avx512vl", "avx512bw", "fma")],
    "avx2": ["-mavx2", "-mfma"],
    "default": [],
}
THREADS = ["-fopenmp"] if sys.platform == "linux" else []  # the library that torch has loaded

OPTIONS = ["-std=c++17", "-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]

setup(
    ext_modules=[
        Extension(
            f"graphpoison.training._tower_{kind}",
            ["graphpoison/training/tower.cpp"],
            depends=["graphpoison/training/tower.h"],
            extra_compile_args=[*OPTIONS, *THREADS, *flags],
            extra_link_args=THREADS,
            optional=True,
        )
        for kind, flags in FLAGS.items()
    ]
)
