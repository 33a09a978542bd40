"""What every command shares: errors as one sentence, documented exit codes, one console."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence

import click
from rich.console import Console

from tvm_mutate.errors import ExitCode, MutateError

TRACEBACK_VARIABLE = "TVM_MUTATE_TRACEBACK"


def run_command(command: click.Command, arguments: Sequence[str] | None = None, name: str | None = None) -> int:
    """Runs a click command and returns the exit code that the README documents; never raises.

    Errors are one sentence on stderr; with TVM_MUTATE_TRACEBACK=1 an internal error shows its traceback.
    """
    code: object = None
    try:
        with quiet_closed_pipe():
            code = command.main(args=arguments, prog_name=name, standalone_mode=False)
        return int(code) if isinstance(code, int) else int(ExitCode.OK)
    except MutateError as error:
        return _tell(str(error), error.exit_code)
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        return _tell(error.format_message(), ExitCode.USAGE)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return _tell("interrupted", ExitCode.INTERRUPTED)
    except OSError as error:
        return _tell(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", ExitCode.USAGE)
    except Exception as error:  # an error of ours: still one sentence, and a way to see more
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        return _tell(
            f"internal error: {type(error).__name__}: {error} (set {TRACEBACK_VARIABLE}=1 to see where)",
            ExitCode.INTERNAL,
        )


@contextlib.contextmanager
def quiet_closed_pipe() -> Iterator[None]:
    """What is inside ends without a word where the reader of stdout, such as ``head``, has gone.

    Click and rich make a SystemExit of a closed pipe; nothing else raises one here.
    """
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)  # so that whatever is still written, at exit too, is silent
        os.close(nowhere)


def output_console() -> Console:
    """The console for results, on stdout; 100 columns wide where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 100, highlight=False)


def progress_console() -> Console:
    """The console for progress, on stderr."""
    return Console(stderr=True)


def _tell(message: str, code: ExitCode) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return int(code)
