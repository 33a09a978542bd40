"""Names for TIR pipelines, under which TVM finds them as long as they are needed."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator

import tvm
from tvm import tirx
from tvm.tirx import compilation_pipeline

# The body, and what makes the finalizers of host functions and of device functions.
TirPipeline = tuple[tvm.transform.Pass, Callable[[], tvm.transform.Pass], Callable[[], tvm.transform.Pass]]


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
