"""A better schedule of a kernel that computes the very same bits, for what runs behind an infected kernel."""

from __future__ import annotations

from tvm import s_tir, tirx

from tvm_mutate.kernels.fast_access import Block
from tvm_mutate.kernels.fast_check import agrees
from tvm_mutate.kernels.fast_loops import schedule_elementwise, schedule_reduction
from tvm_mutate.kernels.fast_rewrite import blocks_of, inline, name_of, widened, without_unit_reductions
from tvm_mutate.kernels.fast_target import contracts, fast_target

__all__ = ["agrees", "contracts", "fast_schedule", "fast_target"]

_SYMBOL = "global_symbol"


def fast_schedule(function: tirx.PrimFunc, *, contraction: bool = False) -> tirx.PrimFunc | None:
    """The kernel with a better schedule and every chain of floating-point operations as it was, or None.

    ``function`` is a kernel as the slot ``kernel`` has it on a CPU target: S-blocks, no schedule. ``contraction``
    says that its device fuses multiply and add (``contracts``): what is one rounding there must not become two, nor
    the other way round. None where nothing better is known or where TVM refuses a step; never raises. Use the
    result only where ``agrees`` says so.
    """
    try:
        return _scheduled(function, contraction)
    except (
        Exception
    ):  # the schedule raises what TVM's C++ threw, for reasons beyond counting; the plain kernel is there
        return None


def _scheduled(function: tirx.PrimFunc, contraction: bool) -> tirx.PrimFunc | None:
    schedule = widened(lambda: _fresh(function))
    inline(schedule, contraction)
    done: set[str] = set()
    for name in [name_of(schedule, each) for each in blocks_of(schedule)]:
        if Block(schedule.get(schedule.get_sblock(name))).reduces():
            done |= schedule_reduction(schedule, schedule.get_sblock(name))
    better = bool(done)
    for handle in blocks_of(schedule):
        if name_of(schedule, handle) not in done:
            better |= schedule_elementwise(schedule, handle)
    return _named_as(function, schedule.mod["main"]) if better else None


def _fresh(function: tirx.PrimFunc) -> s_tir.Schedule:
    """A schedule of a copy, statement by statement: TVM 0.27 schedules changed what they were given, in its place."""
    copy = s_tir.renew_defs(without_unit_reductions(function))
    return s_tir.Schedule(copy.with_attr(_SYMBOL, "main"))


def _named_as(function: tirx.PrimFunc, scheduled: tirx.PrimFunc) -> tirx.PrimFunc:
    symbol = function.attrs.get(_SYMBOL) if function.attrs else None
    return scheduled.with_attr(_SYMBOL, symbol) if symbol else scheduled.without_attr(_SYMBOL)
