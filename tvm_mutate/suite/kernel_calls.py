"""Instrumented kernels: how often each kernel is called, and the values of its arguments before and after each call."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import tvm
import tvm_ffi
import xxhash
from tvm import tirx
from tvm.ir import CallingConv

from tvm_mutate.passes import COMPUTE_SCOPE
from tvm_mutate.text_enum import TextEnum

# The digests of the arguments of a call; and those before and after each call of a kernel, in order.
Digests = tuple[str, ...]
CallValues = Sequence[tuple[Digests, Digests]]

_CALLBACK = "tvm_mutate.suite.kernel"
_BEGIN, _END = 0, 1
# Further calls of one kernel, and further kernels of one test, are not noted.
_MOST_CALLS = 64
_MOST_KERNELS = 4096
_COUNT = struct.Struct("=q")
_ANY_BYTES = 16  # TVMFFIAny: the index of the type, padding, eight bytes of value
_HEADER_BYTES = 24  # TVMFFIObject, in front of the DLTensor of a tensor
_DLTENSOR_POINTER, _TENSOR = 7, 70
_CPU = 1


class ValueChange(TextEnum):
    """Whether a mutant changes the values that a kernel leaves; the finding that counts most comes first.

    ``depends``: the kernel left other values, but memory that the kernel wrote held other values before, too.
    """

    CHANGED = "changed"
    DEPENDS = "depends"
    UNKNOWN = "unknown"
    UNCHANGED = "unchanged"


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
    """Counts the calls of kernels in this process and its forked children, and notes the values in this process."""

    def __init__(self) -> None:
        self._counts = mmap.mmap(-1, _COUNT.size * _MOST_KERNELS)  # shared with forked processes
        self._numbers: dict[str, int] = {}
        self._open: list[tuple[int, Digests | None]] = []
        self._values: dict[int, list[tuple[Digests, Digests]]] = {}
        self._process = os.getpid()

    def instrument(self, function: tirx.PrimFunc, digest: str) -> tirx.PrimFunc | None:
        """The lowered function of a kernel with calls that report its number and arguments; None if impossible.

        The calls stand before and after the computation, which stays the same, to the last node. Only functions with
        the packed calling convention can be instrumented: a packed call may fail, and other functions have no way to
        pass the failure on.
        """
        convention = int(function.attrs.get("calling_conv", 0)) if function.attrs else 0
        full = digest not in self._numbers and len(self._numbers) == _MOST_KERNELS
        if full or convention != int(CallingConv.C_PACKED_FUNC) or not _is_for_cpu(function):
            return None
        number = self._numbers.setdefault(digest, len(self._numbers))
        handles = list(function.params)[1:]  # the arguments, their number, and the address of the result

        def report(phase: int) -> Any:
            return tirx.Evaluate(tirx.call_packed(_CALLBACK, number, phase, *handles))

        def on_attribute(node: Any, mutator: Any) -> Any:
            if node.attr_key != COMPUTE_SCOPE:
                return mutator.default_mutate(node)
            return tirx.SeqStmt([report(_BEGIN), node, report(_END)])

        instrumented = tvm_ffi.structural_mutate(function, [(tirx.AttrStmt, on_attribute)])
        return None if instrumented.same_as(function) else instrumented

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Receives the reports of instrumented kernels inside the context; later calls of such kernels do nothing."""
        tvm_ffi.register_global_func(_CALLBACK, self._on_call, override=True)
        try:
            yield
        finally:
            tvm_ffi.register_global_func(_CALLBACK, lambda *_arguments: None, override=True)

    def counts(self) -> dict[str, int]:
        """How often each instrumented kernel was called, by digest."""
        return {digest: self._count(number) for digest, number in self._numbers.items()}

    def values(self) -> dict[str, CallValues]:
        """The values of the calls of each kernel whose arguments can be read, by digest."""
        return {digest: self._values[number] for digest, number in self._numbers.items() if number in self._values}

    def _count(self, number: int) -> int:
        return int(_COUNT.unpack_from(self._counts, number * _COUNT.size)[0])

    def _on_call(
        self, number: int, phase: int, arguments: ctypes.c_void_p, count: int, result: ctypes.c_void_p
    ) -> None:
        if phase == _BEGIN:
            _COUNT.pack_into(self._counts, number * _COUNT.size, self._count(number) + 1)
        if os.getpid() != self._process:
            return
        values = self._values.setdefault(number, [])
        digests = _digests(arguments.value or 0, count) if len(values) < _MOST_CALLS else None
        if phase == _BEGIN:
            self._open.append((number, digests))
            return
        while self._open:
            opened, before = self._open.pop()  # a kernel that returned early did not report its end
            if opened == number:
                if before is not None and digests is not None:
                    values.append(((*before, ""), (*digests, _plain(result.value or 0))))
                return


