"""Faults in the lists of passes of TIR pipelines that someone else looks up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import tvm
import tvm_ffi
from tvm.target import Target

from tvm_mutate.activation.mutating import Report
from tvm_mutate.activation.place import Current, Place
from tvm_mutate.passes import Applied, Selection
from tvm_mutate.pipeline import TirPipeline, faulty_run, pass_sites, passes_of_pipeline


class FaultyPipelines:
    """Puts faulty pipelines in the place of those that are looked up.

    A fault is applied to a function where that comes out structurally different from what the unmutated passes make of
    it. Faults have no site in a pipeline that its owner put together before it runs, and none in Relax pipelines.
    """

    def __init__(self, faults: Sequence[Selection], place: Place, current: Current, report: Report) -> None:
        self._faults, self._place, self._current, self._report = faults, place, current, report

    def __call__(self, pipeline: TirPipeline) -> TirPipeline:
        """The pipeline with the faults in it."""
        body, finalize_host, finalize_device = pipeline
        run: TirPipeline | None = None
        faults: list[Selection] = []

        def lower(module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
            nonlocal run, faults
            names = [variable.name_hint for variable in module.functions]
            lists = passes_of_pipeline(pipeline, _target(module))
            wanted = self._place.selections_in(self._current.build, names, self._faults)
            faults = [fault for fault in wanted if pass_sites(lists, fault)]
            run = faulty_run(faults, lists) if faults else None
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
        self,
        unmutated: Callable[[tvm.IRModule], tvm.IRModule],
        mutated: Callable[[tvm.IRModule], tvm.IRModule] | None,
        module: tvm.IRModule,
        faults: Iterable[Selection],
    ) -> tvm.IRModule:
        """What the mutated passes make of a module; reported is what comes out otherwise than without faults."""
        if mutated is None:
            return unmutated(module)
        expected = unmutated(module)
        other = {variable.name_hint: function for variable, function in expected.functions.items()}
        changed = list(other)  # where the faulty passes fail, they do something else with all functions
        try:
            result = mutated(module)
            changed = [
                variable.name_hint
                for variable, function in result.functions.items()
                if not tvm_ffi.structural_equal(function, other.get(variable.name_hint))
            ]
        finally:
            self._report(self._current.build, _applied(faults, changed))
        return result


def _applied(faults: Iterable[Selection], changed: Iterable[str]) -> list[Applied]:
    return [
        Applied(fault.mutation, name, 1, (0,), True)
        for name in changed
        for fault in faults
        if fault.mutation.matches(name)
    ]


def _target(module: tvm.IRModule) -> Target:
    targets = [function.attrs["target"] for function in module.functions.values() if "target" in (function.attrs or {})]
    return targets[0] if targets else Target("llvm")
