"""Random numbers from explicit seeds, never from (or into) the global generators."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(seed: int, *stream: int) -> int:
    """A seed for one named stream of a run, e.g. ``derive_seed(seed, step)``.

    Streams with different numbers are statistically independent
    (:class:`numpy.random.SeedSequence`), so that step 7 of a resumed attack draws what step 7 of
    an uninterrupted one draws.
    """
    return int(np.random.SeedSequence([seed, *stream]).generate_state(1, np.uint64)[0] >> 1)


def generator(seed: int, *stream: int) -> torch.Generator:
    """A CPU generator for ``derive_seed(seed, *stream)``; draw on the CPU, then move."""
    return torch.Generator().manual_seed(derive_seed(seed, *stream))


def numpy_generator(seed: int, *stream: int) -> np.random.Generator:
    """A NumPy generator for the same stream, where NumPy's distributions are wanted."""
    return np.random.default_rng(np.random.SeedSequence([seed, *stream]))


@contextmanager
def isolated_rng(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed the global generator in this block, and restore its state afterwards.

    For third-party code that takes no generator, such as PyG's layers and
    ``torch.nn.functional.dropout``.
    """
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.random.default_generator.manual_seed(seed)
        for cuda_device in devices:
            with torch.cuda.device(cuda_device):
                torch.cuda.manual_seed(seed)
        yield
