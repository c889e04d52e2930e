"""Buffers that are written again at every step."""

from torch import Tensor


class Workspace:
    """Matrices by name, whose memory is used again.

    Mapping fresh memory of some megabytes costs more than the arithmetic on it. The matrix of
    a name is overwritten when the name is asked for again.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, shape: tuple[int, int], like: Tensor) -> Tensor:
        """An uninitialised matrix of ``shape``, of type and device of ``like``."""
        size, buffer = shape[0] * shape[1], self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = like.new_empty(size)
        return buffer[:size].view(shape)
