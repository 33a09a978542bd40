"""Slots what a mutant does into a Relax pipeline and a TIR pipeline."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tvm
from tvm import tirx
from tvm.target import Target

from tvm_mutate.mutant import Slot
from tvm_mutate.passes import OnApplied, Selection, slot_passes
from tvm_mutate.pipeline.faulty_tir import faulty_tir_pipeline
from tvm_mutate.pipeline.generating import code_door
from tvm_mutate.pipeline.registration import TirPipeline, registered_tir_pipeline

# Passes, and a code pass in the slot ``text``.
Passes = Mapping[Slot, Any]
Selections = Mapping[Slot, Sequence[Selection]]

LATE = (Slot.LOWERED, Slot.CODEGEN, Slot.TEXT)


def slotted_relax_pipeline(passes: Passes, pipeline: tvm.transform.Pass) -> tvm.transform.Pass:
    """The Relax pipeline with the passes of the slots ``graph`` (before it) and ``kernel`` (after it)."""
    around = [passes.get(Slot.GRAPH), pipeline, passes.get(Slot.KERNEL)]
    return tvm.transform.Sequential([each for each in around if each is not None], name="tvm_mutate.relax_pipeline")


@contextlib.contextmanager
def slotted_tir_pipeline(passes: Passes, pipeline: str = "default") -> Iterator[str]:
    """The name of a TIR pipeline with what acts in ``lowered``, ``codegen`` and ``text``, while the context lasts.

    The name is registered because ``tvm.tirx.build`` takes pipelines by name only. ``lowered`` passes see host
    and device functions in one module; ``codegen`` passes run on each side after its finalizers. What acts in ``text``
    gets all code that is generated meanwhile.
    """
    with code_door(passes[Slot.TEXT]) if Slot.TEXT in passes else contextlib.nullcontext():
        if Slot.LOWERED not in passes and Slot.CODEGEN not in passes:
            yield pipeline
            return
        with registered_tir_pipeline(lambda: _slotted(passes, pipeline)) as name:
            yield name


@contextlib.contextmanager
def mutated_tir_pipeline(selections: Selections, target: Target, on_applied: OnApplied | None = None) -> Iterator[str]:
    """The name of TVM's TIR pipeline with the selections of the slots that are in it, while the context lasts.

    These are ``lowered``, ``codegen``, ``text`` and ``pipeline``; ``on_applied`` gets what the first three did.
    """
    passes = slot_passes({slot: selections[slot] for slot in LATE if slot in selections}, on_applied)
    with (
        faulty_tir_pipeline(selections.get(Slot.PIPELINE, ()), target) as faulty,
        slotted_tir_pipeline(passes, faulty) as name,
    ):
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
