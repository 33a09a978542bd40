"""The lists of passes that a target's pipelines consist of, and the same lists with faults in them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import tvm
from tvm import relax, tirx
from tvm.target import Target

from tvm_mutate.mutant import PipelineRule
from tvm_mutate.passes import Selection
from tvm_mutate.pipeline.registration import TirPipeline
from tvm_mutate.pipeline.relax_pipeline import memory_passes, scheduling_passes

# By name, in the order in which they run; sites are numbered through all of them.
PassLists = Mapping[str, Sequence[tvm.transform.Pass]]

FUSING, SCHEDULING, MEMORY = "fusing", "scheduling", "memory"
BODY, HOST, DEVICE = "body", "host", "device"
_PROCESSORS = ("llvm", "c")


def passes_made_by(make: Callable[[], object]) -> list[tvm.transform.Pass]:
    """The passes that ``make`` puts into instances of ``tvm.transform.Sequential``, in order; none of them runs.

    That is how all of TVM's own pipelines are put together, some of them only when they run.
    """
    found: list[tvm.transform.Pass] = []
    with _recording(found.extend):
        make()
    return found


@contextlib.contextmanager
def _recording(recorder: Callable[[Sequence[tvm.transform.Pass]], object]) -> Iterator[None]:
    """While this lasts, every Sequential that is made tells its passes, and has none."""
    make = tvm.ir.transform.Sequential.__init__

    def record(
        self: tvm.transform.Sequential,
        passes: Sequence[tvm.transform.Pass] | None = None,
        *rest: object,
        **more: object,
    ) -> None:
        recorder(passes or [])
        make(self, [], *rest, **more)

    tvm.ir.transform.Sequential.__init__ = record
    try:
        yield
    finally:
        tvm.ir.transform.Sequential.__init__ = make


def relax_pass_lists(target: Target) -> PassLists:
    """The passes of the Relax pipeline: ``fusing``, ``scheduling``, ``memory``."""
    zero = passes_made_by(lambda: relax.get_pipeline("zero")(tvm.IRModule()))
    return {
        FUSING: [relax.transform.DecomposeOpsForInference(), *zero],
        SCHEDULING: scheduling_passes(target),
        MEMORY: memory_passes(target),
    }


def tir_pass_lists(target: Target, pipeline: str = "default") -> PassLists:
    """The passes of a TIR pipeline: ``body``, the finalizers of ``host`` and, for targets with one, of ``device``."""
    return passes_of_pipeline(tirx.get_tir_pipeline(pipeline), target)


def passes_of_pipeline(pipeline: TirPipeline, target: Target) -> PassLists:
    """As :func:`tir_pass_lists`, of a pipeline that is at hand; one that was put together before it runs has none."""
    body, finalize_host, finalize_device = pipeline
    lists = {BODY: passes_made_by(lambda: body(tvm.IRModule())), HOST: passes_made_by(finalize_host)}
    return lists if target.kind.name in _PROCESSORS else {**lists, DEVICE: passes_made_by(finalize_device)}


def pass_sites(lists: PassLists, selection: Selection) -> list[tuple[str, int]]:
    """The sites of a selection in lists of passes, in order: the name of the list, and the place in it."""
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
    """The lists with the selected sites of all selections rewritten; a list without any of them is the same object.

    Sites are numbered in the lists as they were given, so that a mutation's sites do not depend on another's.
    """
    faults = [
        (name, at, selection)
        for selection in selections
        for ordinal, (name, at) in enumerate(pass_sites(lists, selection))
        if ordinal in selection.mutation.sites
    ]
    faulty = dict(lists)
    # From the last to the first: what stands before a fault keeps its place.
    for name, at, selection in sorted(faults, key=lambda fault: -fault[1]):
        rule = selection.operator.rule
        assert isinstance(rule, PipelineRule)
        rewritten = rule.rewrite(faulty[name][at:], selection.parameters)
        if rewritten is not None:  # another fault may have taken the site away
            faulty[name] = [*faulty[name][:at], *rewritten]
    return faulty


def pass_names(lists: PassLists) -> list[str]:
    """The names of the passes as instruments see them, in order."""
    return [str(each.info.name) for passes in lists.values() for each in passes]
