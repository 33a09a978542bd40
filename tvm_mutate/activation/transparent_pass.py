"""A pass around a pass of TVM's that pass instruments do not see."""

from __future__ import annotations

from collections.abc import Callable

import tvm
from tvm.ir import _ffi_transform_api
from tvm.ir.transform import ModulePass

_NAME = "tvm_mutate.caught"


class TransparentPass(ModulePass):
    """A pass that can be used as any other, and is a plain function call where it is called itself.

    So a user's pass instruments and timings see TVM's own passes and no others, unless it is put into a sequence.
    """

    def __init__(self, function: Callable[[tvm.IRModule], tvm.IRModule], inner: object) -> None:
        info = inner.info if isinstance(inner, tvm.transform.Pass) else tvm.transform.PassInfo(0, _NAME)
        self.__init_handle_by_constructor__(
            _ffi_transform_api.MakeModulePass, lambda module, _context: function(module), info
        )
        self._function = function

    def __call__(self, mod: tvm.IRModule) -> tvm.IRModule:
        """The module after the function; the parameter has the name that TVM gives it."""
        return self._function(mod)
