"""TIR pipelines and global functions that TVM finds by name as long as they are needed."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.tirx import compilation_pipeline

# The body, and what makes the finalizers of host functions and of device functions.
TirPipeline = tuple[tvm.transform.Pass, Callable[[], tvm.transform.Pass], Callable[[], tvm.transform.Pass]]
# From what stands under a name (None for nothing) to the function that takes its place.
Wrapper = Callable[[Any], Callable[..., Any]]


@contextlib.contextmanager
def registered_tir_pipeline(make: Callable[[], TirPipeline]) -> Iterator[str]:
    """The name of a TIR pipeline that ``make`` makes for every build, while the context lasts.

    It is registered because ``tvm.tirx.build`` takes pipelines by name only.
    """
    name = f"tvm_mutate.{uuid.uuid4().hex}"
    tirx.register_tir_pipeline(name, make)
    try:
        yield name
    finally:
        del compilation_pipeline.PIPELINE_MAP[name]


@contextlib.contextmanager
def overridden_global_function(name: str, wrapper: Wrapper) -> Iterator[None]:
    """A global function of TVM's wrapped, while the context lasts; afterwards the same object as before stands there.

    What somebody else has put over it meanwhile is left.
    """
    before = tvm.get_global_func(name, allow_missing=True)
    tvm_ffi.register_global_func(name, wrapper(before), override=True)
    ours = tvm.get_global_func(name)
    try:
        yield
    finally:
        if ours.same_as(tvm.get_global_func(name, allow_missing=True)):
            if before is None:
                tvm_ffi.remove_global_func(name)
            else:
                tvm_ffi.register_global_func(name, before, override=True)
