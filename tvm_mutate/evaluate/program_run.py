"""Runs a program on the memory of a device; a mutant computes only the values whose keys are not golden."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from tvm_mutate.evaluate.evaluation import InputsRun, StopRule, Trace
from tvm_mutate.evaluate.memory import READ, Arena, Function, GoldenRow, Memory, Value
from tvm_mutate.evaluate.program import (
    GoldenKeys,
    KernelCall,
    Key,
    MutatedProgram,
    Program,
    View,
    call_key,
    needed_steps,
)
from tvm_mutate.samples import Sample


def run_calls(
    program: Program, functions: Mapping[str, Function], memory: Memory, values: dict[int, Value]
) -> Iterator[KernelCall]:
    """Runs an unmutated program; yields each kernel call after its launch, and waits for all of them at the end.

    ``values`` holds the inputs and constants by number, and gets the value of every step.
    """
    for step in program.steps:
        if isinstance(step, View):
            values[step.result] = memory.view(values[step.argument], program.types[step.result])
        else:
            results = [memory.empty(program.types[number]) for number in step.results]
            arguments = [values[number] for number in step.arguments]
            memory.launch(functions[step.kernel], arguments, results, step.scalars)
            values.update(zip(step.results, results, strict=True))
            yield step
    memory.wait()


class ProgramRun:
    """Runs one mutated program, input by input, on one memory; buffers are allocated once.

    ``function_of`` gives kernels by name, ``marked`` the changed kernels that mark conversions that do not fit,
    ``constants`` the constants by number, and ``harmless`` the changed kernels that are proved to stay inside their
    buffers. ``is_rewired`` says whether values may have other numbers than in the unmutated program.
    """

    def __init__(
        self,
        mutated: MutatedProgram,
        golden: GoldenKeys,
        memory: Memory,
        function_of: Callable[[str], Function],
        marked: Mapping[str, Function],
        constants: Mapping[int, Value],
        harmless: frozenset[str],
        is_rewired: bool,
    ) -> None:
        self._mutated, self._golden, self._memory = mutated, golden, memory
        self._function_of, self._marked, self._harmless, self._is_rewired = function_of, marked, harmless, is_rewired
        self._program = mutated.program
        self._constants = dict(constants)
        for step in self._program.steps:  # TVM does not fold every view of a constant
            if isinstance(step, View) and step.argument in self._constants:
                kind = self._program.types[step.result]
                self._constants[step.result] = memory.view(self._constants[step.argument], kind)
        self._steps = needed_steps(self._program, mutated.keys, golden)
        self._arenas: dict[int, Arena] = {}
        self._buffers: dict[int, Value] = {}
        self._trace = Trace()

    def run(
        self,
        row_of: Callable[[int], GoldenRow],
        inputs: int,
        stop: StopRule | None,
        sign_of_life: Callable[[], object],
    ) -> InputsRun:
        """Runs the inputs in order, until ``stop`` is satisfied; ``row_of`` gives the golden values of an input."""
        outputs: list[Sample] = []
        seconds: list[float] = []
        for position in range(inputs):
            row = row_of(position)
            started = time.perf_counter()
            outputs.append(self._outputs(row, thoroughly=position == 0))
            seconds.append(time.perf_counter() - started)
            sign_of_life()
            if stop is not None and stop.is_settled(outputs):
                break
        return InputsRun(tuple(outputs), tuple(seconds), self._trace)

    def _outputs(self, row: GoldenRow, thoroughly: bool) -> Sample:
        """The outputs of one sample."""
        keys: list[Key | None] = list(self._mutated.keys)
        computed: dict[int, Value] = {}
        types, inputs = self._program.types, {number: row.input(number) for number in self._program.inputs}

        def value_of(number: int) -> Value:
            for known in (computed, self._constants, inputs):
                if number in known:
                    return known[number]
            return row.value(self._golden.numbers[keys[number] or b""], types[number])

        for position, step in self._steps:
            if isinstance(step, View):
                keys[step.result] = keys[step.argument]
                for known in (computed, inputs):
                    if step.argument in known:
                        known[step.result] = self._memory.view(known[step.argument], types[step.result])
                continue
            digest = self._mutated.kernels[step.kernel].digest
            keys_by_code = {number: call_key(digest, step, keys, at) for at, number in enumerate(step.results)}
            for number, key in keys_by_code.items():
                keys[number] = key
            if all(key in self._golden.numbers for key in keys_by_code.values()):
                continue
            is_changed = step.kernel in self._mutated.changed
            # All arguments are golden but the key is unknown: the fault is this kernel, its arguments or its constants.
            is_fault = is_changed or not any(each in computed for each in step.arguments)
            given = [value_of(number) for number in step.arguments]
            results = self._changed(position, step, given, thoroughly) if is_changed else self._unchanged(step, given)
            same = True
            for number, value in zip(step.results, results, strict=True):
                golden_number = row.find(value, number, self._is_rewired)
                if golden_number is None:
                    computed[number] = value
                    same = False
                else:
                    keys[number] = self._golden.keys[golden_number]
            self._trace.note_call(step.kernel, is_fault, same)
        outputs = []
        for number, golden_key in zip(self._program.outputs, self._golden.outputs, strict=True):
            outputs.append(self._memory.read(value_of(number)).copy())
            if number not in computed and keys[number] != golden_key:
                # No kernel computes this output wrongly: the fault makes another known value the output.
                golden = self._golden.numbers.get(golden_key or b"")
                usual = None if golden is None else self._memory.read(row.value(golden, types[number]))
                self._trace.reached = True
                self._trace.infected |= usual is None or usual.tobytes() != outputs[-1].tobytes()
        return tuple(outputs)

    def _changed(self, position: int, step: KernelCall, arguments: list[Value], thoroughly: bool) -> list[Value]:
        if position not in self._arenas:
            harmless = step.kernel in self._harmless
            self._arenas[position] = self._memory.arena(step, self._program, harmless)
        arena = self._arenas[position]
        before = arena.kernel_seconds
        marked = self._marked.get(step.kernel) if thoroughly else None
        results, undefined = arena.run(self._function_of(step.kernel), arguments, thoroughly, marked)
        self._trace.kernel_seconds += arena.kernel_seconds - before
        self._trace.undefined |= undefined | ({READ} if self._mutated.kernels[step.kernel].undefined_values else set())
        return results

    def _unchanged(self, step: KernelCall, arguments: list[Value]) -> list[Value]:
        for number in step.results:
            if number not in self._buffers:
                self._buffers[number] = self._memory.empty(self._program.types[number])
        results = [self._buffers[number] for number in step.results]
        started = time.perf_counter()
        self._memory.launch(self._function_of(step.kernel), arguments, results, step.scalars)
        self._memory.wait()
        self._trace.kernel_seconds += time.perf_counter() - started
        return results
