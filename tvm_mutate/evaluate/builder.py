"""Mutants as programs whose changed kernels alone are compiled, for whatever runs them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic

import tvm
import tvm_ffi
from tvm.ir import BaseFunc
from tvm.tirx import PrimFunc

from tvm_mutate.device import Stage
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING, Evaluation, Progress, Unsuitable
from tvm_mutate.evaluate.keys import AnyKernel, ConstantKeys, MutatedProgram, value_keys
from tvm_mutate.evaluate.program import KernelCall, NotStraightLineError, Program, take_program
from tvm_mutate.evaluate.red_zones import KINDS
from tvm_mutate.kernels import KnownKernels, MissingKernelError, module_of
from tvm_mutate.mutant import Slot
from tvm_mutate.passes import Accesses, Applied, find_outside, prove_equivalent, with_marked_conversions
from tvm_mutate.pipeline import PASS_CONFIG, Selections, Stages, lower_kernels, mutated_tir_pipeline

# Mutants of one kernel come one after another, and so do duplicates.
_REMEMBERED = 256


# Compiles kernels, by name, in a folder and by a TIR pipeline.
Compile = Callable[[Mapping[str, PrimFunc], Path, str], Mapping[str, AnyKernel]]
_STRUCTURED = {Slot.GRAPH, Slot.KERNEL}


@dataclass(frozen=True)
class Built(Generic[AnyKernel]):
    """A mutant that has to be run: its program, and what is known of its run so far.

    ``harmless`` are those of its changed kernels that are proved to touch nothing but their own buffers, ``marked``
    those that convert numbers to integers, as functions that mark what does not fit.
    """

    mutated: MutatedProgram[AnyKernel]
    run: Evaluation
    harmless: frozenset[str]
    marked: Mapping[str, PrimFunc]


class MayDoHarmError(Exception):
    """A mutant has a changed kernel that is not proved to be harmless: it has to run where it can do no harm."""


class MutantBuilder(Generic[AnyKernel]):
    """Builds the mutants of one program, and says of those that need not be run what they come to.

    ``plain`` are its kernels as the device has them, by name, ``running`` those that run in their place, by digest.
    """

    def __init__(
        self,
        stages: Stages,
        program: Program,
        plain: Mapping[str, AnyKernel],
        running: Mapping[str, AnyKernel],
        compile_kernels: Compile[AnyKernel],
    ) -> None:
        self.stages, self.program = stages, program
        self._known, self._running, self._compile = KnownKernels(program.kernels, plain), running, compile_kernels
        self._digests = {name: kernel.digest for name, kernel in plain.items()}
        self.constants = ConstantKeys()
        self.keys = tuple(value_keys(program, self._digests, self.constants))
        self._finished: OrderedDict[str, Evaluation] = OrderedDict()

    def prepare(self, selections: Selections) -> None:
        """Calculates what all mutants of a kind share, before children are forked for them."""
        if Slot.PIPELINE in selections:
            _ = self._lowered

    def remember(self, run: Evaluation) -> None:
        """Keeps a finished run for mutants that have the same code."""
        self._finished[run.digest] = run
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)

    def build(
        self,
        selections: Selections,
        stage: Stage,
        same_code: str,
        folder: Path,
        harmless_only: bool = False,
    ) -> Evaluation | Unsuitable | Built[AnyKernel]:
        """The mutant ready to run, or what is known of it without a run: prove, compile, classify.

        The digest of a run whose code is that of the unmutated model is ``same_code``. With ``harmless_only``
        MayDoHarmError is raised, and nothing compiled, for a mutant that is not proved to do none.
        """
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
            return Evaluation(tuple(applied), "", time.monotonic() - started, kernel_runs=0, proof=proof)
        functions = program.called()
        known = self._kernels_known(functions, selections)
        changed = {name: function for name, function in functions.items() if name not in known}
        looked = time.monotonic()
        accesses = _accesses(changed, selections)
        harmless = _harmless(program, accesses) if is_structured(selections) else frozenset()
        looked = time.monotonic() - looked
        if harmless_only and not harmless.issuperset(changed):
            raise MayDoHarmError
        try:
            mutated = self._compiled(program, changed, known, selections, applied, folder)
        except MissingKernelError as error:
            return Unsuitable(str(error))
        built = time.monotonic() - started - looked
        outside = [each for name in accesses if name in mutated.changed for each in accesses[name].outside]
        undefined = tuple(sorted({KINDS[each.kind] for each in outside}))
        stage(RUNNING, Progress(tuple(applied), undefined))
        outputs = [mutated.keys[number] for number in program.outputs]
        if outputs == [self.keys[number] for number in self.program.outputs]:
            return Evaluation(tuple(applied), same_code, built, kernel_runs=0)
        digest = (outputs[0] or b"").hex()
        if digest in self._finished:
            return replace(self._finished[digest], applied=tuple(applied), build_seconds=built)
        marked = marked_functions({name: changed[name] for name in mutated.changed}, selections)
        return Built(mutated, Evaluation(tuple(applied), digest, built, undefined=undefined), harmless, marked)

    def is_rewired(self, selections: Selections, applied: Iterable[Applied]) -> bool:
        """Whether a mutant's calls may be others than those of the unmutated program."""
        rewired = Slot.GRAPH in selections or self.stages.has_faulty_relax_passes(selections)
        return rewired or any(each.function == "main" for each in applied)

    def _mutated_program(self, selections: Selections, applied: list[Applied]) -> Program:
        module = self.stages.mutated(selections, applied)
        if self.is_rewired(selections, applied):
            return take_program(module)
        changed = {each.function: module[each.function] for each in applied if each.changed}
        return replace(self.program, kernels={**self.program.kernels, **changed})

    def _compiled(
        self,
        program: Program,
        changed: Mapping[str, PrimFunc],
        there: Mapping[str, AnyKernel],
        selections: Selections,
        applied: list[Applied],
        folder: Path,
    ) -> MutatedProgram[AnyKernel]:
        """The program with a kernel for each call: those that are ``there``, and the others compiled in one go."""
        kernels = dict(there)
        missing = {name: function for name, function in changed.items() if name not in there}
        if missing:
            with mutated_tir_pipeline(selections, self.stages.target, applied.extend) as tir_pipeline:
                kernels.update(self._compile(missing, folder, tir_pipeline))
        digests = {name: kernel.digest for name, kernel in kernels.items()}
        # A mutated kernel whose code came out as before is no mutated one.
        differing = frozenset(name for name in changed if digests[name] != self._digests.get(name))
        running = {name: kernels[name] if name in differing else self._running[digests[name]] for name in kernels}
        # A mutant's own constants are forgotten with it.
        keys = value_keys(program, digests, ConstantKeys(self.constants))
        return MutatedProgram(program, running, differing, tuple(keys))

    def _kernels_known(self, functions: Mapping[str, PrimFunc], selections: Selections) -> dict[str, AnyKernel]:
        """Those of a mutant's kernels that are compiled already, by name."""
        otherwise = {name for name in functions if self.stages.is_lowered_otherwise(name, selections)}
        found = {name: self._known.find(name, function) for name, function in functions.items()}
        kernels = {name: kernel for name, kernel in found.items() if kernel is not None}
        if Slot.PIPELINE in selections:
            known: Mapping[str, Any] = self._known.kernels
            same = {name: functions[name] for name in otherwise & kernels.keys() if kernels[name] is known.get(name)}
            otherwise -= _unchanged(self._lowered, _lowered(same, self.stages, selections)) if same else set()
        return {name: kernel for name, kernel in kernels.items() if name not in otherwise}

    @cached_property
    def _lowered(self) -> dict[str, BaseFunc]:
        """The unmutated kernels as code is generated from them."""
        return _lowered(self._known.functions, self.stages, {})


