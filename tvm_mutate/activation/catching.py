"""Catches the builds of a process: every TIR pipeline that is looked up, and generators called without one."""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tvm
import tvm_ffi
from tvm.tirx import compilation_pipeline

from tvm_mutate.activation.builds import Build, Catcher
from tvm_mutate.activation.generated import Generated
from tvm_mutate.activation.lookups import Factory, wrapped_pipelines
from tvm_mutate.activation.transparent_pass import TransparentPass
from tvm_mutate.pipeline import TirPipeline, overridden_global_function

_GENERATORS = "target.build."


@contextlib.contextmanager
def caught_builds(catcher: Catcher, pipelines: Callable[[TirPipeline], TirPipeline] | None = None) -> Iterator[None]:
    """While this lasts, every build of the process goes through the catcher; contexts may be nested.

    Caught are all pipelines that are looked up by name meanwhile, whoever does it and whenever they were registered:
    by ``tvm.compile``, ``tvm.tirx.build``, the global function ``tirx.build`` (constant folding), or directly with
    ``get_tir_pipeline`` and ``get_default_tir_pipeline``. A module that is given to ``target.build.*`` and has seen no
    such pipeline (lowered by hand, or by a pipeline looked up earlier) is a build of its own: all three methods of the
    catcher get it one after another, just before its code is generated. A module counts as having seen a pipeline
    where a function of it came out of one as it is, or under the same name out of the last one in the same thread.
    ``pipelines`` may put another TIR pipeline in the place of each that is looked up.

    Afterwards everything is as it was: the same objects, and of the user's own what was registered meanwhile. Pipelines
    that were looked up meanwhile and are run later do nothing any more.
    """
    catching = _Catching(catcher, pipelines or (lambda pipeline: pipeline))
    with contextlib.ExitStack() as stack:
        stack.callback(catching.end)
        for name in tvm_ffi.registry.list_global_func_names():
            if name.startswith(_GENERATORS):
                stack.enter_context(overridden_global_function(name, catching.guarded))
        stack.enter_context(wrapped_pipelines(compilation_pipeline, catching.caught))
        yield


Step = Callable[[tvm.IRModule], tvm.IRModule]


class _Catching:
    """What gives the builds their numbers and hands them to the catcher."""

    def __init__(self, catcher: Catcher, pipelines: Callable[[TirPipeline], TirPipeline]) -> None:
        self.active = True
        self._catcher, self._pipelines = catcher, pipelines
        self._numbers = itertools.count()
        self._thread = threading.local()
        self._generated = Generated()

    def end(self) -> None:
        """Has everything that was caught do nothing any more."""
        self.active = False

    def begun(self, module: tvm.IRModule) -> Build:
        """The next build."""
        return Build.of(next(self._numbers), module)

    def caught(self, factory: Factory) -> Factory:
        """What makes a pipeline as ``factory`` does, with the catcher around its parts."""

        @functools.wraps(factory)
        def make(*arguments: Any, **options: Any) -> Any:
            with self._inside() as outermost:  # a pipeline may be made of another that it looks up
                pipeline = factory(*arguments, **options)
            if not (self.active and outermost):
                return pipeline
            run = _PipelineRun(self)
            if not isinstance(pipeline, tuple):  # a pass that its owner takes directly
                return run.body(pipeline)
            body, finalize_host, finalize_device = self._pipelines(pipeline)
            return run.body(body), run.finalizers(finalize_host), run.finalizers(finalize_device)

        return make

    @contextlib.contextmanager
    def _inside(self) -> Iterator[bool]:
        """While this lasts, pipelines in this thread are parts of another; gives whether this one is none."""
        outermost = not getattr(self._thread, "inside", False)
        self._thread.inside = True
        try:
            yield outermost
        finally:
            self._thread.inside = not outermost

    def lower(self, inner: Step, module: tvm.IRModule) -> tuple[Build | None, tvm.IRModule]:
        """A new build, and the module after the body of its pipeline; no build where the body is a part of another."""
        with self._inside() as outermost:
            if not (self.active and outermost):
                return None, inner(module)
            build = self.begun(module)
            lowered = inner(self._catcher.kernel(build, module))
        return build, self._generated.lowered(self._catcher.lowered(build, lowered))

    def finalize(self, inner: Step, build: Build | None, module: tvm.IRModule) -> tvm.IRModule:
        """The module of a build (None: of one that begins here) after a finalizer."""
        with self._inside() as outermost:
            finalized = inner(module)
        if not (self.active and outermost):
            return finalized
        return self._generated.finalized(self._catcher.codegen(build or self.begun(module), finalized))

    def guarded(self, generate: Any) -> Callable[..., Any]:
        """A code generator that hands modules which have seen no pipeline to the catcher."""

        def generate_caught(module: Any, *rest: Any) -> Any:
            if self.active and isinstance(module, tvm.IRModule) and not self._generated.has_seen_pipeline(module):
                build = self.begun(module)
                for step in (self._catcher.kernel, self._catcher.lowered, self._catcher.codegen):
                    module = step(build, module)
            return generate(module, *rest)

        return generate_caught


class _PipelineRun:
    """The parts of one pipeline with the catcher around them; they are of the build that the body last began.

    Who takes a pipeline directly may run its body on several modules, in any thread.
    """

    def __init__(self, catching: _Catching) -> None:
        self._catching = catching
        self._thread = threading.local()

    def body(self, inner: Step) -> tvm.transform.Pass:
        def lower(module: tvm.IRModule) -> tvm.IRModule:
            self._thread.build, lowered = self._catching.lower(inner, module)
            return lowered

        return TransparentPass(lower, inner)

    def finalizers(self, make: Callable[[], Step]) -> Callable[[], tvm.transform.Pass]:
        def finalizer() -> tvm.transform.Pass:
            inner = make()

            def finalize(module: tvm.IRModule) -> tvm.IRModule:
                return self._catching.finalize(inner, getattr(self._thread, "build", None), module)

            return TransparentPass(finalize, inner)

        return finalizer
