"""Builds mutants kernel by kernel: only the changed kernels of a mutant are compiled."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import tvm_ffi
from tvm.ir import BaseFunc
from tvm.tirx import PrimFunc

from tvm_mutate.device import Stage
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING, Evaluation, Progress, Unsuitable
from tvm_mutate.evaluate.memory import KINDS
from tvm_mutate.evaluate.program import (
    KEY_BYTES,
    ConstantKeys,
    KernelCall,
    Key,
    MutatedProgram,
    NotStraightLineError,
    Program,
    take_program,
    value_keys,
)
from tvm_mutate.kernels import KnownKernels, MissingKernelError, module_of
from tvm_mutate.model import Workload
from tvm_mutate.mutant import ON_GRAPHS, Slot
from tvm_mutate.passes import Accesses, Applied, find_outside, prove_equivalent, with_marked_conversions
from tvm_mutate.pipeline import Flow, Selections, Stages, is_on_graph, lower_kernels

# Mutants of one kernel follow each other, and so do duplicates.
_REMEMBERED = 256
_STRUCTURED = {*ON_GRAPHS, Slot.KERNEL, Slot.CALL}


@dataclass(frozen=True)
class Built:
    """A mutant that is ready to run: its program, and what is known of its evaluation so far.

    ``harmless`` are the changed kernels that are proved to stay inside their own buffers, ``marked`` the changed
    kernels that convert numbers to integers, as functions that mark a number that does not fit.
    """

    mutated: MutatedProgram
    evaluation: Evaluation
    harmless: frozenset[str]
    marked: Mapping[str, PrimFunc]


@dataclass(frozen=True)
class _Proved:
    """A mutant that is not proved to be equivalent: its program, its changed functions, and the known kernels by name.

    ``accesses`` are the accesses of changed functions, ``harmless`` the functions that are proved to stay inside their
    own buffers. ``seconds`` is the time so far that counts as building.
    """

    program: Program
    changed: Mapping[str, PrimFunc]
    known: Mapping[str, Any]
    accesses: Mapping[str, Accesses]
    harmless: frozenset[str]
    seconds: float


class MayDoHarmError(Exception):
    """A mutant has a changed kernel that is not proved to be harmless, so it needs a process of its own."""


class MutantBuilder:
    """Builds the mutants of one program, and evaluates the mutants that need no run.

    ``program`` is that of the unmutated module for the workload; ``plain`` are its compiled kernels by name,
    ``running`` the kernels that run in their place, by digest. ``compile_kernels`` compiles functions by name in a
    folder, through a flow.
    """

    def __init__(
        self,
        stages: Stages,
        workload: Workload,
        program: Program,
        plain: Mapping[str, Any],
        running: Mapping[str, Any],
        compile_kernels: Callable[[Mapping[str, PrimFunc], Path, Flow], Mapping[str, Any]],
    ) -> None:
        self.stages, self.program, self._workload = stages, program, workload
        self._known, self._running = KnownKernels(program.kernels, plain), running
        self._compile_kernels = compile_kernels
        self._digests = {name: kernel.digest for name, kernel in plain.items()}
        self.constants = ConstantKeys()
        self.keys = tuple(value_keys(program, self._digests, self.constants))
        self._finished: OrderedDict[str, Evaluation] = OrderedDict()

    def prepare(self, selections: Selections) -> None:
        """Computes what all mutants of a kind share, before children are forked for them."""
        if Slot.PIPELINE in selections:
            _ = self._lowered
        if not _STRUCTURED.issuperset(selections):
            _ = self.stages.shape_functions

    def remember(self, evaluation: Evaluation) -> None:
        """Keeps a finished evaluation for mutants with the same code."""
        self._finished[evaluation.digest] = evaluation
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)

    def build(
        self,
        selections: Selections,
        stage: Stage,
        same_code: str,
        folder: Path,
        harmless_only: bool = False,
    ) -> Evaluation | Unsuitable | Built:
        """The mutant ready to run, or its evaluation if it needs no run: prove, compile, classify.

        ``same_code`` is the digest of an evaluation whose code is that of the unmutated model. With ``harmless_only``
        a mutant that is not proved to be harmless is not compiled and raises MayDoHarmError.
        """
        applied: list[Applied] = []
        proved = self._prove(selections, stage, applied)
        if not isinstance(proved, _Proved):
            return proved
        if harmless_only and not proved.harmless.issuperset(proved.changed):
            raise MayDoHarmError
        started = time.monotonic()
        try:
            mutated = self._compile(proved, selections, applied, folder)
        except MissingKernelError as error:
            return Unsuitable(str(error))
        seconds = proved.seconds + time.monotonic() - started
        return self._classify(proved, mutated, selections, stage, applied, same_code, seconds)

    def _prove(self, selections: Selections, stage: Stage, applied: list[Applied]) -> Evaluation | Unsuitable | _Proved:
        """Applies the mutations, and proves that the mutant is equivalent or that changed kernels are harmless."""
        stage(COMPILING)
        started = time.monotonic()
        if self.stages.plans_memory_otherwise(selections):
            return Unsuitable("planning of memory: kernels one by one do without it")
        if computing := sorted(self._shape_functions(selections)):
            return Unsuitable(f"{computing[0]} computes shapes: kernels one by one do without it")
        applied += self.stages.pipeline_faults(selections)
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
        seconds = time.monotonic() - started
        accesses = _accesses(changed, selections)
        harmless = _harmless(program, accesses) if is_structured(selections) else frozenset()
        return _Proved(program, changed, known, accesses, harmless, seconds)

    def _compile(self, proved: _Proved, selections: Selections, applied: list[Applied], folder: Path) -> MutatedProgram:
        """The program with a kernel for each call: the known kernels, and the changed ones compiled together."""
        kernels = dict(proved.known)
        if proved.changed:
            with self.stages.mutated_flow(selections, applied.extend) as flow:
                kernels.update(self._compile_kernels(proved.changed, folder, flow))
        digests = {name: kernel.digest for name, kernel in kernels.items()}
        # A kernel whose generated code did not change counts as unmutated.
        differing = frozenset(name for name in proved.changed if digests[name] != self._digests.get(name))
        running = {name: kernels[name] if name in differing else self._running[digests[name]] for name in kernels}
        # The keys of the mutant's own constants are not kept.
        keys = value_keys(proved.program, digests, ConstantKeys(self.constants))
        return MutatedProgram(proved.program, running, differing, tuple(keys))

    def _classify(
        self,
        proved: _Proved,
        mutated: MutatedProgram,
        selections: Selections,
        stage: Stage,
        applied: list[Applied],
        same_code: str,
        seconds: float,
    ) -> Evaluation | Built:
        """The evaluation of a mutant whose code is that of the unmutated model or of an earlier mutant, else Built."""
        outside = [each for name, found in proved.accesses.items() if name in mutated.changed for each in found.outside]
        undefined = tuple(sorted({KINDS[each.kind] for each in outside}))
        stage(RUNNING, Progress(tuple(applied), undefined))
        outputs = [mutated.keys[number] for number in mutated.program.outputs]
        if outputs == [self.keys[number] for number in self.program.outputs]:
            return Evaluation(tuple(applied), same_code, seconds, kernel_runs=0)
        digest = _digest_of_keys(outputs)
        if digest in self._finished:
            return replace(self._finished[digest], applied=tuple(applied), build_seconds=seconds)
        marked = marked_functions({name: proved.changed[name] for name in mutated.changed}, selections)
        return Built(mutated, Evaluation(tuple(applied), digest, seconds, undefined=undefined), proved.harmless, marked)

    def is_rewired(self, selections: Selections, applied: Iterable[Applied]) -> bool:
        """Whether the calls of a mutant may differ from those of the unmutated program."""
        rewired = is_on_graph(selections) or self.stages.has_faulty_relax_passes(selections)
        return rewired or any(each.function in self._workload.scenario.functions for each in applied)

    def _shape_functions(self, selections: Selections) -> set[str]:
        """The functions that compute shapes and may have a fault."""
        late = [each.mutation for slot in selections if slot not in _STRUCTURED for each in selections[slot]]
        return {name for name in self.stages.shape_functions for each in late if each.matches(name)} if late else set()

    def _mutated_program(self, selections: Selections, applied: list[Applied]) -> Program:
        module = self.stages.mutated(selections, applied)
        if self.is_rewired(selections, applied):
            return take_program(module, self._workload)
        changed = {each.function: module[each.function] for each in applied if each.changed}
        return replace(self.program, kernels={**self.program.kernels, **changed})

    def _kernels_known(self, functions: Mapping[str, PrimFunc], selections: Selections) -> dict[str, Any]:
        """The kernels of a mutant that are compiled already, by name."""
        otherwise = {name for name in functions if self.stages.is_lowered_otherwise(name, selections)}
        found = {name: self._known.find(name, function) for name, function in functions.items()}
        kernels = {name: kernel for name, kernel in found.items() if kernel is not None}
        if Slot.PIPELINE in selections:
            known = self._known.kernels
            same = {name: functions[name] for name in otherwise & kernels.keys() if kernels[name] is known.get(name)}
            otherwise -= _unchanged(self._lowered, _lowered(same, self.stages, selections)) if same else set()
        return {name: kernel for name, kernel in kernels.items() if name not in otherwise}

    @cached_property
    def _lowered(self) -> dict[str, BaseFunc]:
        """The unmutated kernels in the form from which code is generated."""
        return _lowered(self._known.functions, self.stages, {})


def _digest_of_keys(keys: Sequence[Key | None]) -> str:
    """A digest of the keys of all outputs."""
    joined = b"|".join(key or b"" for key in keys)
    return (joined if len(keys) == 1 else hashlib.blake2b(joined, digest_size=KEY_BYTES).digest()).hex()


def _accesses(changed: Mapping[str, PrimFunc], selections: Selections) -> dict[str, Accesses]:
    """The accesses of changed kernels.

    If a mutation acts after structured kernels, only kernels with a mutation in structured form are examined.
    """
    examined = dict(changed)
    if not is_structured(selections):
        matching = [each.mutation for each in selections.get(Slot.KERNEL, ())]
        examined = {name: each for name, each in changed.items() if any(one.matches(name) for one in matching)}
    return {name: find_outside(function) for name, function in examined.items()}


def _harmless(program: Program, accesses: Mapping[str, Accesses]) -> frozenset[str]:
    """The kernels that are proved to stay in their buffers and to write only to their results."""
    calls = [step for step in program.steps if isinstance(step, KernelCall) and step.kernel in accesses]
    return frozenset(step.kernel for step in calls if accesses[step.kernel].harm_nothing(len(step.arguments)))


def is_structured(selections: Selections) -> bool:
    """Whether all mutations act on structured kernels or before: a proof about these kernels holds for the code."""
    return set(selections) <= _STRUCTURED


def marked_functions(changed: Mapping[str, PrimFunc], selections: Selections) -> dict[str, PrimFunc]:
    """The changed kernels that convert numbers to integers, with marks as by ``with_marked_conversions``.

    Empty if a mutation acts after structured kernels: the marked kernel would lack the mutation.
    """
    if not is_structured(selections):
        return {}
    found = {name: with_marked_conversions(function) for name, function in changed.items()}
    return {name: function for name, function in found.items() if function is not None}


def proof_of(stages: Stages, selections: Selections, applied: Sequence[Applied]) -> str | None:
    """The proof, as a sentence, that mutations in the slot ``kernel`` change no computed value; None without a proof.

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
    """Structured kernels in the form from which code is generated, by name, after the mutated TIR pipeline."""
    with stages.mutated_flow(selections) as flow:
        module = lower_kernels(module_of(functions), stages.target, Slot.CODEGEN, flow)
    return {variable.name_hint: function for variable, function in module.functions.items()}


def _unchanged(before: Mapping[str, BaseFunc], after: Mapping[str, BaseFunc]) -> frozenset[str]:
    """The kernels that are lowered to the same IR; none if a kernel became several functions."""
    if not after.keys() <= before.keys():
        return frozenset()
    return frozenset(name for name, function in after.items() if tvm_ffi.structural_equal(before[name], function))
