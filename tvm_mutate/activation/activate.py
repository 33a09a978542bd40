"""A mutant that is in every build of a process as long as a context lasts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import tvm

from tvm_mutate.activation.builds import Build
from tvm_mutate.activation.catching import caught_builds
from tvm_mutate.activation.faulty import FaultyPipelines
from tvm_mutate.activation.mutating import Mutating
from tvm_mutate.activation.place import Place
from tvm_mutate.activation.relax_pipelines import caught_relax_pipelines
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Mutant, Slot, TirRule
from tvm_mutate.native import require_runtime
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import Applied, Recorder, Selection, apply_mutations, selections_by_slot
from tvm_mutate.pipeline import code_door

# What a Relax module carries that was mutated already: a second pipeline is given what the first has made.
_MARK = "tvm_mutate.mutated"


@dataclass
class Activation:
    """What became of an active mutant.

    ``applied`` tells what each mutation did to which function, where it changed one (structurally: the proof, which no
    counter can stand in for). ``builds`` counts the builds that came out changed, of the ``seen`` ones, and
    ``relax_pipelines`` the runs of Relax pipelines that were given a changed module, of ``relax_seen``.
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
        """How many builds came out changed."""
        return len(self._changed)

    @property
    def seen(self) -> int:
        """How many builds were caught."""
        return len(self._seen)

    def say(self) -> str:
        """One line: the mutant, and in how many builds it was applied, or that it never was."""
        counts = []
        if self.slots - {Slot.GRAPH}:
            counts.append(f"builds changed: {self.builds} of {self.seen}")
        if Slot.GRAPH in self.slots:
            counts.append(
                f"modules given to Relax pipelines of TVM's changed: {self.relax_pipelines} of {self.relax_seen}"
            )
        told = "applied" if self.builds or self.relax_pipelines else f"NEVER applied{self._unseen()}"
        return f"mutant {self.mutant} was {told} ({'; '.join(counts)})"

    def _unseen(self) -> str:
        return ", a Relax pipeline of one's own is not seen" if Slot.GRAPH in self.slots else ""

    def note(self, build: Build | None, applied: Sequence[Applied]) -> list[Applied]:
        """Counts what was done in a build; gives what of it changed something."""
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
    recorder: Recorder | None = None,
) -> Iterator[Activation]:
    """Mutates every build of the process that matches, while the context lasts; what is built inside stays mutated.

    ``kernel`` limits it to functions whose :func:`kernel_digest` begins so, ``build`` to the build with this number.
    Of host functions only what the kernel computes is mutated and counted; with ``argument_checks`` it is TVM's checks
    of their arguments, too. In the slot ``graph`` a module is mutated before the first of TVM's Relax pipelines that it
    is given to. In the slot ``pipeline`` it is the lists of TIR passes. ``recorder`` gets what was applied, each time
    something was. Raises UsageError for an unknown mutant, and for a place that its slot does not have.
    """
    catalogue = catalogue or load_catalogue()
    parsed = catalogue.parse(str(mutant))
    selections = selections_by_slot(parsed.mutations, catalogue)
    place = Place(kernel, build)
    _check(parsed, selections, place)
    activation = Activation(parsed, frozenset(selections))

    def report(at: Build | None, applied: Sequence[Applied]) -> None:
        changed = activation.note(at, applied)
        if recorder is not None and changed:
            recorder(changed)

    mutating = Mutating(selections, place, report, argument_checks)
    faulty = FaultyPipelines(selections.get(Slot.PIPELINE, ()), place, mutating.current, report)
    with contextlib.ExitStack() as stack:
        stack.enter_context(caught_builds(mutating, faulty if Slot.PIPELINE in selections else None))
        if Slot.TEXT in selections:
            stack.enter_context(code_door(mutating.code))
        if Slot.GRAPH in selections:
            graph = _Graph(selections[Slot.GRAPH], activation, recorder)
            stack.enter_context(caught_relax_pipelines(graph.mutated))
        yield activation


def _check(mutant: Mutant, selections: dict[Slot, list[Selection]], place: Place) -> None:
    if Slot.GRAPH in selections and not place.everywhere:
        raise UsageError(f"mutant {mutant} acts on a graph, before there are kernels and builds: name none of them")
    for selection in selections.get(Slot.KERNEL, ()):
        rule = selection.operator.rule
        if isinstance(rule, TirRule) and rule.calls_runtime:
            require_runtime()


class _Graph:
    """Mutates Relax modules, each once, however many pipelines it goes through."""

    def __init__(self, selections: Sequence[Selection], activation: Activation, recorder: Recorder | None) -> None:
        self._selections, self._activation, self._recorder = selections, activation, recorder

    def mutated(self, module: tvm.IRModule) -> tvm.IRModule:
        """The module with the mutations of the slot ``graph``; the same one where they change nothing."""
        self._activation.relax_seen += 1
        if module.attrs and _MARK in module.attrs:
            return module
        mutated, applied = apply_mutations(module, self._selections)
        changed = self._activation.note(None, applied)
        if not changed:
            return module
        self._activation.relax_pipelines += 1
        if self._recorder is not None:
            self._recorder(changed)
        return mutated.with_attr(_MARK, True)
