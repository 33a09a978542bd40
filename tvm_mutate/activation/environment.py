"""Activation by environment variables, for a process whose program knows nothing of it."""

from __future__ import annotations

import atexit
import contextlib
import sys
from pathlib import Path

from tvm_mutate.activation.activate import Activation, activate
from tvm_mutate.activation.recording import FolderRecorder, recorded_builds
from tvm_mutate.errors import MutateError, UsageError


def install(mutant: str, kernel: str, build: str, record: str) -> None:
    """Mutates what this process builds until it ends, with a line on stderr now and one at the end.

    The values are those of TVM_MUTATE, a mutant, TVM_MUTATE_KERNEL, the digest (or its beginning) of the only kernel
    that it is for, and TVM_MUTATE_BUILD, the number of the only build; TVM_MUTATE_RECORD is a folder to record in what
    was applied, or, without a mutant, what is built. Raises SystemExit with a sentence for what cannot be done.
    """
    stack = contextlib.ExitStack()
    try:
        recorder = FolderRecorder(Path(record)) if record else None
        if mutant:
            _activate(mutant, kernel, build, recorder, stack)
        elif recorder:
            stack.enter_context(recorded_builds(recorder))
    except MutateError as error:
        raise SystemExit(f"error: TVM_MUTATE={mutant}: {error}") from None
    except Exception as error:  # TVM would make a warning of it, and the run would be an unmutated one
        raise SystemExit(f"error: TVM_MUTATE={mutant}: {type(error).__name__}: {error}") from None
    atexit.register(stack.close)  # which holds it until then


def _activate(
    mutant: str, kernel: str, build: str, recorder: FolderRecorder | None, stack: contextlib.ExitStack
) -> None:
    if build and not build.isdecimal():
        raise UsageError(f"TVM_MUTATE_BUILD={build} is no number of a build; write 0 or more")
    number = int(build) if build else None
    record = recorder.applied if recorder else None
    activation = stack.enter_context(activate(mutant, kernel=kernel or None, build=number, recorder=record))
    place = f"{f', kernel {kernel}' if kernel else ''}{f', build {build}' if build else ''}"
    _say(f"mutant {activation.mutant} is active in all that this process builds{place}")
    atexit.register(_end, activation)


def _end(activation: Activation) -> None:
    _say(activation.say())


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed, or none
        print(f"tvm_mutate: {text}", file=sys.stderr, flush=True)
