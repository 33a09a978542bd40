"""Content-addressed evaluation: only values whose key is not known are calculated, kernel by kernel."""

from __future__ import annotations

import gc
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from tvm.ir import BaseFunc
from tvm.tirx import PrimFunc

from tvm_mutate.build import Kernel, KnownKernels, MissingKernelError, build_batch
from tvm_mutate.device import Children, Ending, Stage, mutant_headroom
from tvm_mutate.evaluate.golden import GoldenFile, GoldenRow, run_steps
from tvm_mutate.evaluate.keys import ConstantKeys, value_keys
from tvm_mutate.evaluate.line import GoldenKeys, Line, Mutated
from tvm_mutate.evaluate.lowering import lowered, unchanged
from tvm_mutate.evaluate.preparation import Prepared, merged
from tvm_mutate.evaluate.proof import proof_of
from tvm_mutate.evaluate.rebuild import COMPILING, RUNNING, Progress, Run
from tvm_mutate.evaluate.red_zones import KINDS
from tvm_mutate.evaluate.stopping import StopRule
from tvm_mutate.evaluate.switched import SwitchableKernels, Switched, is_conclusive
from tvm_mutate.evaluate.workspace import Workspace
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.native import activate_site
from tvm_mutate.passes import Applied, find_outside, selections_by_slot
from tvm_mutate.pipeline import Selections, Stages, mutated_tir_pipeline
from tvm_mutate.program import NotStraightLineError, Program, take_program

# Mutants of one kernel come one after another, and so do duplicates.
_REMEMBERED = 256


@dataclass(frozen=True)
class Unsuitable:
    """A mutant is not evaluated by content, and why; it goes to the full rebuild."""

    reason: str


