"""The canaries of a test: does it build, does it run what it builds, does it notice when the output vanishes."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_mutate.suite.recording import Recording
from tvm_mutate.suite.testing import TestOutcome

# All stores of all kernels, locals included: whatever a kernel computes, nothing of it leaves.
VANISHED = "tir.drop-store@*#*"
# A statement more before each store, which does nothing.
NO_OP = "canary.no-op@*#*"


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
        return self.vanished is not None and TestOutcome(self.vanished).kills

    @property
    def is_reliable(self) -> bool:
        """Whether the test lets a fault pass that is none, so that what it says of others can be believed."""
        return not TestOutcome(self.no_op).kills


def executes(recording: Recording) -> bool | None:
    """Whether a test runs any kernel that it builds; None where that is not known."""
    told = {recording.runs(each.digest) for each in recording.built}
    return True if True in told else None if None in told else False