def compare_values(before: CallValues | None, after: CallValues | None) -> ValueChange:
    """Whether a kernel with a mutant (``after``) leaves other values than without it, given the same, call by call.

    An argument that the kernel writes neither with nor without the mutant is an input of the call.
    """
    if not before or not after:
        return ValueChange.UNKNOWN
    found = {_compare_calls(old, new) for old, new in zip(before, after, strict=False)}
    if len(before) != len(after):
        found.add(ValueChange.UNKNOWN)
    return next(each for each in ValueChange if each in found)


def _compare_calls(old: tuple[Digests, Digests], new: tuple[Digests, Digests]) -> ValueChange:
    if len(old[0]) != len(new[0]):
        return ValueChange.UNKNOWN
    arguments = list(zip(*old, *new, strict=True))
    written = [each for each in arguments if each[0] != each[1] or each[2] != each[3]]
    inputs = [each for each in arguments if each not in written]
    if any(was != is_now for was, _, is_now, _ in inputs):
        return ValueChange.UNKNOWN
    if all(became == becomes for _, became, _, becomes in written):
        return ValueChange.UNCHANGED
    same_memory = all(was == is_now for was, _, is_now, _ in written)
    return ValueChange.CHANGED if same_memory else ValueChange.DEPENDS


def _is_for_cpu(function: tirx.PrimFunc) -> bool:
    target = function.attrs.get("target") if function.attrs else None
    return target is None or tvm.target.Target(target).kind.name in ("llvm", "c")


def _digests(arguments: int, count: int) -> Digests | None:
    """The digest of each argument of a packed call, at this address; None if an argument cannot be read."""
    digests = []
    for position in range(count):
        at = arguments + position * _ANY_BYTES
        kind = ctypes.c_int32.from_address(at).value
        if kind not in (_DLTENSOR_POINTER, _TENSOR):
            if kind >= _DLTENSOR_POINTER:
                return None
            digests.append(_plain(at))
            continue
        address = ctypes.c_uint64.from_address(at + 8).value + (_HEADER_BYTES if kind == _TENSOR else 0)
        digest = _tensor_digest(_DLTensor.from_address(address))
        if digest is None:
            return None
        digests.append(digest)
    return tuple(digests)


def _plain(address: int) -> str:
    """The number, or None, of a TVMFFIAny at an address, with its type; "" for a null address."""
    return ctypes.string_at(address, _ANY_BYTES).hex() if address else ""


def _tensor_digest(tensor: _DLTensor) -> str | None:
    """The digest of a tensor; None if the tensor is on another device or has gaps between its elements."""
    if tensor.device_type != _CPU:
        return None
    shape = [tensor.shape[axis] for axis in range(tensor.ndim)]
    elements = 1
    for axis in reversed(range(tensor.ndim)):
        if tensor.strides and shape[axis] != 1 and tensor.strides[axis] != elements:
            return None
        elements *= shape[axis]
    size = (elements * tensor.bits * tensor.lanes + 7) // 8
    digest = xxhash.xxh3_128(repr((shape, tensor.code, tensor.bits, tensor.lanes)).encode())
    if size and tensor.data:
        digest.update(ctypes.string_at(tensor.data + tensor.byte_offset, size))
    return digest.hexdigest()
