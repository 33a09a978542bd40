"""The errors that a user can see, each with the exit code of its command."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable

# With this variable internal errors show a traceback, and the log of TVM's C++ is not hidden.
TRACEBACK_VARIABLE = "TVM_MUTATE_TRACEBACK"
_QUOTED = 80
_ADDED_BY_TVM = "\nError in pass: "


class ExitCode(enum.IntEnum):
    """Exit codes of every command of tvm_mutate, as documented in docs/campaigns.md."""

    OK = 0
    USAGE = 1
    BELOW_THRESHOLD = 2
    UNTRUSTED = 3
    INTERRUPTED = 4
    INTERNAL = 70


def below_threshold(score: float | None, least: float | None, option: str) -> str | None:
    """Why a score (0 to 1, or None) is below the least percentage of an option; None if it is not below."""
    if least is None or (score is not None and 100 * score >= least):
        return None
    reason = "no mutant was killed or survived, so there is no score" if score is None else f"score {100 * score:.1f} %"
    return f"{reason}: below {option} {least:g} %"


class MutateError(Exception):
    """An error that the user sees as one sentence, without a traceback."""

    exit_code = ExitCode.INTERNAL


class UsageError(MutateError):
    """An argument cannot be used; the message names the argument and the remedy."""

    exit_code = ExitCode.USAGE


class NotAppliedError(UsageError):
    """A mutant changes nothing in the module that it is applied to."""


class OperatorError(UsageError):
    """The rule of an operator raised an error, by itself or in TVM; the message names the operator."""


class OracleError(UsageError):
    """An oracle of the user failed on the outputs of a sample; the message names the oracle."""


class NotAppliedWarning(UserWarning):
    """A pass of a mutant changed nothing in a run."""


class UntrustedError(MutateError):
    """The baseline or a canary failed, so that no verdict of the campaign is valid."""

    exit_code = ExitCode.UNTRUSTED


class CampaignInterruptedError(MutateError):
    """The campaign was stopped from outside; the same command resumes."""

    exit_code = ExitCode.INTERRUPTED


def line_of(error: BaseException) -> str:
    """The type of an error and the last line of its message, at most 300 characters long."""
    # TVM appends the name of the pass and the whole module to an error in a pass.
    text, _, _ = str(error).partition(_ADDED_BY_TVM)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:300]}" if lines else type(error).__name__


def quoted(text: str) -> str:
    """The text in quotes; of a text longer than 80 characters the beginning, with the length of the whole."""
    return repr(text) if len(text) <= _QUOTED else f"{text[:_QUOTED]!r}… ({len(text)} characters)"


def suggestion(name: str, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean 'resnet'?`` for a misspelt name, or the known names if none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) <= 40 else ""
