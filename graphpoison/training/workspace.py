"""Buffers that are reused at every step."""

from torch import Tensor


class Workspace:
    """Named matrices whose memory is reused.

    Allocating new memory of some megabytes takes longer than the arithmetic on it. A matrix is
    overwritten once its name is requested again.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, shape: tuple[int, int], like: Tensor) -> Tensor:
        """An uninitialised matrix of ``shape``, of type and device of ``like``."""
        size, buffer = shape[0] * shape[1], self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = like.new_empty(size)
        return buffer[:size].view(shape)
