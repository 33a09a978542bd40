"""The flow of a build: Relax pipeline, TIR pipeline and pass context, of TVM or of the user."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.target import Target
from tvm.tirx import compilation_pipeline

from tvm_mutate.errors import UsageError, line_of, suggestion
from tvm_mutate.pipeline.pass_lists import (
    BODY,
    FUSING,
    MEMORY,
    SCHEDULING,
    PassLists,
    TirPipeline,
    memory_passes,
    pass_names,
    passes_in,
    passes_of_pipeline,
    relax_pass_lists,
    scheduling_passes,
)
from tvm_mutate.python_file import function_reference, load_function

# The argument checks of the packed calling convention are most of the generated text and not part of the kernel. Shapes
# are static here, so all builds leave the checks out.
_NO_ASSERTS = {"tirx.disable_assert": True}
_DEFAULT = "default"
_ARGUMENTS: dict[str, type] = {"opt_level": int, "disabled_pass": list, "required_pass": list}


@dataclass(frozen=True)
class Flow:
    """What builds go through, mutated or not, in every process; without values this is TVM's own flow.

    ``relax_pipeline`` and ``tir_pipeline`` are references ``FILE.py:FUNCTION``. The first function returns a Relax
    pass, the second a TIR pass or the triple (body, finalizer of host functions, finalizer of device functions) of
    ``tvm.tirx.register_tir_pipeline``. ``config`` has the options of the pass context as JSON texts. ``digest`` covers
    the files and the options; it is empty for TVM's own flow. ``mutated`` is the name of a registered TIR pipeline that
    takes the place of the flow's.
    """

    relax_pipeline: str = ""
    tir_pipeline: str = ""
    config: tuple[tuple[str, str], ...] = ()
    digest: str = ""
    mutated: str = ""

    @classmethod
    def read(
        cls, relax_pipeline: str | None = None, tir_pipeline: str | None = None, config: Mapping[str, Any] | None = None
    ) -> Flow:
        """The flow of these references and options, checked.

        Options are ``opt_level``, ``disabled_pass``, ``required_pass``, and the keys of the pass context's ``config``.
        Raises UsageError for a file or option that cannot be used; the pipelines are first made for a target.
        """
        texts = tuple((key, json.dumps(value, sort_keys=True)) for key, value in sorted((config or {}).items()))
        content = hashlib.sha256(json.dumps(texts).encode())
        for option, reference in (("--relax-pipeline", relax_pipeline), ("--tir-pipeline", tir_pipeline)):
            path, function = function_reference(reference or "")
            if reference and (path.suffix != ".py" or not function):
                raise UsageError(f"{option} {reference!r} names no function; write FILE.py:FUNCTION")
            if reference and not path.is_file():
                raise UsageError(f"{option} {reference!r}: there is no such file; check the path")
            content.update(f"\n{option} {function} ".encode() + (path.read_bytes() if reference else b""))
        is_own = bool(relax_pipeline or tir_pipeline or texts)
        flow = cls(relax_pipeline or "", tir_pipeline or "", texts, content.hexdigest() if is_own else "")
        flow.context()
        return flow

    def to_mapping(self) -> dict[str, object]:
        """The fields as a row of the results has them."""
        mapping = asdict(self)
        del mapping["mutated"]
        return mapping

    def context(self) -> tvm.transform.PassContext:
        """A pass context for code generation; raises UsageError for an option that TVM does not know."""
        options = {key: json.loads(text) for key, text in self.config}
        arguments = {key: options.pop(key) for key in _ARGUMENTS if key in options}
        for key, value in arguments.items():
            if not isinstance(value, _ARGUMENTS[key]):
                raise UsageError(f"--config {key}={value!r} is no {_ARGUMENTS[key].__name__}")
        known = [*tvm.transform.PassContext.list_configs(), *_ARGUMENTS]
        for key in options:
            if key not in known:
                raise UsageError(f"--config {key} is no option of TVM's pass context{suggestion(key, known)}")
        try:
            return tvm.transform.PassContext(**arguments, config={**_NO_ASSERTS, **options})
        except Exception as error:  # TVM raises AttributeError or TypeError
            raise UsageError(f"--config is refused by TVM: {line_of(error)}") from None

    def options(self) -> contextlib.AbstractContextManager[object]:
        """A pass context with the options for passes; without options the caller's context stays, with instruments."""
        return self.context() if self.config else contextlib.nullcontext()

    @property
    def tir(self) -> str:
        """The name under which the TIR pipeline is registered in this process; raises UsageError for no pipeline."""
        if self.mutated or not self.tir_pipeline:
            return self.mutated or _DEFAULT
        name = f"tvm_mutate.flow.{self.digest[:16]}"
        if name not in compilation_pipeline.PIPELINE_MAP:
            path, function = function_reference(self.tir_pipeline)
            make = load_function(path, function)
            _triple(make(), self.tir_pipeline)
            tirx.register_tir_pipeline(name, lambda: _triple(make(), self.tir_pipeline))
        return name

    def relax_passes(self, target: Target, module: tvm.IRModule) -> PassLists:
        """The passes of the Relax pipeline for a target; mutations of the slot ``kernel`` come before ``memory``.

        The user's passes up to memory planning are in the list ``fusing``. What a pipeline lacks is TVM's: ``memory``,
        and ``scheduling`` before it. A pipeline that hides its passes is one pass. ``module`` is the model: a list of
        passes counts as the pipeline if both make the same of the model.
        """
        if not self.relax_pipeline:
            return relax_pass_lists(target)
        path, function = function_reference(self.relax_pipeline)
        with target, self.options():
            pipeline = load_function(path, function)()
            if not isinstance(pipeline, tvm.transform.Pass):
                raise UsageError(
                    f"{self.relax_pipeline}() returned a {type(pipeline).__name__}; return a tvm.transform.Pass, such "
                    "as a tvm.transform.Sequential"
                )
            passes = _proved_passes(pipeline, module, self.relax_pipeline)
        names = set(pass_names({MEMORY: memory_passes(target)}))
        cut = next((at for at, each in enumerate(passes) if each.info.name in names), None)
        if cut is None:
            return {FUSING: passes, SCHEDULING: scheduling_passes(target), MEMORY: memory_passes(target)}
        return {FUSING: passes[:cut], MEMORY: passes[cut:]}

    def tir_passes(self, target: Target, kernels: Callable[[], tvm.IRModule]) -> PassLists:
        """The passes of the TIR pipeline for a target; a pipeline of the user is proved on the model's ``kernels``."""
        with self.options():
            pipeline = tirx.get_tir_pipeline(self.tir)
            if not self.tir_pipeline:
                return passes_of_pipeline(pipeline, target)
            lists = passes_of_pipeline(pipeline, target, call=False)
            return {**lists, BODY: _proved_passes(pipeline[0], kernels(), self.tir_pipeline)}


