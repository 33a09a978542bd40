"""Recordings: what each test of a suite builds and runs without a mutant."""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import tvm
from tvm import tirx

from tvm_mutate.activation import Build, caught_builds, kernel_digest
from tvm_mutate.mutant import Mutation, Slot
from tvm_mutate.passes import Selection, count_all_sites, with_functions
from tvm_mutate.results import TestOutcome
from tvm_mutate.suite.kernel_calls import CallValues, KernelCalls
from tvm_mutate.suite.testing import SuiteTest, TestRun, run_test


@dataclass(frozen=True)
class BuiltKernel:
    """A kernel in a build of a test; ``build`` is the number of the build.

    ``code`` is the digest of the lowered function, and "" if lowering left no function of that name.
    """

    digest: str
    name: str
    build: int
    code: str = ""


@dataclass(frozen=True)
class KernelText:
    """A kernel as mutations find it: its number of sites by mutation, and its functions by slot, as compressed JSON."""

    name: str
    sites: Mapping[Mutation, int]
    functions: Mapping[Slot, bytes]

    def module(self, slot: Slot) -> tvm.IRModule:
        """A module with only the function of this kernel, under its name."""
        function = tvm.ir.load_json(zlib.decompress(self.functions[slot]).decode())
        return tvm.IRModule({self.name: function})


@dataclass(frozen=True)
class Recording:
    """How a test ends without a mutant, what the test builds, and which of the built kernels run.

    ``executed`` holds the number of calls of each kernel by digest. ``executed`` is None if the test fails when its
    kernels are instrumented; ``obstacle`` then says how. ``uninstrumented`` holds the digests of kernels that cannot be
    instrumented. ``filled`` says whether unwritten memory holds a pattern in all runs of the test; False for a test
    that passes only without the pattern.
    """

    test: SuiteTest
    run: TestRun
    built: tuple[BuiltKernel, ...] = ()
    executed: Mapping[str, int] | None = None
    uninstrumented: frozenset[str] = frozenset()
    values: Mapping[str, CallValues] = field(default_factory=dict)
    texts: Mapping[str, KernelText] = field(default_factory=dict)
    obstacle: str = ""
    filled: bool = True

    def kernel_of(self, mutation: Mutation) -> str | None:
        """The digest of the mutation's kernel; None for a mutation of all kernels or if the test does not build it."""
        digests = (each.digest for each in self.built if each.digest.startswith(mutation.function))
        return None if mutation.function == "*" else next(digests, None)

    def builds_of(self, mutation: Mutation) -> list[int]:
        """The numbers of the test's builds that contain the mutation's kernel."""
        digest = self.kernel_of(mutation)
        return sorted({each.build for each in self.built if mutation.function == "*" or each.digest == digest})

    def code_of(self, mutation: Mutation) -> str:
        """A text that identifies the lowered code of the mutation's kernel, or of all kernels of the test."""
        digest = self.kernel_of(mutation)
        if digest is not None:
            return "+".join(sorted({each.code for each in self.built if each.digest == digest}))
        kernels = sorted({(each.digest, each.code) for each in self.built})
        return hashlib.sha256(repr(kernels).encode()).hexdigest()

    def runs(self, digest: str) -> bool | None:
        """Whether the test runs the kernel; None if unknown.

        An uninstrumented function can only be called by other functions of its build: without a call of those, the
        function does not run.
        """
        if self.executed is None:
            return None
        if digest not in self.uninstrumented:
            return self.executed.get(digest, 0) > 0
        builds = {each.build for each in self.built if each.digest == digest}
        callers = {each.digest for each in self.built if each.build in builds} - self.uninstrumented
        return False if callers and not any(self.executed.get(each, 0) for each in callers) else None

    def never_runs(self, mutation: Mutation) -> bool:
        """Whether the test certainly runs no kernel that the mutation changes."""
        digest = self.kernel_of(mutation)
        if digest is not None:
            return self.runs(digest) is False
        return self.executed is not None and not any(self.executed.values())


