"""Tensors of many runs of a program: for each of its inputs or outputs one array with an entry for each run."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (gives NumPy the dtypes bfloat16 and float8)
import numpy as np
import xxhash

# The tensors of one run, in the order of the program's inputs or outputs.
Sample = tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Samples:
    """For each input or output of a program an array ``[samples, *shape of the tensor]``, in order."""

    arrays: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.arrays[0]) if self.arrays else 0

    def __getitem__(self, position: int) -> Sample:
        return tuple(array[position, ...] for array in self.arrays)  # an array of a scalar, too

    @classmethod
    def stack(cls, samples: Iterable[Sample]) -> Samples:
        """The samples of single runs, in order; at least one."""
        return cls(tuple(np.stack(arrays) for arrays in zip(*samples, strict=True)))

    def first(self, count: int) -> Samples:
        """The first samples, without a copy."""
        return Samples(tuple(array[:count] for array in self.arrays))

    def tobytes(self) -> bytes:
        """The bytes of all tensors, one after another."""
        return b"".join(as_bytes(array).tobytes() for array in self.arrays)

    def digest(self) -> str:
        """128 bits of xxHash of all tensors: equal for equal bits."""
        return self._hashed(xxhash.xxh3_128())

    def sha256(self) -> str:
        """The SHA-256, in hex, of the bytes of all tensors."""
        return self._hashed(hashlib.sha256())

    def _hashed(self, content: Any) -> str:
        for array in self.arrays:
            content.update(as_bytes(array).data)
        return str(content.hexdigest())

    def has_types_of(self, other: Samples) -> bool:
        """Whether all tensors have the same dtypes and shapes."""
        ours, theirs = ([(each.dtype, each.shape) for each in samples.arrays] for samples in (self, other))
        return ours == theirs

    def has_bits_of(self, other: Samples) -> bool:
        """Whether all tensors have the same dtypes, shapes and bits."""
        return self.has_types_of(other) and self.digest() == other.digest()

    def save(self, folder: Path) -> None:
        """Writes an ``.npy`` file for each tensor into a new folder; :meth:`load` reads them."""
        folder.mkdir(parents=True)
        for name, array in self._named().items():
            np.save(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: str | Path) -> Samples:
        """The samples in a folder, mapped into memory read-only."""
        return cls._of({path.stem: np.load(path, mmap_mode="r") for path in Path(folder).glob("*.npy")})

    def pack(self) -> bytes:
        """All tensors as the content of an ``.npz`` file; :meth:`unpack` reads it."""
        buffer = io.BytesIO()
        np.savez(buffer, **self._named())  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def unpack(cls, content: bytes) -> Samples:
        """The samples in the content of an ``.npz`` file."""
        with np.load(io.BytesIO(content)) as arrays:
            return cls._of(dict(arrays))

    def _named(self) -> dict[str, np.ndarray]:
        """The arrays by names that hold their dtypes: NumPy's format has no names for the dtypes of ml_dtypes."""
        return {
            f"{number}.{array.dtype.name}": array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array
            for number, array in enumerate(self.arrays)
        }

    @classmethod
    def _of(cls, named: Mapping[str, np.ndarray]) -> Samples:
        ordered = sorted(named, key=lambda name: int(name.partition(".")[0]))
        return cls(tuple(named[name].view(np.dtype(name.partition(".")[2])) for name in ordered))


def as_bytes(array: np.ndarray) -> np.ndarray:
    """The bytes of an array as a flat uint8 array."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def same_bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which samples of two arrays ``[samples, ...]`` have equal bits: bool ``[samples]``.

    Bit patterns are compared, not values: NaN equals NaN of the same bits, and -0.0 differs from 0.0.
    """
    flat = [as_bytes(array).reshape(len(array), -1) for array in (first, second)]
    equal: np.ndarray = (flat[0] == flat[1]).all(axis=1)
    return equal


def is_floating(dtype: np.dtype | str) -> bool:
    """Whether a dtype is one of floating-point numbers, bfloat16 and float8 included."""
    return "float" in np.dtype(dtype).name


def as_samples(arrays: Sequence[np.ndarray] | np.ndarray) -> Samples:
    """Samples of several arrays, or of one."""
    return Samples((arrays,) if isinstance(arrays, np.ndarray) else tuple(arrays))