TVM_FLOW = Flow()


def _proved_passes(pipeline: tvm.transform.Pass, module: tvm.IRModule, reference: str) -> Sequence[tvm.transform.Pass]:
    """The passes of a pipeline, in order, if they make the same of the module one by one; else the pipeline itself."""
    try:
        expected = pipeline(module)
    except Exception as error:
        raise UsageError(f"the pass of {reference} fails on the model: {line_of(error)}") from error
    for called in (True, False):
        found = passes_in(pipeline, called)
        with contextlib.suppress(Exception):  # a list that is not the pipeline may fail
            if tvm_ffi.structural_equal(tvm.transform.Sequential(found)(module), expected, map_free_vars=True):
                return found
    return [pipeline]


def _triple(made: Any, reference: str) -> TirPipeline:
    """The TIR pipeline that the user's function made; a pass alone gets TVM's finalizers."""
    if isinstance(made, tvm.transform.Pass):
        _, finalize_host, finalize_device = tirx.get_tir_pipeline(_DEFAULT)
        return made, finalize_host, finalize_device
    if isinstance(made, tuple) and len(made) == 3 and isinstance(made[0], tvm.transform.Pass):
        return made
    raise UsageError(
        f"{reference}() returned a {type(made).__name__}; return a tvm.transform.Pass, or the triple (pass, function "
        "that makes the pass of host functions, function that makes the pass of device functions)"
    )
