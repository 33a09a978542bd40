"""TIR pipelines with faults in their lists of passes, for all functions or for some."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import tvm
from tvm import tirx
from tvm.target import Target

from tvm_mutate.passes import Selection
from tvm_mutate.pipeline.pass_lists import BODY, DEVICE, HOST, PassLists, pass_sites, tir_pass_lists, with_faults
from tvm_mutate.pipeline.registration import TirPipeline, registered_tir_pipeline

_ENTRY = "tirx.is_entry_func"
Matching = tuple[int, ...]  # the numbers of the faults that a function has


@contextlib.contextmanager
def faulty_tir_pipeline(faults: Sequence[Selection], target: Target, pipeline: str = "default") -> Iterator[str]:
    """The name of a TIR pipeline with faults in its lists of passes, while the context lasts.

    Each fault is in the pipeline of the functions that its mutation matches; the others go through the unmutated one.
    Where no fault has a site, the name is that of the pipeline itself.
    """
    lists = tir_pass_lists(target, pipeline) if faults else {}  # most mutants are none
    faults = [fault for fault in faults if pass_sites(lists, fault)]
    if not faults:
        yield pipeline
        return
    with registered_tir_pipeline(lambda: faulty_run(faults, tir_pass_lists(target, pipeline))) as name:
        yield name


def faulty_run(faults: Sequence[Selection], lists: PassLists) -> TirPipeline:
    """A TIR pipeline of these lists of passes, for one build, with faults for the functions that they match."""
    return _Run(faults, lists).pipeline()


class _Run:
    """One run of the pipeline; it remembers which faults the functions have that came out of the body."""

    def __init__(self, faults: Sequence[Selection], lists: PassLists) -> None:
        self._faults, self._lists = faults, lists
        self._matching: dict[str, Matching] = {}

    def pipeline(self) -> TirPipeline:
        """The pipeline as TVM takes one: its body, and what makes the finalizers of host and device functions."""
        return (
            tvm.transform.module_pass(self._body, opt_level=0, name="tvm_mutate.faulty_body"),
            lambda: self._finalizer(HOST),
            lambda: self._finalizer(DEVICE),
        )

    def _body(self, module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        def lower(part: tvm.IRModule, matching: Matching) -> tvm.IRModule:
            lowered = self._passes(BODY, matching)(part)
            if part is not module:
                # A function that is alone in its part counts as the entry of the program, and is none.
                lowered = tirx.transform.Apply(lambda each: each.without_attr(_ENTRY))(lowered)
            self._matching.update((variable.name_hint, matching) for variable in lowered.functions)
            return lowered

        return _by_part(module, self._matched, lower)

    def _finalizer(self, name: str) -> tvm.transform.Pass:
        def finalize(module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
            return _by_part(
                module,
                lambda function: self._matching.get(function, ()),
                lambda part, matching: self._passes(name, matching)(part),
            )

        return tvm.transform.module_pass(finalize, opt_level=0, name=f"tvm_mutate.faulty_{name}")

    def _matched(self, function: str) -> Matching:
        return tuple(number for number, fault in enumerate(self._faults) if fault.mutation.matches(function))

    def _passes(self, name: str, matching: Matching) -> tvm.transform.Pass:
        return tvm.transform.Sequential(list(with_faults(self._lists, [self._faults[each] for each in matching])[name]))


def _by_part(
    module: tvm.IRModule, matching: Callable[[str], Matching], lower: Callable[[tvm.IRModule, Matching], tvm.IRModule]
) -> tvm.IRModule:
    """The module with its functions lowered, those that have the same faults together."""
    parts: dict[Matching, dict[tvm.ir.GlobalVar, tvm.ir.BaseFunc]] = {}
    for variable, function in module.functions.items():
        parts.setdefault(matching(variable.name_hint), {})[variable] = function
    if len(parts) <= 1:
        return lower(module, next(iter(parts), ()))
    lowered = [lower(tvm.IRModule(functions, attrs=module.attrs), faults) for faults, functions in parts.items()]
    return tvm.IRModule(
        {variable: function for part in lowered for variable, function in part.functions.items()}, attrs=module.attrs
    )
