"""The calls of instrumented kernels: how often each was called, and what values it was given and left."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import struct
from collections.abc import Iterator, Sequence

import tvm_ffi
import xxhash

from tvm_mutate.suite.instrument import BEGIN, KERNEL_CALL

# What each argument of a call held, as digests; and those before and after each call of a kernel, in order.
Held = tuple[str, ...]
Values = Sequence[tuple[Held, Held]]

# In the third case others were left, and other values were there before: it depends on whether these matter.
CHANGED, UNCHANGED, DEPENDS, UNKNOWN = "changed", "unchanged", "depends", "unknown"
# Beyond these nothing more is noted: of calls of one kernel, and of different kernels in one test.
_MOST_CALLS = 64
_MOST_KERNELS = 4096
_COUNT = struct.Struct("=q")
_ANY_BYTES = 16  # TVMFFIAny: the index of its type, padding, eight bytes of value
_HEADER_BYTES = 24  # TVMFFIObject, in front of the DLTensor of a tensor
_DLTENSOR_POINTER, _TENSOR = 7, 70
_ON_PROCESSOR = 1


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class KernelCalls:
    """Counts the calls of kernels in this process and in those that it forks, and notes their values in this one."""

    def __init__(self) -> None:
        self._counts = mmap.mmap(-1, _COUNT.size * _MOST_KERNELS)  # shared with forked processes
        self._numbers: dict[str, int] = {}
        self._open: list[tuple[int, Held | None]] = []
        self._values: dict[int, list[tuple[Held, Held]]] = {}
        self._process = os.getpid()

    def number(self, digest: str) -> int | None:
        """The number by which the calls of a kernel are told; None where there are too many kernels."""
        if digest not in self._numbers and len(self._numbers) == _MOST_KERNELS:
            return None
        return self._numbers.setdefault(digest, len(self._numbers))

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """While this lasts, instrumented kernels are heard; calls after it are not an error."""
        tvm_ffi.register_global_func(KERNEL_CALL, self._told, override=True)
        try:
            yield
        finally:
            tvm_ffi.register_global_func(KERNEL_CALL, _heard_by_nobody, override=True)

    def counts(self) -> dict[str, int]:
        """How often each kernel that has a number was called."""
        return {digest: self._count(number) for digest, number in self._numbers.items()}

    def values(self) -> dict[str, Values]:
        """What calls of each kernel were given and left, of those that could be looked at, by digest."""
        return {digest: self._values[number] for digest, number in self._numbers.items() if number in self._values}

    def _count(self, number: int) -> int:
        return int(_COUNT.unpack_from(self._counts, number * _COUNT.size)[0])

    def _told(self, number: int, phase: int, arguments: ctypes.c_void_p, count: int, result: ctypes.c_void_p) -> None:
        if phase == BEGIN:
            _COUNT.pack_into(self._counts, number * _COUNT.size, self._count(number) + 1)
        if os.getpid() != self._process:
            return
        values = self._values.setdefault(number, [])
        held = _held(arguments.value or 0, count) if len(values) < _MOST_CALLS else None
        if phase == BEGIN:
            self._open.append((number, held))
            return
        while self._open:
            opened, before = self._open.pop()  # a kernel that returned early never told its end
            if opened == number:
                if before is not None and held is not None:
                    values.append(((*before, ""), (*held, _plain(result.value or 0))))
                return


def compare_values(before: Values | None, after: Values | None) -> str:
    """Whether a kernel left other values than before when it was given the same, call by call.

    What a call leaves as it is, with the fault and without, is what it is given.
    """
    if not before or not after:
        return UNKNOWN
    found = {_compare_calls(old, new) for old, new in zip(before, after, strict=False)}
    if len(before) != len(after):
        found.add(UNKNOWN)
    return next(each for each in (CHANGED, DEPENDS, UNKNOWN, UNCHANGED) if each in found)


def _compare_calls(old: tuple[Held, Held], new: tuple[Held, Held]) -> str:
    if len(old[0]) != len(new[0]):
        return UNKNOWN
    arguments = list(zip(*old, *new, strict=True))
    left: list[tuple[str, str, str, str]] = []
    given: list[tuple[str, str, str, str]] = []
    for was, became, is_now, becomes in arguments:
        (given if was == became and is_now == becomes else left).append((was, became, is_now, becomes))
    if any(was != is_now for was, _, is_now, _ in given):
        return UNKNOWN
    if all(became == becomes for _, became, _, becomes in left):
        return UNCHANGED
    return CHANGED if all(was == is_now for was, _, is_now, _ in left) else DEPENDS


def _heard_by_nobody(*_told: object) -> None:
    """Takes the place of what counted: libraries may be called after it is gone."""


def _held(arguments: int, count: int) -> Held | None:
    """A digest of the value of each argument of a packed call; None where one of them cannot be looked at."""
    held = []
    for position in range(count):
        at = arguments + position * _ANY_BYTES
        kind = ctypes.c_int32.from_address(at).value
        if kind not in (_DLTENSOR_POINTER, _TENSOR):
            if kind >= _DLTENSOR_POINTER:
                return None
            held.append(_plain(at))
            continue
        address = ctypes.c_uint64.from_address(at + 8).value + (_HEADER_BYTES if kind == _TENSOR else 0)
        digest = xxhash.xxh3_128()
        if not _add_tensor(digest, _DLTensor.from_address(address)):
            return None
        held.append(digest.hexdigest())
    return tuple(held)


def _plain(address: int) -> str:
    """The value of what is at an address, a number or nothing, with its type; "" where there is no address."""
    return ctypes.string_at(address, _ANY_BYTES).hex() if address else ""


def _add_tensor(digest: xxhash.xxh3_128, tensor: _DLTensor) -> bool:
    if tensor.device_type != _ON_PROCESSOR:
        return False
    shape = [tensor.shape[axis] for axis in range(tensor.ndim)]
    elements, expected = 1, True
    for axis in reversed(range(tensor.ndim)):
        expected = expected and (not tensor.strides or shape[axis] == 1 or tensor.strides[axis] == elements)
        elements *= shape[axis]
    if not expected:  # what lies between the elements is nobody's
        return False
    size = (elements * tensor.bits * tensor.lanes + 7) // 8
    digest.update(repr((shape, tensor.code, tensor.bits, tensor.lanes)).encode())
    if size and tensor.data:
        digest.update(ctypes.string_at(tensor.data + tensor.byte_offset, size))
    return True