def _accesses(changed: Mapping[str, PrimFunc], selections: Selections) -> dict[str, Accesses]:
    """What is known of the accesses of changed kernels, whatever lies behind buffers: for temporaries it is no pattern.

    Where a mutation comes after structured kernels, only those are looked into that have another in them.
    """
    looked_into = dict(changed)
    if not is_structured(selections):
        matching = [each.mutation for each in selections.get(Slot.KERNEL, ())]
        looked_into = {name: each for name, each in changed.items() if any(one.matches(name) for one in matching)}
    return {name: find_outside(function) for name, function in looked_into.items()}


def _harmless(program: Program, accesses: Mapping[str, Accesses]) -> frozenset[str]:
    """The kernels that are proved to stay in their buffers, and to write to their results alone."""
    calls = [step for step in program.steps if isinstance(step, KernelCall) and step.kernel in accesses]
    return frozenset(step.kernel for step in calls if accesses[step.kernel].harm_nothing(len(step.arguments)))


def is_structured(selections: Selections) -> bool:
    """Whether all mutations act in structured kernels or before them: what is proved of these kernels is what runs."""
    return set(selections) <= _STRUCTURED


def marked_functions(changed: Mapping[str, PrimFunc], selections: Selections) -> dict[str, PrimFunc]:
    """Those of the changed kernels that convert numbers to integers, with marks as by ``with_marked_conversions``.

    None if a mutation comes after structured kernels: the marked kernel would lack it.
    """
    if not is_structured(selections):
        return {}
    found = {name: with_marked_conversions(function) for name, function in changed.items()}
    return {name: function for name, function in found.items() if function is not None}


def proof_of(stages: Stages, selections: Selections, applied: Sequence[Applied]) -> str | None:
    """The proof that mutations in the slot ``kernel`` change nothing that is computed, as a sentence; else None.

    ``applied`` is what the mutations did: if nothing changed, there is nothing to prove.
    """
    if set(selections) != {Slot.KERNEL}:
        return None
    module, proofs = stages.at(Slot.KERNEL), []
    for name in dict.fromkeys(each.function for each in applied if each.changed):
        matching = [each for each in selections[Slot.KERNEL] if each.mutation.matches(name)]
        function = module[name]
        proofs.append(prove_equivalent(function, name, matching) if isinstance(function, PrimFunc) else None)
    return proofs[0] if proofs and None not in proofs else None


def _lowered(functions: Mapping[str, PrimFunc], stages: Stages, selections: Selections) -> dict[str, BaseFunc]:
    """Structured kernels as code is generated from them, by name, with the mutations of the TIR pipeline applied."""
    with (
        tvm.transform.PassContext(config=PASS_CONFIG),
        mutated_tir_pipeline(selections, stages.target) as tir_pipeline,
    ):
        module = lower_kernels(module_of(functions), stages.target, Slot.CODEGEN, tir_pipeline)
    return {variable.name_hint: function for variable, function in module.functions.items()}


def _unchanged(before: Mapping[str, BaseFunc], after: Mapping[str, BaseFunc]) -> frozenset[str]:
    """The kernels that are lowered to the same IR; none if a kernel has become several functions."""
    if not after.keys() <= before.keys():
        return frozenset()
    return frozenset(name for name, function in after.items() if tvm_ffi.structural_equal(before[name], function))
