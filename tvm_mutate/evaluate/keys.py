"""Keys of values: the code and the inputs that a value is computed from, so that no value is computed twice."""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import xxhash

from tvm_mutate.evaluate.program import KernelCall, Program, Step, View

Key = bytes
KEY_BYTES = 16


class CodeDigest(Protocol):
    """A compiled kernel, as far as keys need it."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the generated code."""
        ...

    @property
    def undefined_values(self) -> bool:
        """Whether the code is known to use values that were never written."""
        ...


AnyKernel = TypeVar("AnyKernel", bound=CodeDigest, covariant=True)


def call_key(digest: str, arguments: Sequence[Key | None], position: int) -> Key:
    """The key of the ``position``-th result of a kernel with this code digest on values with these keys."""
    content = hashlib.blake2b(digest.encode(), digest_size=KEY_BYTES)
    for key in arguments:
        content.update(b"|" + (key or b""))
    content.update(b"#%d" % position)
    return content.digest()


def value_keys(program: Program, digests: Mapping[str, str], constants: ConstantKeys) -> list[Key | None]:
    """The key of every value of a program, by number: ``H(kernel code, keys of its inputs)``.

    Inputs are keyed by position, because values are compared for one input at a time; constants by their bytes; a view
    has its argument's key. None for a value that nothing writes.
    """
    keys: list[Key | None] = [None] * len(program.types)
    for position, number in enumerate(program.inputs):
        keys[number] = b"input %d" % position
    for number, tensor in program.constants.items():
        keys[number] = constants.of(tensor)
    for step in program.steps:
        if isinstance(step, View):
            keys[step.result] = keys[step.argument]
        else:
            for position, result in enumerate(step.results):
                keys[result] = call_key(digests[step.kernel], [keys[each] for each in step.arguments], position)
    return keys


def content_key(array: np.ndarray) -> Key:
    """A key made of an array's bytes: 128 bits of xxHash, so that equal keys mean equal bytes."""
    return xxhash.xxh3_128_digest(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


class ConstantKeys:
    """Keys of constants by their bytes, each calculated once: programs of one model share their weights.

    The keys of ``shared`` are known already.
    """

    def __init__(self, shared: ConstantKeys | None = None) -> None:
        self._known: ChainMap[int, tuple[Any, Key]] = ChainMap({}, *(shared._known.maps if shared else ()))

    def of(self, tensor: Any) -> Key:
        """The key of a constant tensor."""
        array = tensor.numpy() if not hasattr(tensor, "__dlpack__") else np.from_dlpack(tensor)
        address = array.__array_interface__["data"][0]
        if address not in self._known:
            key = content_key(array) + f"{array.dtype}{array.shape}".encode()
            self._known[address] = (tensor, key)  # the tensor is kept, so that its address stays its own
        return self._known[address][1]

    def of_program(self, program: Program) -> dict[int, Key]:
        """The keys of a program's constants, by number."""
        return {number: self.of(tensor) for number, tensor in program.constants.items()}


@dataclass(frozen=True)
class GoldenKeys:
    """The keys of the unmutated program's values, by number, and the numbers of the kernels' results, by key."""

    keys: tuple[Key | None, ...]
    numbers: Mapping[Key, int]

    @classmethod
    def of(cls, program: Program, keys: tuple[Key | None, ...]) -> GoldenKeys:
        """The golden keys of a program; a view shares its argument's key and has no bytes of its own."""
        written = [each for step in program.steps if isinstance(step, KernelCall) for each in step.results]
        return cls(keys, {keys[number] or b"": number for number in written})


@dataclass(frozen=True)
class MutatedProgram(Generic[AnyKernel]):
    """A mutated program with its kernels by name, the names of the changed ones, and the keys of its values."""

    program: Program
    kernels: Mapping[str, AnyKernel]
    changed: frozenset[str]
    keys: tuple[Key | None, ...]


def needed_steps(program: Program, keys: Sequence[Key | None], golden: GoldenKeys) -> list[tuple[int, Step]]:
    """The steps that the output needs and that are not known to be golden, with their numbers, in order."""
    writers = program.writers()
    needed: set[int] = set()
    waiting = list(program.outputs)
    while waiting:
        value = waiting.pop()
        step = writers.get(value)
        if step is None or step in needed or keys[value] in golden.numbers:
            continue
        needed.add(step)
        at = program.steps[step]
        waiting += at.arguments if isinstance(at, KernelCall) else (at.argument,)
    return [(number, program.steps[number]) for number in sorted(needed)]
