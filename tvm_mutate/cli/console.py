"""What all commands share: exit codes, errors as one sentence, the console, and the output of results."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console, RenderableType

from tvm_mutate.errors import TRACEBACK_VARIABLE, ExitCode, MutateError, UsageError, below_threshold


def run_command(command: click.Command, arguments: Sequence[str] | None = None, name: str | None = None) -> int:
    """Runs a click command and returns the exit code that docs/campaigns.md documents; never raises.

    An error is one sentence on stderr; with TVM_MUTATE_TRACEBACK=1 an internal error shows its traceback.
    """
    code: object = None
    try:
        with quiet_closed_pipe(), _without_compiler_log():
            code = command.main(args=arguments, prog_name=name, standalone_mode=False)
        return int(code) if isinstance(code, int) else int(ExitCode.OK)
    except MutateError as error:
        return _refuse(str(error), error.exit_code)
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        return _refuse(error.format_message(), ExitCode.USAGE)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return _refuse("interrupted", ExitCode.INTERRUPTED)
    except OSError as error:
        return _refuse(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", ExitCode.USAGE)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        return _refuse(
            f"internal error: {type(error).__name__}: {error} (set {TRACEBACK_VARIABLE}=1 to see where)",
            ExitCode.INTERNAL,
        )


@contextlib.contextmanager
def _without_compiler_log() -> Iterator[None]:
    """Hides what TVM's C++ writes to file descriptor 2 while the block lasts; ``sys.stderr`` still reaches the user."""
    shown = sys.__stderr__
    if os.environ.get(TRACEBACK_VARIABLE) or shown is None or shown is not sys.stderr or shown.fileno() != 2:
        yield
        return
    shown.flush()
    kept = os.dup(2)
    with os.fdopen(kept, "w", buffering=1, encoding=shown.encoding, errors=shown.errors) as sys.stderr:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            sys.stderr = shown


@contextlib.contextmanager
def terminal_stderr() -> Iterator[None]:
    """Lets ``sys.__stderr__``, to which Textual draws, reach the user while the block lasts.

    Raises UsageError if stdin or stderr is no terminal.
    """
    kept, shown = sys.__stderr__, sys.stderr
    if not (sys.stdin.isatty() and shown.isatty()):
        raise UsageError("browse needs a terminal; `tvm-mutate report FOLDER --format html` writes a page instead")
    sys.__stderr__ = shown  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        sys.__stderr__ = kept  # type: ignore[misc]


def _refuse(message: str, code: ExitCode) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return int(code)


@contextlib.contextmanager
def quiet_closed_pipe() -> Iterator[None]:
    """Ends the block in silence if the reader of stdout, such as ``head``, has gone; the exit code does not change.

    Click and rich turn a closed pipe into a SystemExit; no other code in these blocks raises one.
    """
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)  # silences later output as well, at exit too
        os.close(nowhere)


def output_console() -> Console:
    """The console for results, on stdout; as wide as $COLUMNS or 80 columns if stdout is not a terminal."""
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdigit() and int(columns) else 80
    return Console(width=None if sys.stdout.isatty() else width, highlight=False)


def progress_console() -> Console:
    """The console for progress, on stderr."""
    return Console(stderr=True)


def print_results(parts: Iterable[RenderableType], written: Sequence[Path] = ()) -> None:
    """Prints tables, then the paths of the written files.

    A pipe gets plain text without blanks at the ends of lines.
    """
    with quiet_closed_pipe():
        console = output_console()
        with contextlib.nullcontext() if console.is_terminal else console.capture() as capture:
            for part in parts:
                console.print(part, crop=False)
        if capture is not None:
            lines = capture.get().replace("─", "-").splitlines()
            click.echo("".join(f"{line.rstrip()}\n" for line in lines), nl=False)
    print_written(written)


def print_written(paths: Sequence[Path]) -> None:
    """Prints the paths of written files, if there are any."""
    with quiet_closed_pipe():
        if paths:
            click.echo(f"written: {', '.join(map(str, paths))}")


def exit_code_of(score: float | None, fail_under: float | None) -> ExitCode:
    """The exit code for a score (0 to 1, or None) and the least percentage; stderr gets the reason for a failure."""
    reason = below_threshold(score, fail_under, "--fail-under")
    if reason is None:
        return ExitCode.OK
    click.echo(reason, err=True)
    return ExitCode.BELOW_THRESHOLD
