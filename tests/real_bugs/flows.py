"""Relax pipelines for programs that are written as they are late in TVM's pipeline: with calls, or with a plan."""

from __future__ import annotations

import tvm

from tvm_mutate.pipeline import relax_pass_lists

PLANNING = "StaticPlanBlockMemory"


def from_calls() -> tvm.transform.Pass:
    """The passes for a program of kernel calls, which TVM's whole pipeline would fuse."""
    return tvm.transform.Sequential(_memory_passes())


def from_plan() -> tvm.transform.Pass:
    """The passes for a program with planned memory: a view that is lowered again would become a copy.

    The planner itself keeps the plan of the program, so that the slot ``memory`` is behind it.
    """
    passes = _memory_passes()
    planner = next(at for at, each in enumerate(passes) if each.info.name == PLANNING)
    keep = tvm.transform.module_pass(lambda module, _context: module, opt_level=0, name=PLANNING)
    return tvm.transform.Sequential([keep, *passes[planner + 1 :]])


def _memory_passes() -> list[tvm.transform.Pass]:
    return list(relax_pass_lists(tvm.target.Target.current())["memory"])
