"""The memory of this machine: values are tensors of this process."""

from __future__ import annotations

import ctypes
import math
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import libinfo, tirx
from tvm.s_tir.stmt import SBlock
from tvm.script import tirx as T  # noqa: N812
from tvm.target import Target
from tvm.tirx.buffer import BufferType

from tvm_mutate.evaluate.memory import CONVERSION, NEAR_BYTES, PATTERNS, READ, WRITE, Function, is_filled
from tvm_mutate.evaluate.program import KernelCall, Key, Program, ValueType, content_key, number_of, tensor_bytes
from tvm_mutate.evaluate.program_run import run_calls
from tvm_mutate.kernels import Kernel
from tvm_mutate.samples import Sample, as_bytes

_UNKNOWN = ValueType((), "")
ALIGNMENT = 64  # what TVM's kernels expect of their buffers
_CPU = 1  # kDLCPU
_OF_ML_DTYPES = "V"  # the kind of bfloat16 and float8, which DLPack of NumPy does not know
_SYMBOL = "run_on_filled_stack"
# TVM puts buffers below 1 KiB on the stack (kMaxStackAlloca), a few of them in one kernel.
_STACK_BYTES = 1 << 16
# The frame that calls the kernel has to do the filling: anything that ran in between would leave its own bytes.
_CODE = f"""
declare i32 @TVMFFIFunctionCall(ptr, ptr, i32, ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define internal void @fill(i8 %byte) noinline {{
  %area = alloca [{_STACK_BYTES} x i8], align 64
  call void @llvm.memset.p0.i64(ptr %area, i8 %byte, i64 {_STACK_BYTES}, i1 true)
  ret void
}}

define dllexport i32 @__tvm_ffi_{_SYMBOL}(ptr %self, ptr %arguments, i32 %count, ptr %result) {{
  %first = getelementptr i8, ptr %arguments, i64 8
  %byte = load i8, ptr %first
  %second = getelementptr i8, ptr %arguments, i64 24
  %kernel = load ptr, ptr %second
  %others = getelementptr i8, ptr %arguments, i64 32
  %left = sub i32 %count, 2
  call void @fill(i8 %byte)
  %code = call i32 @TVMFFIFunctionCall(ptr %kernel, ptr %others, i32 %left, ptr %result)
  ret i32 %code
}}
"""


class HostValue:
    """A tensor of this process, an array over the same memory, and the key of its bytes if it is known."""

    def __init__(self, tensor: tvm.runtime.Tensor, array: np.ndarray | None = None, key: Key | None = None) -> None:
        self.tensor, self.key = tensor, key
        if array is not None:
            self.array = array

    @classmethod
    def of(cls, array: np.ndarray) -> HostValue:
        """The value that an array holds, without a copy."""
        if array.dtype.kind != _OF_ML_DTYPES:
            return cls(tvm.runtime.from_dlpack(array), array)
        tensor = tvm.runtime.from_dlpack(as_bytes(array))
        return cls(tensor._create_view(array.shape, array.dtype.name), array)

    @cached_property
    def array(self) -> np.ndarray:
        """The content, in the memory of the tensor."""
        dtype = np.dtype(str(self.tensor.dtype))
        if dtype.kind != _OF_ML_DTYPES:
            return np.from_dlpack(self.tensor)
        return tensor_bytes(self.tensor).view(dtype).reshape(tuple(self.tensor.shape))


