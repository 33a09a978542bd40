"""Tells modules that have gone through a caught pipeline from those that have not."""

from __future__ import annotations

import threading

import tvm
import tvm_ffi
from tvm import tirx


class Generated:
    """Functions that came out of caught pipelines, so that code generators do not have them caught again."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._thread = threading.local()

    def lowered(self, module: tvm.IRModule) -> tvm.IRModule:
        """The module, which a pipeline's body has just lowered in this thread."""
        self._thread.waiting = {variable.name_hint for variable in module.functions}
        return self._remember(module)

    def finalized(self, module: tvm.IRModule) -> tvm.IRModule:
        """The module, which a pipeline's finalizers are done with."""
        return self._remember(module)

    def has_seen_pipeline(self, module: tvm.IRModule) -> bool:
        """Whether a module whose code is to be generated came out of a caught pipeline.

        Where another pass has come between, the names tell it. They do so once: the next module of that name has to
        come out of a pipeline itself.
        """
        names = {variable.name_hint for variable in module.functions}
        waiting: set[str] = getattr(self._thread, "waiting", set())
        if not names or names & waiting:
            waiting -= names
            return True
        return any(tvm_ffi.structural_hash(function) in self._hashes for function in module.functions.values())

    def _remember(self, module: tvm.IRModule) -> tvm.IRModule:
        self._hashes.update(
            tvm_ffi.structural_hash(function)
            for function in module.functions.values()
            if isinstance(function, tirx.PrimFunc)
        )
        return module
