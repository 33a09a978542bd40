"""Catches all builds of a process: TIR pipelines, Relax pipelines and direct code generation."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import sys
import threading
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import _ffi_transform_api
from tvm.ir.transform import ModulePass
from tvm.relax import pipeline as relax_pipelines
from tvm.tirx import compilation_pipeline

from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline import TirPipeline, overridden_global_function

_SYMBOL = "global_symbol"
# Nodes with positions in source text: a kernel that moves by some lines keeps its digest.
_SPANS = ("ir.Span", "ir.SequentialSpan", "ir.SourceName")
_MAP = "PIPELINE_MAP"
_GENERATORS = "target.build."
_RELAX_BACKENDS = "tvm.relax.backend."
_RELAX_DEFAULT = "get_default_pipeline"

Factory = Callable[..., Any]
Step = Callable[[tvm.IRModule], tvm.IRModule]


def kernel_digest(function: tirx.PrimFunc) -> str:
    """The SHA-256 of a function without its name and its source position, as hexadecimal text.

    The digest is the same in every process. The digest of a kernel in a build is computed from the structured function
    that the TIR pipeline is given. This function is bound to its target, so the digest depends on the target.
    """
    graph = json.loads(tvm.ir.save_json(function.without_attr(_SYMBOL)))
    nodes = [{"type": node["type"]} if node["type"] in _SPANS else node for node in graph["nodes"]]
    return hashlib.sha256(json.dumps([graph["root_index"], nodes]).encode()).hexdigest()


@dataclass(frozen=True)
class Build:
    """One run of a TIR pipeline: its number (from 0, since catching began) and the functions that it is given.

    Builds that constant folding makes count like all others.
    """

    number: int
    functions: Mapping[tvm.ir.GlobalVar, tvm.ir.BaseFunc]

    @functools.cached_property
    def target(self) -> str:
        """The text of the target that the kernels are bound to; several are joined by ``" and "``."""
        attributes = [function.attrs for function in self.functions.values() if function.attrs]
        return " and ".join(sorted({str(each["target"]) for each in attributes if "target" in each}))

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """The digest of each PrimFunc by its name, sorted by name."""
        kernels = {at.name_hint: each for at, each in self.functions.items() if isinstance(each, tirx.PrimFunc)}
        return {name: kernel_digest(kernels[name]) for name in sorted(kernels)}


# Sees the module of a build in the slot ``kernel`` (before the TIR pipeline), ``lowered`` (after its body) or
# ``codegen`` (after its finalizers: once for the host functions, once for each kind of device functions).
# Returns the module to go on with.
BuildHook = Callable[[Slot, Build, tvm.IRModule], tvm.IRModule]


@contextlib.contextmanager
def caught_builds(hook: BuildHook, pipelines: Callable[[TirPipeline], TirPipeline] | None = None) -> Iterator[None]:
    """Passes every build of the process to the hook while the context lasts; contexts may be nested.

    All pipelines that are looked up by name are caught, also those registered later: by
    ``tvm.compile``, ``tvm.tirx.build``, the global function ``tirx.build`` (constant folding), or directly with
    ``get_tir_pipeline`` and ``get_default_tir_pipeline``. A module that reaches ``target.build.*`` without such a
    pipeline (lowered by hand, or by a pipeline looked up earlier) is a build of its own: the hook gets it in all three
    slots, just before its code is generated. A module counts as having seen a pipeline if one of its functions came out
    of a pipeline unchanged, or has a name that came out of the last pipeline in the same thread. ``pipelines`` may
    replace each TIR pipeline that is looked up.

    At the end of the context the same objects as before are in place, and pipelines that the user registered meanwhile
    stay registered. Pipelines that were looked up in the context no longer call the hook.
    """
    catching = _Catching(hook, pipelines or (lambda pipeline: pipeline))
    with contextlib.ExitStack() as stack:
        stack.callback(catching.end)
        for name in tvm_ffi.registry.list_global_func_names():
            if name.startswith(_GENERATORS):
                stack.enter_context(overridden_global_function(name, catching.generator))
        stack.enter_context(_wrapped_pipelines(compilation_pipeline, catching.factory))
        yield


class _Catching:
    """Numbers the builds and passes them to the hook."""

    def __init__(self, hook: BuildHook, pipelines: Callable[[TirPipeline], TirPipeline]) -> None:
        self._active = True
        self._hook, self._pipelines = hook, pipelines
        self._numbers = itertools.count()
        self._thread = threading.local()
        self._hashes: set[int] = set()  # of the functions that came out of caught pipelines

    def end(self) -> None:
        """Stops calling the hook."""
        self._active = False

    def factory(self, factory: Factory) -> Factory:
        """A factory of the same pipelines, whose parts call the hook."""

        @functools.wraps(factory)
        def make(*arguments: Any, **options: Any) -> Any:
            with self._nested() as outermost:  # a pipeline may be made of another that it looks up
                pipeline = factory(*arguments, **options)
            if not (self._active and outermost):
                return pipeline
            # The build that the body began last in this thread: a user may run the body on several modules.
            current = threading.local()
            if not isinstance(pipeline, tuple):  # a pass that its owner takes directly
                return self._body(pipeline, current)
            body, finalize_host, finalize_device = self._pipelines(pipeline)
            finalizers = [self._finalizer(each, current) for each in (finalize_host, finalize_device)]
            return self._body(body, current), *finalizers

        return make

    @contextlib.contextmanager
    def _nested(self) -> Iterator[bool]:
        """Treats pipelines that run in this thread as parts of one; gives whether this one is the outermost."""
        outermost = not getattr(self._thread, "inside", False)
        self._thread.inside = True
        try:
            yield outermost
        finally:
            self._thread.inside = not outermost

    def _body(self, inner: Step, current: threading.local) -> tvm.transform.Pass:
        def lower(module: tvm.IRModule) -> tvm.IRModule:
            current.build = None
            with self._nested() as outermost:
                if not (self._active and outermost):
                    return inner(module)
                current.build = build = self._next(module)
                lowered = inner(self._hook(Slot.KERNEL, build, module))
            lowered = self._hook(Slot.LOWERED, build, lowered)
            self._thread.waiting = {variable.name_hint for variable in lowered.functions}
            return self._remembered(lowered)

        return _UnseenPass(lower, inner)

    def _finalizer(self, make: Callable[[], Step], current: threading.local) -> Callable[[], tvm.transform.Pass]:
        def finalizer() -> tvm.transform.Pass:
            inner = make()

            def finalize(module: tvm.IRModule) -> tvm.IRModule:
                with self._nested() as outermost:
                    finalized = inner(module)
                if not (self._active and outermost):
                    return finalized
                build = getattr(current, "build", None) or self._next(module)
                return self._remembered(self._hook(Slot.CODEGEN, build, finalized))

            return _UnseenPass(finalize, inner)

        return finalizer

    def generator(self, generate: Any) -> Callable[..., Any]:
        """A code generator that passes modules which have seen no pipeline to the hook."""

        def generate_caught(module: Any, *rest: Any) -> Any:
            if self._active and isinstance(module, tvm.IRModule) and not self._has_seen_pipeline(module):
                build = self._next(module)
                for slot in (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN):
                    module = self._hook(slot, build, module)
            return generate(module, *rest)

        return generate_caught

    def _next(self, module: tvm.IRModule) -> Build:
        return Build(next(self._numbers), module.functions)

    def _has_seen_pipeline(self, module: tvm.IRModule) -> bool:
        """Whether a module came out of a caught pipeline.

        If another pass changed the module after the pipeline, the names of its functions decide. Each name decides
        once: the next module with the name has to come out of a pipeline itself.
        """
        names = {variable.name_hint for variable in module.functions}
        waiting: set[str] = getattr(self._thread, "waiting", set())
        if not names or names & waiting:
            waiting -= names
            return True
        return any(tvm_ffi.structural_hash(function) in self._hashes for function in module.functions.values())

    def _remembered(self, module: tvm.IRModule) -> tvm.IRModule:
        kernels = [each for each in module.functions.values() if isinstance(each, tirx.PrimFunc)]
        self._hashes.update(tvm_ffi.structural_hash(each) for each in kernels)
        return module


@contextlib.contextmanager
def caught_relax_pipelines(before: Step) -> Iterator[None]:
    """Passes every module that is given to one of TVM's Relax pipelines through ``before`` while the context lasts.

    Pipelines by name (``tvm.compile``, ``relax.build``, ``relax.get_pipeline``, those registered later) and the default
    pipelines of targets (``relax.get_default_pipeline``, those of the backends) are caught. A ``Sequential`` that the
    user puts together is not caught.
    """
    active = True

    def wrap(factory: Factory) -> Factory:
        @functools.wraps(factory)
        def make(*arguments: Any, **options: Any) -> Any:
            inner = factory(*arguments, **options)
            return _UnseenPass(lambda module: inner(before(module) if active else module), inner)

        return make

    backends = [module for name, module in sorted(sys.modules.items()) if name.startswith(_RELAX_BACKENDS)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_wrapped_pipelines(relax_pipelines, wrap))
        for module in backends:
            if hasattr(module, _RELAX_DEFAULT):
                stack.enter_context(_replaced(module, _RELAX_DEFAULT, wrap(getattr(module, _RELAX_DEFAULT))))
        try:
            yield
        finally:
            active = False


class _UnseenPass(ModulePass):
    """A pass around a pass of TVM that is a plain function call when it is called directly.

    Pass instruments therefore see TVM's own passes only, unless a user puts this pass into a sequence.
    """

    def __init__(self, function: Step, inner: object) -> None:
        info = inner.info if isinstance(inner, tvm.transform.Pass) else tvm.transform.PassInfo(0, "tvm_mutate.caught")
        self.__init_handle_by_constructor__(
            _ffi_transform_api.MakeModulePass, lambda module, _context: function(module), info
        )
        self._function = function

    def __call__(self, mod: tvm.IRModule) -> tvm.IRModule:
        """The module after the function; TVM calls the parameter ``mod``."""
        return self._function(mod)


class _WrappedPipelines(UserDict[str, Any]):
    """TVM's pipelines by name, wrapped when they are looked up; new ones are registered in TVM's own map."""

    def __init__(self, pipelines: Any, wrap: Callable[[Factory], Factory]) -> None:
        super().__init__()
        self.data = pipelines
        self._wrap = wrap

    def __getitem__(self, name: str) -> Factory:
        return self._wrap(self.data[name])


def _wrapped_pipelines(
    module: ModuleType, wrap: Callable[[Factory], Factory]
) -> contextlib.AbstractContextManager[None]:
    return _replaced(module, _MAP, _WrappedPipelines(getattr(module, _MAP), wrap))


@contextlib.contextmanager
def _replaced(module: ModuleType, name: str, replacement: Any) -> Iterator[None]:
    """Replaces a name in a module while the context lasts; does not restore a name that was replaced again."""
    before = getattr(module, name)
    setattr(module, name, replacement)
    try:
        yield
    finally:
        if getattr(module, name) is replacement:
            setattr(module, name, before)