class HostMemory:
    """Values and kernel calls in this process."""

    @cached_property
    def temporaries(self) -> Temporaries:
        """The temporary buffers of mutated kernels, compiled at the first use."""
        return Temporaries()

    def view(self, value: HostValue, kind: ValueType) -> HostValue:
        """The same bytes under another shape."""
        return HostValue.of(value.array.reshape(kind.shape))

    def empty(self, kind: ValueType) -> HostValue:
        """A value with undefined content."""
        return HostValue(tvm.runtime.empty(kind.shape, kind.dtype))

    def launch(
        self,
        function: Function,
        arguments: Sequence[HostValue],
        results: Sequence[HostValue],
        scalars: Sequence[int] = (),
    ) -> None:
        """Calls a kernel, which has ended when the call returns."""
        function(*(value.tensor for value in arguments), *scalars, *(value.tensor for value in results))

    def wait(self) -> None:
        """Does nothing: a kernel has ended when its call returns."""

    def arena(self, call: KernelCall, program: Program, harmless: bool) -> HostArena:
        """The buffers for a call of a mutated kernel."""
        arguments, results = ([program.types[each] for each in numbers] for numbers in (call.arguments, call.results))
        sizes = temporary_sizes(program.kernels[call.kernel], [*arguments, *results], call.scalars)
        return HostArena(arguments, results, self.temporaries, sizes, harmless, call.scalars)

    def read(self, value: HostValue) -> np.ndarray:
        """The content of a value, without a copy."""
        return value.array


