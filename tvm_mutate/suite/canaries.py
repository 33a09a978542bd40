"""The canaries of a test: does it build, does it run what it builds, does it notice when the output vanishes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import tvm
from tvm import tirx

from tvm_mutate.activation import Build, activate, caught_builds
from tvm_mutate.suite.recording import Recording, with_functions
from tvm_mutate.suite.testing import Kind

# All stores of all kernels, locals included: whatever a kernel computes, nothing of it leaves.
VANISHED = "tir.drop-store@*#*"
NO_OP = "no-op"


@dataclass(frozen=True)
class Canaries:
    """What the canaries say of a test that passes.

    ``executes`` is None where it cannot be told; ``vanished`` is how the test ended with every store removed, and None
    where there was no store to remove; ``no_op`` is how it ended with a fault that is none.
    """

    test: str
    builds: int
    executes: bool | None
    vanished: str | None
    no_op: str

    @property
    def notices(self) -> bool:
        """Whether the test notices that the output vanishes."""
        return self.vanished is not None and Kind(self.vanished).kills

    @property
    def is_reliable(self) -> bool:
        """Whether the test lets a fault pass that is none, so that what it says of others can be believed."""
        return not Kind(self.no_op).kills


def executes(recording: Recording) -> bool | None:
    """Whether a test runs any kernel that it builds; None where that is not known."""
    told = {recording.runs(each.digest) for each in recording.built}
    return True if True in told else None if None in told else False


class _NoOp:
    """A catcher that changes every kernel and nothing that any of them computes."""

    def kernel(self, _build: Build, module: tvm.IRModule) -> tvm.IRModule:
        return module

    def lowered(self, _build: Build, module: tvm.IRModule) -> tvm.IRModule:
        changed = {
            variable: function.with_body(tirx.SeqStmt([tirx.Evaluate(0), function.body]))
            for variable, function in module.functions.items()
            if isinstance(function, tirx.PrimFunc)
        }
        return with_functions(module, changed)

    def codegen(self, _build: Build, module: tvm.IRModule) -> tvm.IRModule:
        return module


@contextlib.contextmanager
def no_op() -> Iterator[Callable[[], bool]]:
    """While this lasts, every kernel is built with a statement more that does nothing."""
    with caught_builds(_NoOp()):
        yield lambda: True


@contextlib.contextmanager
def vanishing() -> Iterator[Callable[[], bool]]:
    """While this lasts, every kernel is built without its stores; gives what says whether there were any."""
    with activate(VANISHED) as activation:
        yield lambda: any(each.changed for each in activation.applied)
