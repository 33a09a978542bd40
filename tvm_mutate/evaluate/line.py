"""One mutated program on its way over the inputs: only values whose key is not golden are calculated."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import tvm

from tvm_mutate.evaluate.golden import GoldenRow, empty, viewed
from tvm_mutate.evaluate.keys import Key, content_key
from tvm_mutate.evaluate.mutated import GoldenKeys, Mutated, Trace, needed_steps, take_call_keys
from tvm_mutate.evaluate.red_zones import READ, Arena
from tvm_mutate.evaluate.workspace import Workspace
from tvm_mutate.kernels import Kernel
from tvm_mutate.program import KernelCall, Program, ValueType, View


class Line:
    """Runs a mutated program, input by input; buffers are made once and used again.

    Mutated kernels run between red zones, thoroughly for the first input; the others as they are. ``marked`` are those
    of them, by name, that mark conversions to integers of numbers that do not fit, as by ``with_marked_conversions``;
    ``harmless`` are those that are proved to touch nothing but their own buffers.
    """

    def __init__(
        self,
        mutated: Mutated[Kernel],
        golden: GoldenKeys,
        workspace: Workspace,
        marked: Mapping[str, Kernel],
        harmless: frozenset[str],
    ) -> None:
        self._mutated, self._golden, self._workspace = mutated, golden, workspace
        self._marked, self._harmless = marked, harmless
        self._program = mutated.program
        self._constants = _with_views(mutated.program)
        self._inputs = frozenset(mutated.program.inputs)
        self._steps = needed_steps(mutated.program, mutated.keys, golden)
        self._arenas: dict[int, Arena] = {}
        self._buffers: dict[int, tvm.runtime.Tensor] = {}
        self._arrays: dict[int, np.ndarray] = {}
        self._keys: list[Key | None] = []
        self._computed: set[int] = set()
        self._row = GoldenRow({}, {})
        self.trace = Trace()

    def output(self, data: np.ndarray, row: GoldenRow, first: bool) -> np.ndarray:
        """The scores of an input (without its batch axis) whose golden values are ``row``, shape [classes]."""
        self._keys, self._computed, self._row = list(self._mutated.keys), set(), row
        for number in self._program.inputs:
            # A copy, aligned as kernels expect: inputs are mapped read-only, wherever they lie in their file.
            self._keep(number, tvm.runtime.tensor(data[np.newaxis]))
        for number, step in self._steps:
            if isinstance(step, View):
                self._view(step)
            else:
                self._call(number, step, first)
        return self._array(self._program.outputs[0]).reshape(-1).copy()

    def _view(self, step: View) -> None:
        self._keys[step.result] = self._keys[step.argument]
        if step.argument in self._computed:
            self._keep(step.result, viewed(self._buffers[step.argument], self._program.types[step.result]))

    def _call(self, number: int, step: KernelCall, first: bool) -> None:
        kernel = self._mutated.kernels[step.kernel]
        if take_call_keys(step, kernel.digest, self._keys, self._golden):
            return
        mutated = step.kernel in self._mutated.changed
        # What is not known although all that it is made of is golden: another kernel, other arguments or constants.
        fault = mutated or not any(each in self._computed for each in step.arguments if each not in self._inputs)
        contents = self._run_mutated(number, step, kernel, first) if mutated else self._run_plain(step, kernel)
        golden = [self._takes_golden_key(*each) for each in zip(step.results, contents, strict=True)]
        self.trace.note_call(step.kernel, fault, all(golden))

    def _run_mutated(self, number: int, step: KernelCall, kernel: Kernel, first: bool) -> list[Key]:
        """Runs a mutated kernel, and gives the keys of its results by their bytes."""
        if number not in self._arenas:
            harmless = step.kernel in self._harmless
            self._arenas[number] = Arena.of_call(step, self._program, self._workspace, harmless)
        arena = self._arenas[number]
        before = arena.kernel_seconds
        arguments = [self._tensor(each) for each in step.arguments]
        marked = self._marked.get(step.kernel) if first else None
        found = arena.run(kernel, arguments, thoroughly=first, marked=marked)
        self.trace.kernel_seconds += arena.kernel_seconds - before
        self.trace.undefined |= found.undefined | ({READ} if kernel.undefined_values else set())
        for result, array in zip(step.results, found.results, strict=True):
            self._keep(result, tvm.runtime.from_dlpack(array), array)
        return found.keys

    def _run_plain(self, step: KernelCall, kernel: Kernel) -> list[Key]:
        """The same of a kernel that is not mutated."""
        for result in step.results:
            if result not in self._buffers:
                self._keep(result, empty(self._program.types[result]))
        tensors = [self._tensor(each) for each in step.arguments]
        tensors += [self._buffers[result] for result in step.results]
        started = time.perf_counter()
        kernel.run(*tensors)
        self.trace.kernel_seconds += time.perf_counter() - started
        self._computed.update(step.results)
        return [content_key(self._arrays[result]) for result in step.results]

    def _takes_golden_key(self, number: int, content: Key) -> bool:
        """Whether a calculated value is bitwise a golden one, by its content; it then has that value's key."""
        twin = self._row.contents.get(content)
        if twin is None:
            return False
        self._keys[number] = self._golden.keys[twin]
        self._computed.discard(number)
        return True

    def _keep(self, number: int, tensor: tvm.runtime.Tensor, array: np.ndarray | None = None) -> None:
        self._buffers[number] = tensor
        self._arrays[number] = np.from_dlpack(tensor) if array is None else array
        self._computed.add(number)

    def _tensor(self, number: int) -> tvm.runtime.Tensor:
        if number in self._computed:
            return self._buffers[number]
        if number in self._constants:
            return self._constants[number]
        twin, kind = self._twin(number), self._program.types[number]
        if _is(self._row.arrays[twin], kind):
            return self._row.tensor(twin)
        return tvm.runtime.from_dlpack(self._array(number))

    def _array(self, number: int) -> np.ndarray:
        if number in self._computed:
            return self._arrays[number]
        if number in self._constants:
            return np.from_dlpack(self._constants[number])
        kind = self._program.types[number]
        return self._row.arrays[self._twin(number)].view(kind.dtype).reshape(kind.shape)

    def _twin(self, number: int) -> int:
        return self._golden.numbers[self._keys[number] or b""]


def _with_views(program: Program) -> dict[int, tvm.runtime.Tensor]:
    """The constants of a program by number, and the views of them: they are there where constants were not folded."""
    constants = dict(program.constants)
    for step in program.steps:
        if isinstance(step, View) and step.argument in constants:
            constants[step.result] = viewed(constants[step.argument], program.types[step.result])
    return constants


def _is(array: np.ndarray, kind: ValueType) -> bool:
    return array.shape == kind.shape and str(array.dtype) == kind.dtype
