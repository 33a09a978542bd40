"""Slots what a mutant does into a Relax pipeline and a TIR pipeline."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tvm
from tvm import tirx
from tvm.tirx import compilation_pipeline

from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline.generating import code_door

# Passes, and a code pass in the slot ``text``.
Passes = Mapping[Slot, Any]


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
        with _registered(passes, pipeline) as name:
            yield name


@contextlib.contextmanager
def _registered(passes: Passes, pipeline: str) -> Iterator[str]:
    name = f"tvm_mutate.{uuid.uuid4().hex}"
    tirx.register_tir_pipeline(name, lambda: _slotted(passes, pipeline))
    try:
        yield name
    finally:
        del compilation_pipeline.PIPELINE_MAP[name]


def _slotted(
    passes: Passes, pipeline: str
) -> tuple[tvm.transform.Pass, Callable[[], tvm.transform.Pass], Callable[[], tvm.transform.Pass]]:
    body, finalize_host, finalize_device = tirx.get_tir_pipeline(pipeline)

    def appended(first: tvm.transform.Pass, slot: Slot) -> tvm.transform.Pass:
        return tvm.transform.Sequential([first, passes[slot]]) if slot in passes else first

    return (
        appended(body, Slot.LOWERED),
        lambda: appended(finalize_host(), Slot.CODEGEN),
        lambda: appended(finalize_device(), Slot.CODEGEN),
    )