class BuildRecorder:
    """Notes the kernels of each build and the sites of ``selections`` in them; instruments kernels with ``calls``.

    The sites of kernels whose digests are ``known`` are not counted again.
    """

    def __init__(self, selections: Sequence[Selection], known: Collection[str], calls: KernelCalls | None) -> None:
        self.built: dict[tuple[int, str], BuiltKernel] = {}
        self.uninstrumented: set[str] = set()
        self.texts: dict[str, KernelText] = {}
        self._selections, self._known, self._calls = selections, known, calls

    def __call__(self, slot: Slot, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """Notes the kernels of the build; returns the module, with instrumented kernels after lowering."""
        if slot is Slot.KERNEL:
            for name, digest in build.digests.items():
                self.built[build.number, name] = BuiltKernel(digest, name, build.number)
                self._note(digest, Slot.KERNEL, module, name)
        return self._lowered(build, module) if slot is Slot.LOWERED else module

    def _lowered(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        instrumented: dict[Any, Any] = {}
        for variable, function in module.functions.items():
            name = variable.name_hint
            digest = build.digests.get(name)
            if digest is None or not isinstance(function, tirx.PrimFunc):
                continue
            self.built[build.number, name] = replace(self.built[build.number, name], code=kernel_digest(function))
            self._note(digest, Slot.LOWERED, module, name)
            if self._calls is None:
                continue
            changed = self._calls.instrument(function, digest)
            if changed is None:
                self.uninstrumented.add(digest)
            else:
                instrumented[variable] = changed
        return with_functions(module, instrumented)

    def _note(self, digest: str, slot: Slot, module: tvm.IRModule, name: str) -> None:
        text = self.texts.get(digest, KernelText(name, {}, {}))
        if digest in self._known or slot in text.functions:
            return
        selections = [each for each in self._selections if each.slot is slot]
        counts = count_all_sites(tvm.IRModule({name: module[name]}), selections)
        found = {
            selection.mutation: sum(count.values())
            for selection, count in zip(selections, counts, strict=True)
            if count
        }
        packed = zlib.compress(tvm.ir.save_json(module[name]).encode(), 1)
        self.texts[digest] = replace(text, sites={**text.sites, **found}, functions={**text.functions, slot: packed})


def record(test: SuiteTest, selections: Sequence[Selection], known: Collection[str], seconds: float) -> Recording:
    """Records a test by running it with instrumented kernels or, if the test fails so, without."""

    def attempt(instrument: bool, filled: bool) -> Recording:
        @contextlib.contextmanager
        def recorded() -> Iterator[Callable[[], dict[str, Any]]]:
            calls = KernelCalls() if instrument else None
            recorder = BuildRecorder(selections, known, calls)
            with calls.listening() if calls else contextlib.nullcontext(), caught_builds(recorder):
                yield lambda: {
                    "built": tuple(recorder.built.values()),
                    "executed": calls.counts() if calls else None,
                    "uninstrumented": frozenset(recorder.uninstrumented),
                    "values": calls.values() if calls else {},
                    "texts": recorder.texts,
                }

        run = run_test(test, seconds, recorded, filled=filled)
        return Recording(test, replace(run, noted=None), filled=filled, **(run.noted or {}))

    first = attempt(instrument=True, filled=True)
    if not first.run.outcome.kills or first.run.outcome is TestOutcome.TIMEOUT:
        return first
    plain = attempt(instrument=False, filled=False)
    if plain.run.outcome.kills:
        return plain
    instrumented = attempt(instrument=True, filled=False)
    if not instrumented.run.outcome.kills:
        return instrumented
    filled = attempt(instrument=False, filled=True)
    obstacle = f"{first.run.outcome}: {first.run.reason}"
    return replace(plain if filled.run.outcome.kills else filled, obstacle=obstacle)