class ContentEvaluator:
    """Evaluates mutants of one model on one CPU device against its golden values; each in a child process.

    Unmutated kernels are loaded once, here, and inherited by the children. ``inputs`` has shape [inputs, *input
    shape of the model]. Raises NotStraightLineError for a model that is no straight line of kernel calls.
    """

    def __init__(self, stages: Stages, inputs: np.ndarray, catalogue: Catalogue, prepared: Prepared) -> None:
        self.stages, self.inputs, self.catalogue = stages, inputs, catalogue
        self.program = take_program(stages.at(Slot.KERNEL))
        plain = prepared.plain.load()
        self._known = KnownKernels(self.program.kernels, plain)
        self._running = merged(plain, prepared.fast)
        self._runs = _with_digests_of(plain, self._running)
        self._constants = ConstantKeys()
        self._toolchain = prepared.toolchain
        self._golden = GoldenFile(prepared.golden, self.program)
        self._digests = prepared.plain.digests
        keys = value_keys(self.program, self._digests, self._constants)
        # Only what kernels write: a view shares its argument's key, and has no bytes of its own.
        self._keys = GoldenKeys(tuple(keys), {keys[number] or b"": number for number in prepared.golden.offsets})
        self._workspace = Workspace()
        self._switchable = SwitchableKernels(
            stages,
            self.program,
            catalogue,
            plain,
            lambda: run_steps(self.program, self._running, inputs[0]),
            len(inputs),
        )
        self._finished: OrderedDict[str, Run] = OrderedDict()
        self._children = Children()
        gc.freeze()  # the children's collector leaves what they inherit alone, and so shared

    def evaluate(
        self,
        mutant: Mutant,
        seconds: float,
        same_code: str,
        stop: StopRule | None = None,
        companions: Sequence[str] = (),
    ) -> Ending:
        """The ending of evaluating the mutant; its value is a Run, or Unsuitable.

        The digest of a run whose code is that of the unmutated model is ``same_code``. With ``stop`` the inputs that
        come after what it takes for the end are not run. With ``companions``, the ids of the mutants of its kernel, one
        switchable kernel may be compiled for all of them.
        """
        rounds_as_written = not self._toolchain.flags
        switched = self._switchable.find(mutant, companions) if companions and rounds_as_written else None
        ending = None
        if switched is not None:
            ending = self._evaluate(mutant, seconds, same_code, stop, switched)
        if ending is None or not is_conclusive(ending):
            ending = self._evaluate(mutant, seconds, same_code, stop)
        if isinstance(ending.value, Run) and ending.value.outputs is not None:
            self._remember(ending.value)
        return ending

    def _evaluate(
        self,
        mutant: Mutant,
        seconds: float,
        same_code: str,
        stop: StopRule | None,
        switched: Switched | None = None,
    ) -> Ending:
        selections = selections_by_slot(mutant.mutations, self.catalogue)
        if Slot.PIPELINE in selections:
            _ = self._lowered  # for all children
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            return self._children.run(
                lambda stage: self._run(selections, stage, same_code, stop, Path(folder), switched),
                seconds,
                mutant_headroom(),
            )

    def _remember(self, run: Run) -> None:
        self._finished[run.digest] = run
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)

    def _run(
        self,
        selections: Selections,
        stage: Stage,
        same_code: str,
        stop: StopRule | None,
        folder: Path,
        switched: Switched | None,
    ) -> Run | Unsuitable:
        stage(COMPILING)
        started = time.monotonic()
        if self.stages.has_faulty_memory_passes(selections):
            return Unsuitable("planning of memory: kernels one by one do without it")
        applied = self.stages.pipeline_faults(selections)
        stage(COMPILING, Progress(tuple(applied)))
        try:
            program = self._mutated_program(selections, applied)
        except NotStraightLineError as error:
            return Unsuitable(f"no straight line: {error}")
        stage(COMPILING, Progress(tuple(applied)))
        proof = proof_of(self.stages, selections, applied)
        if proof is not None:
            return Run(tuple(applied), "", time.monotonic() - started, kernel_runs=0, proof=proof)
        if switched is not None:
            activate_site(switched.number)
        try:
            mutated = self._built(program, selections, applied, folder, switched)
        except MissingKernelError as error:
            return Unsuitable(str(error))
        built = time.monotonic() - started
        undefined = tuple(sorted(_undefined_by_index(program, mutated.changed, selections)))
        stage(RUNNING, Progress(tuple(applied), undefined))
        outputs = [mutated.keys[number] for number in program.outputs]
        if outputs == [self._keys.keys[number] for number in self.program.outputs]:
            return Run(tuple(applied), same_code, built, kernel_runs=0)
        digest = (outputs[0] or b"").hex()
        if digest in self._finished:
            return replace(self._finished[digest], applied=tuple(applied), build_seconds=built)
        for name in mutated.changed:
            _ = mutated.kernels[name].run  # machine code is made only now that it is needed, and is part of building
        built = time.monotonic() - started
        run = Run(tuple(applied), digest, built, undefined=undefined, switched=switched is not None)
        return self._run_inputs(mutated, run, stop, stage)

    def _mutated_program(self, selections: Selections, applied: list[Applied]) -> Program:
        module = self.stages.mutated(selections, applied)
        rewired = Slot.GRAPH in selections or self.stages.has_faulty_relax_passes(selections)
        if rewired or any(each.function == "main" for each in applied):
            return take_program(module)
        changed = {each.function: module[each.function] for each in applied if each.changed}
        return replace(self.program, kernels={**self.program.kernels, **changed})

    def _built(
        self,
        program: Program,
        selections: Selections,
        applied: list[Applied],
        folder: Path,
        switched: Switched | None = None,
    ) -> Mutated:
        """The program with a kernel for each call: those that are known, and the changed ones compiled in one go.

        The ``switched`` one is compiled already.
        """
        functions = program.called()
        kernels = self._kernels_known(functions, selections)
        changed = {name: function for name, function in functions.items() if name not in kernels}
        if switched is not None and switched.name in changed:
            kernels[switched.name] = switched.kernel
        compiled = {name: function for name, function in changed.items() if name not in kernels}
        if compiled:
            with mutated_tir_pipeline(selections, self.stages.target, applied.extend) as tir_pipeline:
                built = build_batch(compiled, self.stages.target, folder, tir_pipeline, self._toolchain)
                kernels.update(built)
        digests = {name: kernel.digest for name, kernel in kernels.items()}
        # A mutated kernel whose code came out as before is no mutated one.
        differing = frozenset(name for name in changed if digests[name] != self._digests.get(name))
        running = {name: kernels[name] if name in differing else self._runs[digests[name]] for name in kernels}
        return Mutated(program, running, differing, tuple(value_keys(program, digests, self._constants)))

    def _kernels_known(self, functions: Mapping[str, PrimFunc], selections: Selections) -> dict[str, Kernel]:
        """Those of a mutant's kernels that are compiled already, by name."""
        otherwise = {name for name in functions if self.stages.is_lowered_otherwise(name, selections)}
        found = {name: self._known.find(name, function) for name, function in functions.items()}
        kernels = {name: kernel for name, kernel in found.items() if kernel is not None}
        if Slot.PIPELINE in selections:
            known = self._known.kernels
            same = {name: functions[name] for name in otherwise & kernels.keys() if kernels[name] is known.get(name)}
            otherwise -= unchanged(self._lowered, lowered(same, self.stages, selections)) if same else set()
        return {name: kernel for name, kernel in kernels.items() if name not in otherwise}

    @cached_property
    def _lowered(self) -> dict[str, BaseFunc]:
        """The unmutated kernels as code is generated from them."""
        return lowered(self._known.functions, self.stages, {})

    def _run_inputs(self, mutated: Mutated, run: Run, stop: StopRule | None, stage: Stage) -> Run:
        line = Line(mutated, self._keys, self._workspace)
        rows: list[np.ndarray] = []
        seconds: list[float] = []
        for position, data in enumerate(self.inputs):
            started = time.perf_counter()
            rows.append(line.output(data, self.golden_row(position), first=position == 0))
            seconds.append(time.perf_counter() - started)
            stage(RUNNING)  # a sign of life
            if stop is not None and stop.is_settled(rows):
                break
        trace = line.trace
        return replace(
            run,
            outputs=np.stack(rows),
            run_seconds=tuple(seconds),
            reached=trace.reached,
            infected=trace.infected,
            masked_by=tuple(sorted(trace.masked_by)),
            undefined=tuple(sorted(trace.undefined.union(run.undefined or ()))),
            kernel_runs=trace.kernel_runs,
            kernel_seconds=trace.kernel_seconds,
        )

    def golden_row(self, position: int) -> GoldenRow:
        """The golden values of an input: those on file, or calculated again with the unmutated kernels."""
        if position < len(self._golden.rows):
            return self._golden.rows[position]
        values = run_steps(self.program, self._running, self.inputs[position])
        return GoldenRow.of(values, self._golden.golden.offsets)


def _undefined_by_index(program: Program, changed: Iterable[str], selections: Selections) -> set[str]:
    """How the changed kernels leave their buffers by an index, whatever lies there: for temporaries it is no pattern.

    Only structured kernels are looked into: in the slots that come later there are others.
    """
    matching = [each.mutation for each in selections.get(Slot.KERNEL, ())]
    mutated = [name for name in changed if any(mutation.matches(name) for mutation in matching)]
    outside = [access for name in mutated for access in find_outside(program.kernels[name]).outside]
    return {KINDS[access.kind] for access in outside}


def _with_digests_of(plain: Mapping[str, Kernel], running: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """The kernels to run by the digests of the plain ones, which are what keys are made of."""
    return {kernel.digest: running[name].known_as(kernel.digest) for name, kernel in plain.items()}
