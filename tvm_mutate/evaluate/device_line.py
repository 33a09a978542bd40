"""One mutated program on its way over the inputs on a device, where its values stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_mutate.evaluate.device_arena import DeviceArena
from tvm_mutate.evaluate.device_memory import Block, DeviceMemory
from tvm_mutate.evaluate.keys import Key
from tvm_mutate.evaluate.mutated import GoldenKeys, Mutated, Trace, needed_steps, take_call_keys
from tvm_mutate.evaluate.rebuild import Progress
from tvm_mutate.evaluate.red_zones import READ
from tvm_mutate.evaluate.stopping import StopRule
from tvm_mutate.kernels import SLOTS
from tvm_mutate.program import KernelCall, View


@dataclass(frozen=True)
class DeviceKernel:
    """A kernel in a library: its name there, the digest of its code, and whether it is in the mutant's own library.

    ``undefined_values`` says whether its code is known to use values that were never written.
    """

    name: str
    digest: str
    is_own: bool = False
    undefined_values: bool = False


@dataclass(frozen=True)
class DeviceTask:
    """A mutant to be run on a device; its program is without kernels and constants.

    ``constants`` are the keys of its constants by number, ``new`` the content of those that the unmutated program does
    not have. Kernels that are ``guarded`` may touch what is not theirs. ``is_rewired`` says whether values may have
    other numbers than in the unmutated program. ``library`` is the path of its changed kernels, if there are any, and
    ``marked_library`` that of those that are ``marked``: they say which conversions to integers do not fit.
    """

    mutated: Mutated[DeviceKernel]
    constants: Mapping[int, Key]
    new: Mapping[Key, np.ndarray]
    guarded: frozenset[str]
    is_rewired: bool
    library: str | None
    marked_library: str | None
    marked: frozenset[str]
    stop: StopRule | None
    progress: Progress


class DeviceLine:
    """Runs a mutated program, input by input; buffers are made once and used again.

    ``functions`` are its kernels by name, ``marked`` those of them that mark conversions, ``constants`` its constants
    by number. Mutated kernels run thoroughly for the first input.
    """

    def __init__(
        self,
        task: DeviceTask,
        golden: GoldenKeys,
        memory: DeviceMemory,
        functions: Mapping[str, Callable[..., Any]],
        marked: Mapping[str, Callable[..., Any]],
        constants: Mapping[int, Block],
    ) -> None:
        self._task, self._golden, self._memory = task, golden, memory
        self._functions, self._marked = functions, marked
        self._program = task.mutated.program
        self._constants = dict(constants)
        for step in self._program.steps:
            if isinstance(step, View) and step.argument in self._constants:
                self._constants[step.result] = self._constants[step.argument].as_type(self._program.types[step.result])
        self._steps = needed_steps(self._program, task.mutated.keys, golden)
        self._arenas: dict[int, DeviceArena] = {}
        self._buffers: dict[int, Block] = {}
        self._keys: list[Key | None] = []
        self._computed: dict[int, Block] = {}
        self._row: Mapping[int, Block] = {}
        self.trace = Trace()

    def output(self, row: Mapping[int, Block], first: bool) -> np.ndarray:
        """The scores of the input whose golden values, and itself, are ``row``; shape [classes]."""
        self._keys, self._computed, self._row = list(self._task.mutated.keys), {}, row
        for number, step in self._steps:
            if isinstance(step, View):
                self._keys[step.result] = self._keys[step.argument]
                if step.argument in self._computed:
                    kind = self._program.types[step.result]
                    self._computed[step.result] = self._computed[step.argument].as_type(kind)
            else:
                self._call(number, step, first)
        return np.ascontiguousarray(self._block(self._program.outputs[0]).tensor.numpy()).reshape(-1)

    def _call(self, number: int, step: KernelCall, first: bool) -> None:
        kernel = self._task.mutated.kernels[step.kernel]
        if take_call_keys(step, kernel.digest, self._keys, self._golden):
            return
        mutated = step.kernel in self._task.mutated.changed
        # What is not known although all that it is made of is golden: another kernel, other arguments or constants.
        fault = mutated or not any(each in self._computed for each in step.arguments)
        arguments = [self._block(each) for each in step.arguments]
        if mutated:
            results = self._run_mutated(number, step, kernel, arguments, first)
        else:
            results = self._run_plain(step, arguments)
        self._computed.update(zip(step.results, results, strict=True))
        golden = [self._takes_golden_key(result) for result in step.results]
        self.trace.note_call(step.kernel, fault, all(golden))

    def _run_mutated(
        self, number: int, step: KernelCall, kernel: DeviceKernel, arguments: list[Block], first: bool
    ) -> list[Block]:
        if number not in self._arenas:
            types = self._program.types
            given, results = [types[each] for each in step.arguments], [types[each] for each in step.results]
            self._arenas[number] = DeviceArena(self._memory, given, results, step.kernel in self._task.guarded)
        arena = self._arenas[number]
        before = arena.kernel_seconds
        marked = self._marked.get(step.kernel) if first else None
        blocks, undefined = arena.run(self._functions[step.kernel], arguments, thoroughly=first, marked=marked)
        self.trace.kernel_seconds += arena.kernel_seconds - before
        self.trace.undefined |= undefined | ({READ} if kernel.undefined_values else set())
        return blocks

    def _run_plain(self, step: KernelCall, arguments: list[Block]) -> list[Block]:
        for result in step.results:
            if result not in self._buffers:
                self._buffers[result] = self._memory.empty(self._program.types[result])
        results = [self._buffers[result] for result in step.results]
        started = time.perf_counter()
        self._functions[step.kernel](*(block.tensor for block in (*arguments, *results)))
        self._memory.wait()
        self.trace.kernel_seconds += time.perf_counter() - started
        return results

    def _takes_golden_key(self, number: int) -> bool:
        """Whether a calculated value is bitwise a golden one, compared on the device; it then has that value's key."""
        block = self._computed[number]
        candidates = [number] if not self._task.is_rewired else self._of_length(block.kind.byte_count)
        for at in range(0, len(candidates), SLOTS):
            chosen = candidates[at : at + SLOTS]
            for each in chosen:
                self._memory.ask_differ(block, self._row[each])
            for each, differs in zip(chosen, self._memory.answers(), strict=True):
                if not differs:
                    self._keys[number] = self._golden.keys[each]
                    del self._computed[number]
                    return True
        return False

    def _of_length(self, count: int) -> list[int]:
        return [each for each in self._golden.numbers.values() if self._row[each].kind.byte_count == count]

    def _block(self, number: int) -> Block:
        if number in self._computed:
            return self._computed[number]
        if number in self._constants:
            return self._constants[number]
        if number in self._program.inputs:
            return self._row[number]
        return self._row[self._golden.numbers[self._keys[number] or b""]].as_type(self._program.types[number])
