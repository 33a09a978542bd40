"""Activates a mutant by environment variables, in a process whose program does not know of it."""

from __future__ import annotations

import atexit
import contextlib
import sys
from pathlib import Path

from tvm_mutate.activation.mutating import Activation, activate
from tvm_mutate.activation.recording import BuildLog
from tvm_mutate.errors import MutateError, UsageError


def install(mutant: str, kernel: str, build: str, record: str) -> None:
    """Mutates the builds of this process until it ends, and writes one line to stderr now and one at the end.

    The arguments are the values of TVM_MUTATE (a mutant), TVM_MUTATE_KERNEL (the digest of the only kernel to mutate,
    or its beginning), TVM_MUTATE_BUILD (the number of the only build to mutate) and TVM_MUTATE_RECORD (a folder that
    records the applied mutations or, without a mutant, the builds). Raises SystemExit with one sentence on an error.
    """
    stack = contextlib.ExitStack()
    try:
        log = BuildLog(Path(record)) if record else None
        if mutant:
            _activate(mutant, kernel, build, log, stack)
        elif log:
            stack.enter_context(log.recording())
    except MutateError as error:
        raise SystemExit(f"error: TVM_MUTATE={mutant}: {error}") from None
    except Exception as error:  # TVM would only warn, and go on without the mutant
        raise SystemExit(f"error: TVM_MUTATE={mutant}: {type(error).__name__}: {error}") from None
    atexit.register(stack.close)  # keeps the stack alive until then


def _activate(mutant: str, kernel: str, build: str, log: BuildLog | None, stack: contextlib.ExitStack) -> None:
    if build and not build.isdecimal():
        raise UsageError(f"TVM_MUTATE_BUILD={build} is not a build number; write 0 or more")
    number = int(build) if build else None
    activation = stack.enter_context(
        activate(mutant, kernel=kernel or None, build=number, on_applied=log.applied if log else None)
    )
    limits = f"{f', kernel {kernel}' if kernel else ''}{f', build {build}' if build else ''}"
    _say(f"mutant {activation.mutant} is active in all builds of this process{limits}")
    atexit.register(_say_effect, activation)


def _say_effect(activation: Activation) -> None:
    _say(activation.say())


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed or missing
        print(f"tvm_mutate: {text}", file=sys.stderr, flush=True)
