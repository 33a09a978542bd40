"""Modules with some of their functions replaced."""

from __future__ import annotations

from collections.abc import Mapping

import tvm


def with_functions(module: tvm.IRModule, functions: Mapping[tvm.ir.GlobalVar, tvm.ir.BaseFunc]) -> tvm.IRModule:
    """The module with other functions in the places of some; the same object where there are none."""
    if not functions:
        return module
    return tvm.IRModule({**module.functions, **functions}, attrs=module.attrs, global_infos=module.global_infos)
