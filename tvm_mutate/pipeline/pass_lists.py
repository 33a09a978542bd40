"""The passes of a target's Relax and TIR pipelines as lists, and the same lists with faults."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import tvm
from tvm import relax, tirx
from tvm.target import Target

from tvm_mutate.mutant import PipelineRule
from tvm_mutate.passes import Selection

# Lists of passes by name, in the order in which they run; sites are numbered through all lists.
PassLists = Mapping[str, Sequence[tvm.transform.Pass]]
# The body, and functions that make the finalizers of host functions and of device functions.
TirPipeline = tuple[tvm.transform.Pass, Callable[[], tvm.transform.Pass], Callable[[], tvm.transform.Pass]]

PLANNING = "StaticPlanBlockMemory"
FUSING, SCHEDULING, MEMORY = "fusing", "scheduling", "memory"
BODY, HOST, DEVICE = "body", "host", "device"
_PROCESSORS = ("llvm", "c")
_NAMESPACES = ("relax.", "s_tir.", "tirx.")


def fusing_pipeline() -> tvm.transform.Pass:
    """Legalisation and fusion, the same for all targets: each operator becomes one call of a kernel.

    ``DecomposeOpsForInference`` comes first because batch normalisation has no kernel of its own, and ``zero``
    because the default CPU pipeline alone fuses nothing.
    """
    return tvm.transform.Sequential([relax.transform.DecomposeOpsForInference(), relax.get_pipeline("zero")])


def scheduling_passes(target: Target) -> list[tvm.transform.Pass]:
    """The first half of TVM's default pipeline of the target: library dispatch, fusion, schedules on GPUs, views.

    Afterwards each kernel is called on values, and the slot ``kernel`` gets the module. Kernels that only reshape have
    become views and are gone: a mutant in such a kernel would never run. (RewriteDataflowReshape looks at a kernel's
    indices but not at its loops, and would take the mutant for a view, too.)
    """
    passes = _backend(target)
    return [
        *passes.library_dispatch_passes(target),
        *passes.legalize_passes(target),
        relax.transform.RewriteDataflowReshape(),
        relax.transform.DeadCodeElimination(),
    ]


def memory_passes(target: Target) -> list[tvm.transform.Pass]:
    """The second half of TVM's default pipeline of the target: memory planning and calls of the VM."""
    passes = _backend(target)
    dataflow = [each for each in passes.dataflow_lower_passes(target) if each.info.name != "RewriteDataflowReshape"]
    return [*dataflow, *passes.finalize_passes(target)]


def with_memory_slot(passes: Sequence[tvm.transform.Pass], own: tvm.transform.Pass) -> list[tvm.transform.Pass]:
    """The passes with the pass of the slot ``memory`` behind the one that plans memory, if that is among them."""
    return [each for known in passes for each in ([known, own] if known.info.name == PLANNING else [known])]


def default_relax_pipeline(
    target: Target, calls: tvm.transform.Pass | None = None, memory: tvm.transform.Pass | None = None
) -> tvm.transform.Pass:
    """The whole default Relax pipeline: fusing, scheduling, the slot ``call``, memory with the slot ``memory``."""
    planning = memory_passes(target) if memory is None else with_memory_slot(memory_passes(target), memory)
    passes = [fusing_pipeline(), *scheduling_passes(target), *([] if calls is None else [calls]), *planning]
    return tvm.transform.Sequential(passes, name="tvm_mutate.default_relax_pipeline")


def _backend(target: Target) -> ModuleType:
    """The module of TVM with the target's passes, chosen as by ``relax.get_default_pipeline``, also for ``c``."""
    if "gpu" not in target.keys:
        backend = "cpu_generic"
    elif target.kind.name in ("cuda", "rocm"):
        backend = target.kind.name
    else:
        backend = "adreno" if "adreno" in target.keys else "gpu_generic"
    return importlib.import_module(f"tvm.relax.backend.{backend}.pipeline")


def passes_in(pipeline: tvm.transform.Pass, call: bool = True) -> list[tvm.transform.Pass]:
    """The passes of which a pipeline consists, in order. A pass that hides its passes is one pass.

    A ``Sequential`` shows its passes, unless its name has a namespace of TVM: ``s_tir.HoistIfThenElse`` is one pass.
    With ``call`` each other pass is called on an empty module: if it calls passes, these are taken, although it may do
    more than call them.
    """
    if isinstance(pipeline, tvm.transform.Sequential) and not pipeline.info.name.startswith(_NAMESPACES):
        return [each for part in pipeline.passes for each in passes_in(part, call)]
    if not call:
        return [pipeline]
    called: list[tvm.transform.Pass] = []

    def note(self: tvm.transform.Pass, module: tvm.IRModule) -> tvm.IRModule:
        called.append(self)
        return module

    original = tvm.transform.Pass.__call__
    tvm.transform.Pass.__call__ = note
    try:
        original(pipeline, tvm.IRModule())
    except Exception:  # the function of a user that needs more than an empty module
        return [pipeline]
    finally:
        tvm.transform.Pass.__call__ = original
    return [each for part in called for each in passes_in(part)] or [pipeline]


def relax_pass_lists(target: Target) -> PassLists:
    """The passes of the Relax pipeline: ``fusing``, ``scheduling``, ``memory``."""
    return {
        FUSING: passes_in(fusing_pipeline()),
        SCHEDULING: scheduling_passes(target),
        MEMORY: memory_passes(target),
    }


def tir_pass_lists(target: Target, pipeline: str = "default") -> PassLists:
    """The passes of a TIR pipeline: ``body``, the finalizers of ``host`` and, for targets with one, of ``device``."""
    return passes_of_pipeline(tirx.get_tir_pipeline(pipeline), target)


def passes_of_pipeline(pipeline: TirPipeline, target: Target, call: bool = True) -> PassLists:
    """Like :func:`tir_pass_lists`, for a given pipeline."""
    body, finalize_host, finalize_device = pipeline
    lists = {BODY: passes_in(body, call), HOST: passes_in(finalize_host(), call)}
    return lists if target.kind.name in _PROCESSORS else {**lists, DEVICE: passes_in(finalize_device(), call)}


def pass_sites(lists: PassLists, selection: Selection) -> list[tuple[str, int]]:
    """The sites of a selection in lists of passes, in order: the name of the list and the index in the list."""
    rule = selection.operator.rule
    if not isinstance(rule, PipelineRule):
        return []
    return [
        (name, at)
        for name, passes in lists.items()
        for at in range(len(passes))
        if rule.rewrite(passes[at:], selection.parameters) is not None
    ]


def with_faults(lists: PassLists, selections: Sequence[Selection]) -> PassLists:
    """The lists with the selected sites of all selections rewritten; a list without a fault stays the same object.

    Sites are numbered in the given lists, so the sites of a mutation do not depend on other mutations.
    """
    faults = [
        (name, at, selection)
        for selection in selections
        for ordinal, (name, at) in enumerate(pass_sites(lists, selection))
        if ordinal in selection.mutation.sites
    ]
    faulty = dict(lists)
    # From the last to the first, so that indices before a fault stay valid.
    for name, at, selection in sorted(faults, key=lambda fault: -fault[1]):
        rule = selection.operator.rule
        assert isinstance(rule, PipelineRule)
        rewritten = rule.rewrite(faulty[name][at:], selection.parameters)
        if rewritten is not None:  # another fault may have removed the site
            faulty[name] = [*faulty[name][:at], *rewritten]
    return faulty


def pass_names(lists: PassLists) -> list[str]:
    """The names of the passes as instruments see them, in order."""
    return [str(each.info.name) for passes in lists.values() for each in passes]
