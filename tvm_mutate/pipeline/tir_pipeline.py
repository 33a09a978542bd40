"""TIR pipelines with mutations: passes in their slots, and faults in their lists of passes."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tvm
from tvm import tirx
from tvm.tirx import compilation_pipeline

from tvm_mutate.mutant import ON_GRAPHS, Slot
from tvm_mutate.passes import Selection
from tvm_mutate.pipeline.codegen import rewritten_code
from tvm_mutate.pipeline.pass_lists import (
    BODY,
    DEVICE,
    HOST,
    PassLists,
    TirPipeline,
    pass_sites,
    with_faults,
)


@contextlib.contextmanager
def registered_tir_pipeline(make: Callable[[], TirPipeline]) -> Iterator[str]:
    """The name under which a TIR pipeline is registered while the context lasts; ``make`` makes one for every build.

    ``tvm.tirx.build`` takes pipelines only by name.
    """
    name = f"tvm_mutate.{uuid.uuid4().hex}"
    tirx.register_tir_pipeline(name, make)
    try:
        yield name
    finally:
        del compilation_pipeline.PIPELINE_MAP[name]


_ENTRY = "tirx.is_entry_func"
FaultNumbers = tuple[int, ...]  # the numbers of the faults in the pipeline of a function


@contextlib.contextmanager
def faulty_tir_pipeline(faults: Sequence[Selection], lists: PassLists, pipeline: str = "default") -> Iterator[str]:
    """The name of a TIR pipeline with faults in its lists of passes, while the context lasts.

    Each fault is in the pipeline of the functions that its mutation matches. If no fault has a site, the name is that
    of the unmutated ``pipeline``.
    """
    faults = [fault for fault in faults if pass_sites(lists, fault)]
    if not faults:
        yield pipeline
        return
    with registered_tir_pipeline(lambda: faulty_pipeline(faults, lists)) as name:
        yield name


def faulty_pipeline(faults: Sequence[Selection], lists: PassLists) -> TirPipeline:
    """The TIR pipeline of these lists of passes, for one build, with each fault for the functions that it matches."""
    faults_of: dict[str, FaultNumbers] = {}  # of the functions after the body, which may split functions

    def matching(function: str) -> FaultNumbers:
        return tuple(number for number, fault in enumerate(faults) if fault.mutation.matches(function))

    def passes(name: str, numbers: FaultNumbers) -> tvm.transform.Pass:
        return tvm.transform.Sequential(list(with_faults(lists, [faults[number] for number in numbers])[name]))

    def body(module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        def lower(part: tvm.IRModule, numbers: FaultNumbers) -> tvm.IRModule:
            lowered = passes(BODY, numbers)(part)
            if part is not module:
                # TVM takes a function that is alone in its module for the entry of the program.
                lowered = tirx.transform.Apply(lambda each: each.without_attr(_ENTRY))(lowered)
            faults_of.update((variable.name_hint, numbers) for variable in lowered.functions)
            return lowered

        return _by_part(module, matching, lower)

    def finalizer(name: str) -> tvm.transform.Pass:
        def finalize(module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
            return _by_part(
                module, lambda each: faults_of.get(each, ()), lambda part, numbers: passes(name, numbers)(part)
            )

        return tvm.transform.module_pass(finalize, opt_level=0, name=f"tvm_mutate.faulty_{name}")

    return (
        tvm.transform.module_pass(body, opt_level=0, name="tvm_mutate.faulty_body"),
        lambda: finalizer(HOST),
        lambda: finalizer(DEVICE),
    )


def _by_part(
    module: tvm.IRModule,
    matching: Callable[[str], FaultNumbers],
    lower: Callable[[tvm.IRModule, FaultNumbers], tvm.IRModule],
) -> tvm.IRModule:
    """The module lowered in parts: functions with the same faults together."""
    parts: dict[FaultNumbers, dict[tvm.ir.GlobalVar, tvm.ir.BaseFunc]] = {}
    for variable, function in module.functions.items():
        parts.setdefault(matching(variable.name_hint), {})[variable] = function
    if len(parts) <= 1:
        return lower(module, next(iter(parts), ()))
    lowered = [lower(tvm.IRModule(functions, attrs=module.attrs), faults) for faults, functions in parts.items()]
    return tvm.IRModule(
        {variable: function for part in lowered for variable, function in part.functions.items()}, attrs=module.attrs
    )


# Passes by slot; a code pass in the slot ``text``.
Passes = Mapping[Slot, Any]
Selections = Mapping[Slot, Sequence[Selection]]

LATE = (Slot.LOWERED, Slot.CODEGEN, Slot.TEXT)


def slotted_relax_pipeline(passes: Passes, pipeline: tvm.transform.Pass) -> tvm.transform.Pass:
    """The Relax pipeline with the passes of the slots before it, and of ``kernel`` after it."""
    around = [*map(passes.get, ON_GRAPHS), pipeline, passes.get(Slot.KERNEL)]
    return tvm.transform.Sequential([each for each in around if each is not None], name="tvm_mutate.relax_pipeline")


@contextlib.contextmanager
def slotted_tir_pipeline(passes: Passes, pipeline: str = "default") -> Iterator[str]:
    """The name of a TIR pipeline with the passes of ``lowered``, ``codegen`` and ``text``, while the context lasts.

    ``lowered`` passes get host and device functions in one module; ``codegen`` passes run on each side after its
    finalizers. The code pass of ``text`` gets all code that is generated while the context lasts.
    """
    with rewritten_code(passes[Slot.TEXT]) if Slot.TEXT in passes else contextlib.nullcontext():
        if Slot.LOWERED not in passes and Slot.CODEGEN not in passes:
            yield pipeline
            return
        with registered_tir_pipeline(lambda: _slotted(passes, pipeline)) as name:
            yield name


def _slotted(passes: Passes, pipeline: str) -> TirPipeline:
    body, finalize_host, finalize_device = tirx.get_tir_pipeline(pipeline)

    def appended(first: tvm.transform.Pass, slot: Slot) -> tvm.transform.Pass:
        return tvm.transform.Sequential([first, passes[slot]]) if slot in passes else first

    return (
        appended(body, Slot.LOWERED),
        lambda: appended(finalize_host(), Slot.CODEGEN),
        lambda: appended(finalize_device(), Slot.CODEGEN),
    )
