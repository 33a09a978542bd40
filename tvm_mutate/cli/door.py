"""What every command shares: errors as one sentence, documented exit codes, one console."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click
from rich.console import Console

from tvm_mutate.errors import ExitCode, MutateError

TRACEBACK_VARIABLE = "TVM_MUTATE_TRACEBACK"


def run_command(command: click.Command, arguments: Sequence[str] | None = None, name: str | None = None) -> int:
    """Runs a click command and returns the exit code that the README documents; never raises.

    Errors are one sentence on stderr; with TVM_MUTATE_TRACEBACK=1 an internal error shows its traceback.
    """
    try:
        code = command.main(args=arguments, prog_name=name, standalone_mode=False)
        return int(code) if isinstance(code, int) else int(ExitCode.OK)
    except MutateError as error:
        return _tell(str(error), error.exit_code)
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.ClickException as error:
        return _tell(error.format_message(), ExitCode.USAGE)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return _tell("interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is silent
        return int(ExitCode.OK)
    except OSError as error:
        return _tell(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", ExitCode.USAGE)
    except Exception as error:  # an error of ours: still one sentence, and a way to see more
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        return _tell(
            f"internal error: {type(error).__name__}: {error} (set {TRACEBACK_VARIABLE}=1 to see where)",
            ExitCode.INTERNAL,
        )


def output_console() -> Console:
    """The console for results, on stdout; 100 columns wide where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 100, highlight=False)


def progress_console() -> Console:
    """The console for progress, on stderr."""
    return Console(stderr=True)


def _tell(message: str, code: ExitCode) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return int(code)