class HostArena:
    """The buffers of one call of a mutated kernel, each between two bands of one byte pattern.

    ``arguments`` and ``results`` are types, ``sizes`` the sizes of the temporary buffers in bytes. A kernel that is
    proved to be ``harmless`` gets its arguments without a copy, and short bands.
    """

    def __init__(
        self,
        arguments: Sequence[ValueType],
        results: Sequence[ValueType],
        temporaries: Temporaries,
        sizes: Sequence[int],
        harmless: bool = False,
        scalars: Sequence[int] = (),
    ) -> None:
        self._scalars = scalars
        copied = [] if harmless else list(arguments)
        kinds = [*copied, *results]
        # A wrong index may miss by the length of the buffer, so the bands are that long.
        starts, end = _places(kinds, max([NEAR_BYTES, *(kind.byte_count for kind in kinds if not harmless)]))
        self._temporaries, self._sizes, self._harmless = temporaries, sizes, harmless
        memory = np.empty(end + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self._memory = memory[start : start + end]
        self._bands = [self._memory[: starts[0]]] + [
            self._memory[at + kind.byte_count : following]
            for at, kind, following in zip(starts, kinds, [*starts[1:], end], strict=True)
        ]
        values = [HostValue.of(typed(self._memory, at, kind)) for at, kind in zip(starts, kinds, strict=True)]
        self._copies, self._results = values[: len(copied)], values[len(copied) :]
        self._pattern = -1
        self.kernel_seconds = 0.0

    def run(
        self, function: Function, arguments: Sequence[HostValue], thoroughly: bool, marked: Function | None = None
    ) -> tuple[list[HostValue], set[str]]:
        """The results of the kernel under the first pattern, and the kinds of undefined behaviour seen."""
        undefined: set[str] = set()
        expected = None if marked is None else self._run(PATTERNS[0], marked, arguments, undefined, False)
        others = [self._run(each, function, arguments, undefined, True) for each in PATTERNS[1:]] if thoroughly else []
        # The first pattern comes last, so that garbage is the same every time.
        keys = self._run(PATTERNS[0], function, arguments, undefined, thoroughly)
        if any(other != keys for other in others):
            undefined.add(READ)
        if expected is not None and expected != keys:
            undefined.add(CONVERSION)
        return [
            HostValue(value.tensor, value.array, key) for value, key in zip(self._results, keys, strict=True)
        ], undefined

    def _run(
        self, pattern: int, function: Function, arguments: Sequence[HostValue], undefined: set[str], thoroughly: bool
    ) -> list[Key]:
        self._fill(pattern)
        for copy, argument in zip(self._copies, arguments, strict=False):  # a harmless kernel has no copies
            copy.array[...] = argument.array.reshape(copy.array.shape)
        before = [content_key(copy.array) for copy in self._copies]
        given = arguments if self._harmless else self._copies
        taken, made = ([value.tensor for value in values] for values in (given, self._results))
        self.kernel_seconds += self._temporaries.run(function, [*taken, *self._scalars, *made], pattern, self._sizes)
        if not self._intact(pattern, thoroughly) or before != [content_key(copy.array) for copy in self._copies]:
            undefined.add(WRITE)
            self._pattern = -1  # the bands must be filled again
        return [content_key(value.array) for value in self._results]

    def _fill(self, pattern: int) -> None:
        if self._pattern != pattern:
            self._memory[...] = pattern
            self._pattern = pattern
        for value in self._results:
            value.array.view(np.uint8)[...] = pattern

    def _intact(self, pattern: int, thoroughly: bool) -> bool:
        if thoroughly:
            return all(is_filled(band, pattern) for band in self._bands)
        ends = [end for band in self._bands for end in (band[:NEAR_BYTES], band[-NEAR_BYTES:])]
        return all(is_filled(end, pattern) for end in ends)


class HostRow:
    """One sample, its golden values by number, and the numbers of the golden values by the keys of their bytes."""

    def __init__(self, sample: Sample, arrays: Mapping[int, np.ndarray], contents: Mapping[Key, int]) -> None:
        self._sample, self.arrays, self._contents = sample, arrays, contents
        self._values: dict[int, HostValue] = {}

    @classmethod
    def of(cls, sample: Sample, arrays: Mapping[int, np.ndarray], numbers: Iterable[int]) -> HostRow:
        """A row of computed values; the values with ``numbers`` are found by content."""
        return cls(sample, arrays, {content_key(arrays[number]): number for number in numbers})

    def input(self, number: int) -> HostValue:
        """An aligned copy, as kernels expect: the inputs are mapped read-only at any place in their file.

        The inputs of a program are its first values.
        """
        return HostValue(tvm.runtime.tensor(self._sample[number]))

    def value(self, number: int, kind: ValueType) -> HostValue:
        """The golden value that a kernel wrote as ``number``, under the type ``kind``."""
        array = self.arrays[number]
        if array.shape != kind.shape or str(array.dtype) != kind.dtype:
            return HostValue.of(array.view(kind.dtype).reshape(kind.shape))
        if number not in self._values:
            self._values[number] = HostValue.of(array)
        return self._values[number]

    def find(self, value: HostValue, number: int, is_rewired: bool) -> int | None:
        """The number of any golden value with the same bits as ``value``, or None."""
        return self._contents.get(value.key or content_key(value.array))


def start_values(program: Program, sample: Sample) -> dict[int, HostValue]:
    """The inputs and the constants of a program, by number."""
    values = {
        number: HostValue(tvm.runtime.tensor(array)) for number, array in zip(program.inputs, sample, strict=True)
    }
    return values | constants_of(program)


def constants_of(program: Program) -> dict[int, HostValue]:
    """The constants of a program, by number."""
    return {number: HostValue(tensor) for number, tensor in program.constants.items()}


def run_on_host(
    program: Program, kernels: Mapping[str, Kernel], sample: Sample, memory: HostMemory
) -> dict[int, np.ndarray]:
    """All values of an unmutated program for one sample, by number."""
    values = start_values(program, sample)
    for _ in run_calls(program, {name: kernel.run for name, kernel in kernels.items()}, memory, values):
        pass
    return {number: value.array for number, value in values.items()}


def _places(kinds: Sequence[ValueType], band: int) -> tuple[list[int], int]:
    """The start of each buffer and the length of the memory, with a band before the first and after each buffer."""
    aligned = -(-band // ALIGNMENT) * ALIGNMENT
    starts, end = [], aligned
    for kind in kinds:
        starts.append(end)
        end += -(-kind.byte_count // ALIGNMENT) * ALIGNMENT + aligned
    return starts, end


def typed(memory: np.ndarray, offset: int, kind: ValueType) -> np.ndarray:
    """The bytes at ``offset`` as an array of the type."""
    return memory[offset : offset + kind.byte_count].view(kind.dtype).reshape(kind.shape)


class Temporaries:
    """The memory of a CPU kernel's temporary buffers, filled with a known pattern: TVM's workspace pool and the stack.

    The pool (src/runtime/workspace_pool.cc) gives the smallest free page that fits, so a kernel gets the pages that
    were filled for the sizes of its temporary buffers; small buffers are on the stack. A kernel that reads a temporary
    buffer before writing to it reads the same bytes every time.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(str(libinfo.find_libtvm_runtime()))
        self._allocate, self._free = library.TVMBackendAllocWorkspace, library.TVMBackendFreeWorkspace
        self._allocate.restype = ctypes.c_void_p
        self._allocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
        self._free.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
        self._call = _filled_stack_caller()

    def run(self, kernel: Any, arguments: Sequence[Any], pattern: int, sizes: Sequence[int]) -> float:
        """Fills temporary buffers of these sizes in bytes with a pattern and calls the kernel; gives its seconds."""
        for page in self._pages(sizes):
            page[...] = pattern
        started = time.perf_counter()
        self._call(pattern, kernel, *arguments)
        return time.perf_counter() - started

    def _pages(self, sizes: Sequence[int]) -> list[np.ndarray]:
        """Pages of these sizes in bytes, returned to the pool, which keeps them for the next kernel."""
        addresses = [self._allocate(_CPU, 0, size, 2, 32) for size in sizes]
        for address in reversed(addresses):
            self._free(_CPU, 0, address)
        return [
            np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
            for address, size in zip(addresses, sizes, strict=True)
        ]


def temporary_sizes(
    function: tirx.PrimFunc, tensors: Sequence[ValueType] = (), scalars: Sequence[int] = ()
) -> tuple[int, ...]:
    """The sizes in bytes of the buffers that a structured PrimFunc allocates, the largest first.

    For a function of symbolic shapes, ``tensors`` and ``scalars`` are what the function is called with. Buffers whose
    size depends on data are left out.
    """
    symbols: dict[Any, Any] = {}
    taken, left = iter(tensors), iter(scalars)
    for parameter in function.params:
        if isinstance(parameter.ty, BufferType):
            for dimension, size in zip(parameter.ty.shape, next(taken, _UNKNOWN).shape, strict=False):
                if isinstance(dimension, tirx.Var):
                    symbols[dimension] = tirx.IntImm(dimension.ty, size)
        elif (scalar := next(left, None)) is not None:
            symbols[parameter] = tirx.IntImm(parameter.ty, scalar)
    sizes: list[int] = []

    def note(block: SBlock) -> None:
        for buffer in block.alloc_buffers:
            shape = [number for each in buffer.shape if (number := number_of(each, symbols)) is not None]
            if len(shape) == len(buffer.shape):
                sizes.append(math.prod(shape) * int(tvm_ffi.dtype(str(buffer.dtype)).itemsize))

    tvm_ffi.structural_walk(function, [(SBlock, note)])
    return tuple(sorted(sizes, reverse=True))


def _filled_stack_caller() -> Any:
    """A function ``call(byte, kernel, *arguments)`` that fills the stack below its frame and calls the kernel.

    Arguments are ``TVMFFIAny``, 16 bytes each with the value in the second half (tvm/ffi/c_api.h).
    """
    with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
        path = Path(folder) / "stack.ll"
        path.write_text(_preamble() + _CODE)
        return tvm.runtime.load_module(str(path))[_SYMBOL]


def _preamble() -> str:
    """The data layout and the triple of this machine in LLVM IR."""

    @T.prim_func
    def nothing(buffer: T.Buffer((1,), "float32")) -> None:  # type: ignore[valid-type]
        buffer[0] = T.float32(0)

    text = tirx.build(tvm.IRModule({"nothing": nothing}), target=Target("llvm")).inspect_source("ll")
    return "\n".join(line for line in text.splitlines() if line.startswith("target ")) + "\n"
