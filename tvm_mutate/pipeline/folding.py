"""Constant folding with kernels that are compiled once: most of a Relax pipeline's time otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tvm
import tvm_ffi
from tvm.tirx import PrimFunc

from tvm_mutate.pipeline.registration import overridden_global_function

_BUILD = "tirx.build"
# The folded kernels run once, on constants of known shape: checks of their arguments would only be compiled.
_CONFIG = {"tirx.disable_assert": True}
_Place = tuple[int, int, tvm_ffi.StructuralKey, str]


class FoldingCache:
    """Kernels that constant folding has compiled, by structure and target; those that were seen are found by place.

    TVM's FoldConstant compiles a kernel for every operator on constants, anew in every run of the pipeline and for
    every one of many like batch normalisations (src/relax/transform/fold_constant.cc). A cache is meant to live as
    long as a process; forked children inherit what is in it.
    """

    def __init__(self) -> None:
        self._kernels: dict[tuple[tvm_ffi.StructuralKey, str], tvm.runtime.Module] = {}
        self._seen: dict[_Place, tuple[PrimFunc, tvm.runtime.Module]] = {}

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """While this lasts, builds that TVM's C++ starts are looked up here first; one thread at a time."""
        with overridden_global_function(_BUILD, self._once), tvm.transform.PassContext(config=_CONFIG):
            yield

    def _once(self, build: Any) -> Callable[..., tvm.runtime.Module]:
        def build_once(function: PrimFunc, target: Any, *rest: Any) -> tvm.runtime.Module:
            place = _place(function, target)
            if place in self._seen:
                return self._seen[place][1]
            key = (tvm_ffi.StructuralKey(function), str(target))
            if key not in self._kernels:
                self._kernels[key] = build(function, target, *rest)
            # The function is kept, so that its parts stay where they are.
            self._seen[place] = (function, self._kernels[key])
            return self._kernels[key]

        return build_once


def _place(function: PrimFunc, target: Any) -> _Place:
    """Where the parts of a function are: the same parts make the same kernel, and are told sooner than equal ones."""
    body, parameters = function.body.__chandle__(), function.params.__chandle__()
    return body, parameters, tvm_ffi.StructuralKey(function.attrs), str(target)
