"""Mutates every build that a process makes while a context lasts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import tvm
import tvm_ffi
from tvm import tirx
from tvm.target import Target

from tvm_mutate.activation.catching import Build, Step, caught_builds, caught_relax_pipelines
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import ON_GRAPHS, Catalogue, Mutant, Slot, TirRule
from tvm_mutate.native import require_runtime
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import (
    Applied,
    OnApplied,
    Selection,
    apply_mutations,
    apply_to_code,
    kernel_parts,
    selections_by_slot,
    with_functions,
)
from tvm_mutate.pipeline import (
    TirPipeline,
    comes_from_kernel,
    faulty_pipeline,
    pass_sites,
    passes_of_pipeline,
    rewritten_code,
)

# Marks a Relax module as mutated: a second pipeline is given the result of the first.
_MARK = "tvm_mutate.mutated"
_CONVENTION = "calling_conv"


@dataclass
class Activation:
    """The effect of an active mutant.

    ``applied`` lists the functions that each mutation changed (compared structurally). ``builds`` counts the changed
    builds of the ``seen`` ones, and ``relax_pipelines`` the runs of Relax pipelines that were given a changed module,
    of ``relax_seen``.
    """

    mutant: Mutant
    slots: frozenset[Slot]
    applied: list[Applied] = field(default_factory=list)
    relax_pipelines: int = 0
    relax_seen: int = 0
    _changed: set[int] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set)

    @property
    def builds(self) -> int:
        """The number of changed builds."""
        return len(self._changed)

    @property
    def seen(self) -> int:
        """The number of caught builds."""
        return len(self._seen)

    def say(self) -> str:
        """One line for people: the mutant, and how many builds it changed."""
        counts, on_graph = [], not self.slots.isdisjoint(ON_GRAPHS)
        if self.slots - {*ON_GRAPHS}:
            counts.append(f"builds changed: {self.builds} of {self.seen}")
        if on_graph:
            counts.append(
                f"modules given to Relax pipelines of TVM changed: {self.relax_pipelines} of {self.relax_seen}"
            )
        unseen = "; a Relax pipeline that the user puts together is not seen" if on_graph else ""
        effect = "applied" if self.builds or self.relax_pipelines else f"NEVER applied{unseen}"
        return f"mutant {self.mutant} was {effect} ({'; '.join(counts)})"

    def note(self, build: Build | None, applied: Sequence[Applied]) -> list[Applied]:
        """Counts the effect in a build; returns the mutations that changed a function."""
        changed = [each for each in applied if each.changed]
        self.applied += changed
        if build is not None:
            self._seen.add(build.number)
            if changed:
                self._changed.add(build.number)
        return changed


@contextlib.contextmanager
def activate(
    mutant: Mutant | str,
    *,
    kernel: str | None = None,
    build: int | None = None,
    catalogue: Catalogue | None = None,
    argument_checks: bool = False,
    on_applied: OnApplied | None = None,
) -> Iterator[Activation]:
    """Mutates the builds of the process while the context lasts; modules that are built in the context stay mutated.

    ``kernel`` limits the mutant to functions whose :func:`kernel_digest` begins with this text, ``build`` to the build
    with this number. In host functions only the computation of the kernel is mutated; ``argument_checks`` adds TVM's
    checks of the arguments. In the slot ``graph`` a module is mutated before the first of TVM's Relax pipelines that it
    is given to. In the slot ``pipeline`` the lists of TIR passes are mutated. ``on_applied`` gets each list of applied
    mutations. Raises UsageError for an unknown mutant, and if a mutant on graphs is limited to a kernel or build.
    """
    catalogue = catalogue or load_catalogue()
    parsed = catalogue.parse(str(mutant))
    selections = selections_by_slot(parsed.mutations, catalogue)
    on_graph = [each for slot in ON_GRAPHS for each in selections.get(slot, ())]
    if Slot.CALL in selections or Slot.MEMORY in selections:
        raise UsageError(
            f"mutant {parsed} acts inside TVM's Relax pipeline, which builds of other programs run as a whole: "
            "use tvm_mutate.mutated_pipelines or a campaign"
        )
    if on_graph and (kernel, build) != (None, None):
        raise UsageError(
            f"mutant {parsed} acts on a graph, before there are kernels and builds: leave out the kernel and the build"
        )
    rules = [each.operator.rule for each in selections.get(Slot.KERNEL, ())]
    if any(isinstance(rule, TirRule) and rule.calls_runtime for rule in rules):
        require_runtime()
    activation = Activation(parsed, frozenset(selections))

    def report(at: Build | None, applied: Sequence[Applied]) -> bool:
        changed = activation.note(at, applied)
        if on_applied is not None and changed:
            on_applied(changed)
        return bool(changed)

    def mutated_graph(module: tvm.IRModule) -> tvm.IRModule:
        activation.relax_seen += 1
        if module.attrs and _MARK in module.attrs:
            return module
        mutated, applied = apply_mutations(module, on_graph)
        if not report(None, applied):
            return module
        activation.relax_pipelines += 1
        return mutated.with_attr(_MARK, True)

    builds = _MutatedBuilds(selections, kernel, build, report, argument_checks)
    with contextlib.ExitStack() as stack:
        stack.enter_context(caught_builds(builds.mutated, builds.faulty if Slot.PIPELINE in selections else None))
        if Slot.TEXT in selections:
            stack.enter_context(rewritten_code(builds.mutated_code))
        if on_graph:
            stack.enter_context(caught_relax_pipelines(mutated_graph))
        yield activation


class _MutatedBuilds:
    """Applies mutations to the builds that are caught, in the slots after the Relax pipeline.

    ``report`` gets the applied mutations of a build (None: the build has no number yet), and returns whether they
    changed anything.
    """

    def __init__(
        self,
        selections: Mapping[Slot, Sequence[Selection]],
        kernel: str | None,
        build: int | None,
        report: Callable[[Build | None, Sequence[Applied]], bool],
        argument_checks: bool,
    ) -> None:
        self._selections, self._kernel, self._build, self._report = selections, kernel, build, report
        self._apply = _apply_to_whole if argument_checks else apply_mutations
        self._thread = threading.local()

    @property
    def _current(self) -> Build | None:
        """The build that this thread makes."""
        return getattr(self._thread, "build", None)

    def mutated(self, slot: Slot, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """The module with the mutations of the slot."""
        if slot is not Slot.LOWERED:
            self._thread.build = build
        if slot is Slot.KERNEL:
            self._report(build, [])  # counts the build as seen
        if slot not in self._selections:
            return module
        mutated, applied = self._apply(module, self._wanted(slot, build, _names(module)))
        return mutated if self._report(build, applied) else module

    def mutated_code(self, text: str, kind: str) -> str:
        """Generated code with the mutations of the slot ``text``."""
        mutated, applied = apply_to_code(text, kind, self._wanted(Slot.TEXT, self._current, kernel_parts(text, kind)))
        self._report(self._current, applied)
        return mutated

    def faulty(self, pipeline: TirPipeline) -> TirPipeline:
        """A TIR pipeline with the faults of the slot ``pipeline``.

        A fault is applied to a function if the faulty passes give a structurally different function. Faults have no
        site in a pipeline that its owner puts together at run time, and none in Relax pipelines.
        """
        body, finalize_host, finalize_device = pipeline
        run: TirPipeline | None = None
        faults: list[Selection] = []

        def lower(module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
            nonlocal run, faults
            lists = passes_of_pipeline(pipeline, _target(module))
            wanted = self._wanted(Slot.PIPELINE, self._current, _names(module))
            faults = [fault for fault in wanted if pass_sites(lists, fault)]
            run = faulty_pipeline(faults, lists) if faults else None
            return self._compared(body, run and run[0], module, faults)

        def finalizer(number: int, unmutated: Callable[[], tvm.transform.Pass]) -> Callable[[], tvm.transform.Pass]:
            def finalize(module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
                return self._compared(unmutated(), run and run[number](), module, faults)

            return lambda: tvm.transform.module_pass(finalize, opt_level=0, name=f"tvm_mutate.faulty_{number}")

        return (
            tvm.transform.module_pass(lower, opt_level=0, name="tvm_mutate.faulty_0"),
            finalizer(1, finalize_host),
            finalizer(2, finalize_device),
        )

    def _compared(
        self, unmutated: Step, mutated: Step | None, module: tvm.IRModule, faults: Iterable[Selection]
    ) -> tvm.IRModule:
        """The module after the mutated passes; reports the functions that differ from the unmutated ones."""
        expected = unmutated(module)
        if mutated is None:
            return expected
        other = {variable.name_hint: function for variable, function in expected.functions.items()}
        changed = list(other)  # if the faulty passes fail, all functions count as changed
        try:
            result = mutated(module)
            changed = [
                variable.name_hint
                for variable, function in result.functions.items()
                if not tvm_ffi.structural_equal(function, other.get(variable.name_hint))
            ]
        finally:
            applied = [
                Applied(fault.mutation, name, 1, (0,), True)
                for name in changed
                for fault in faults
                if fault.mutation.matches(name)
            ]
            self._report(self._current, applied)
        return result

    def _wanted(self, slot: Slot, build: Build | None, names: Iterable[str]) -> list[Selection]:
        """The selections of a slot that are for functions of these names in a build (None: it has no number)."""
        wanted = list(self._selections.get(slot, ()))
        if (self._kernel, self._build) == (None, None):
            return wanted
        if build is None or self._build not in (None, build.number):
            return []
        if self._kernel is None:
            return wanted
        kernels = [name for name, digest in build.digests.items() if digest.startswith(self._kernel)]
        covered = [name for name in names if any(comes_from_kernel(name, kernel) for kernel in kernels)]
        return [
            replace(selection, mutation=selection.mutation.at(name, selection.mutation.sites))
            for selection in wanted
            for name in covered
            if selection.mutation.matches(name)
        ]


def _names(module: tvm.IRModule) -> list[str]:
    return [variable.name_hint for variable in module.functions]


def _target(module: tvm.IRModule) -> Target:
    targets = [function.attrs["target"] for function in module.functions.values() if "target" in (function.attrs or {})]
    return targets[0] if targets else Target("llvm")


def _apply_to_whole(module: tvm.IRModule, selections: Sequence[Selection]) -> tuple[tvm.IRModule, list[Applied]]:
    """Like ``apply_mutations``, but includes the argument checks: functions without calling convention have none."""
    conventions = {
        variable: function.attrs[_CONVENTION]
        for variable, function in module.functions.items()
        if isinstance(function, tirx.PrimFunc) and function.attrs and _CONVENTION in function.attrs
    }
    bare = {variable: module[variable].without_attr(_CONVENTION) for variable in conventions}
    mutated, applied = apply_mutations(with_functions(module, bare), selections)
    restored = {variable: mutated[variable].with_attr(_CONVENTION, kept) for variable, kept in conventions.items()}
    return with_functions(mutated, restored), applied
