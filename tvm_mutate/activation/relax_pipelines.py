"""Catches the Relax pipelines of TVM's that are looked up by name, or asked for as a target's own."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import tvm
from tvm.relax import pipeline as relax_pipelines

from tvm_mutate.activation.lookups import Factory, replaced, wrapped_pipelines
from tvm_mutate.activation.transparent_pass import TransparentPass

_BACKENDS = "tvm.relax.backend."
_DEFAULT = "get_default_pipeline"


@contextlib.contextmanager
def caught_relax_pipelines(before: Callable[[tvm.IRModule], tvm.IRModule]) -> Iterator[None]:
    """While this lasts, every module that is given to a Relax pipeline of TVM's goes through ``before`` first.

    Caught are pipelines by name (``tvm.compile``, ``relax.build``, ``relax.get_pipeline``, those registered later) and
    the default pipelines of targets (``relax.get_default_pipeline``, and those of the backends). A ``Sequential`` of
    the user's own is no such pipeline, and is not seen.
    """
    active = True

    def wrap(factory: Factory) -> Factory:
        @functools.wraps(factory)
        def make(*arguments: Any, **options: Any) -> Any:
            inner = factory(*arguments, **options)
            return TransparentPass(lambda module: inner(before(module) if active else module), inner)

        return make

    with contextlib.ExitStack() as stack:
        stack.enter_context(wrapped_pipelines(relax_pipelines, wrap))
        for module in _backends():
            stack.enter_context(replaced(module, _DEFAULT, wrap(getattr(module, _DEFAULT))))
        try:
            yield
        finally:
            active = False


def _backends() -> list[ModuleType]:
    """The modules of TVM in which the default pipeline of a target is looked up."""
    loaded = [module for name, module in sorted(sys.modules.items()) if name.startswith(_BACKENDS)]
    return [module for module in loaded if hasattr(module, _DEFAULT)]
