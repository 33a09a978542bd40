"""What a test builds and runs, noted by a catcher of its builds."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import tvm
from tvm import tirx

from tvm_mutate.activation import Build, caught_builds, kernel_digest
from tvm_mutate.mutant import Slot
from tvm_mutate.passes import Selection, count_all_sites, with_functions
from tvm_mutate.suite.calls import KernelCalls, Values
from tvm_mutate.suite.instrument import instrumented
from tvm_mutate.suite.testing import SuiteTest, TestOutcome, TestRun, run_test


@dataclass(frozen=True)
class BuiltKernel:
    """A kernel in a build of a test: its digest, its name there, the number of the build, and what it is lowered to.

    ``code`` is the digest of the function after the TIR pipeline, "" where none of that name came out of it.
    """

    digest: str
    name: str
    build: int
    code: str = ""


@dataclass(frozen=True)
class KernelText:
    """A kernel as mutations find it: its sites by mutation, and its functions by slot as compressed JSON of TVM's."""

    name: str
    sites: Mapping[str, int]
    functions: Mapping[Slot, bytes]

    def module(self, slot: Slot) -> tvm.IRModule:
        """The module with the function of this kernel alone, under its name."""
        function = tvm.ir.load_json(zlib.decompress(self.functions[slot]).decode())
        return tvm.IRModule({self.name: function})


@dataclass(frozen=True)
class Recording:
    """What one test does: how it ends without a fault, what it builds, and what of that it runs.

    ``executed`` has how often each kernel ran; None where it cannot be told, for the test does not pass with kernels
    that tell (``obstacle`` says how it ends then). A kernel that cannot be made to tell is in ``untold``. ``filled``:
    memory is filled in all its runs; False for a test that passes only where fresh memory is as it comes.
    """

    test: SuiteTest
    run: TestRun
    built: tuple[BuiltKernel, ...] = ()
    executed: Mapping[str, int] | None = None
    untold: frozenset[str] = frozenset()
    values: Mapping[str, Values] = field(default_factory=dict)
    texts: Mapping[str, KernelText] = field(default_factory=dict)
    obstacle: str = ""
    filled: bool = True

    def builds_of(self, digest: str) -> list[int]:
        """The numbers of the test's builds that have the kernel."""
        return sorted({each.build for each in self.built if each.digest == digest})

    def code_of(self, digest: str) -> str:
        """What the kernel is lowered to in the builds of this test, as one text."""
        return "+".join(sorted({each.code for each in self.built if each.digest == digest}))

    def runs(self, digest: str) -> bool | None:
        """Whether the test runs the kernel; None where that is not known.

        A function that cannot tell is called by others of its build, if at all: where none of these runs, nor does it.
        """
        if self.executed is None:
            return None
        if digest not in self.untold:
            return self.executed.get(digest, 0) > 0
        builds = self.builds_of(digest)
        callers = {each.digest for each in self.built if each.build in builds} - self.untold
        return False if callers and not any(self.executed.get(each, 0) for each in callers) else None


class Recorder:
    """A catcher that notes kernels and the sites of ``selections`` in them, and makes kernels tell when they run.

    Kernels whose digests are ``known`` are not looked into again.
    """

    def __init__(self, selections: Sequence[Selection], known: Collection[str], calls: KernelCalls | None) -> None:
        self.built: dict[tuple[int, str], BuiltKernel] = {}
        self.untold: set[str] = set()
        self.texts: dict[str, KernelText] = {}
        self._known = known
        self._calls = calls
        self._selections = {
            slot: [each for each in selections if each.slot is slot] for slot in (Slot.KERNEL, Slot.LOWERED)
        }

    def __call__(self, slot: Slot, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """Notes the kernels of the build, and instruments them when they are lowered."""
        if slot is Slot.KERNEL:
            for name, digest in build.digests.items():
                self.built[build.number, name] = BuiltKernel(digest, name, build.number)
                self._note(digest, Slot.KERNEL, module, name)
        return self._lowered(build, module) if slot is Slot.LOWERED else module

    def _lowered(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        telling: dict[Any, Any] = {}
        for variable, function in module.functions.items():
            digest = build.digests.get(variable.name_hint)
            if digest is None or not isinstance(function, tirx.PrimFunc):
                continue
            place = (build.number, variable.name_hint)
            self.built[place] = replace(self.built[place], code=kernel_digest(function))
            self._note(digest, Slot.LOWERED, module, variable.name_hint)
            told = self._told(function, digest)
            if told is not None:
                telling[variable] = told
        return with_functions(module, telling)

    def _told(self, function: tirx.PrimFunc, digest: str) -> tirx.PrimFunc | None:
        if self._calls is None:
            return None
        number = self._calls.number(digest)
        told = None if number is None else instrumented(function, number)
        if told is None:
            self.untold.add(digest)
        return told

    def _note(self, digest: str, slot: Slot, module: tvm.IRModule, name: str) -> None:
        text = self.texts.get(digest, KernelText(name, {}, {}))
        if digest in self._known or slot in text.functions:
            return
        alone = tvm.IRModule({name: module[name]})
        counts = count_all_sites(alone, self._selections[slot])
        found = {
            str(selection.mutation): sum(count.values())
            for selection, count in zip(self._selections[slot], counts, strict=True)
            if count
        }
        packed = zlib.compress(tvm.ir.save_json(module[name]).encode(), 1)
        self.texts[digest] = replace(text, sites={**text.sites, **found}, functions={**text.functions, slot: packed})


@contextlib.contextmanager
def recording(recorder: Recorder, calls: KernelCalls | None) -> Iterator[Callable[[], dict[str, Any]]]:
    """While this lasts, builds are noted and kernels heard; gives what takes along the fields of a Recording."""

    def noted() -> dict[str, Any]:
        return {
            "built": tuple(recorder.built.values()),
            "executed": calls.counts() if calls else None,
            "untold": frozenset(recorder.untold),
            "values": calls.values() if calls else {},
            "texts": recorder.texts,
        }

    with calls.listening() if calls else contextlib.nullcontext(), caught_builds(recorder):
        yield noted


def record(test: SuiteTest, selections: Sequence[Selection], known: Collection[str], seconds: float) -> Recording:
    """What a test does, found by running it with kernels that tell, and without where it does not pass so."""

    def attempt(told: bool, filled: bool) -> Recording:
        def around() -> contextlib.AbstractContextManager[Callable[[], dict[str, Any]]]:
            calls = KernelCalls() if told else None
            return recording(Recorder(selections, known, calls), calls)

        run = run_test(test, seconds, around, filled=filled)
        return Recording(test, replace(run, noted=None), filled=filled, **(run.noted or {}))

    first = attempt(told=True, filled=True)
    if not first.run.outcome.kind.kills or first.run.outcome.kind is TestOutcome.TIMEOUT:
        return first
    plain = attempt(told=False, filled=False)
    if plain.run.outcome.kind.kills:
        return plain
    for told, filled in ((True, False), (False, True)):
        again = attempt(told, filled)
        if not again.run.outcome.kind.kills:
            break
    else:
        again, told = plain, False
    return again if told else replace(again, obstacle=f"{first.run.outcome.kind}: {first.run.outcome.reason}")
