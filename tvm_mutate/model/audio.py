"""Sound files as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tvm_mutate.errors import UsageError


def read_sound(path: Path, length: int | None) -> np.ndarray:
    """The sound in a ``.wav`` file, float32 from -1 to 1, the mean of its channels, at its own sampling rate.

    With a ``length``: windows [N, length] one after another, the last one filled with zeros; else [1, all of it].
    Raises UsageError, naming the file, if it is no sound.
    """
    from scipy.io import wavfile  # here, because the import takes a quarter of a second

    try:
        _, values = wavfile.read(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as sound ({error})") from None
    if values.dtype.kind in "iu":
        middle = 128 if values.dtype == np.uint8 else 0
        values = (values.astype(np.float32) - middle) / float(np.iinfo(values.dtype).max - middle + 1)
    mono = values.astype(np.float32).reshape(len(values), -1).mean(axis=1)
    if not len(mono):
        raise UsageError(f"{path}: holds no sound")
    if length is None:
        return mono[None]
    return np.pad(mono, (0, -len(mono) % length)).reshape(-1, length)
