"""The ``tvm-mutate`` command and its subcommands."""

from __future__ import annotations

import os
import sys

import click

# Before TVM is imported: code runs in forked children. They cannot use a thread pool of their parent, nor a GPU that
# their parent has initialised, which tvm_ffi does if PyTorch is installed.
os.environ.setdefault("TVM_NUM_THREADS", "1")
os.environ.setdefault("TVM_FFI_DISABLE_TORCH_C_DLPACK", "1")

from tvm_mutate.cli.campaign import list_mutants, run
from tvm_mutate.cli.command import test_command
from tvm_mutate.cli.console import run_command
from tvm_mutate.cli.doctor import doctor
from tvm_mutate.cli.operators import operators
from tvm_mutate.cli.results import accept_mutants, diff, merge_results, report
from tvm_mutate.cli.show import show
from tvm_mutate.cli.studies import critical, part
from tvm_mutate.results import package_versions


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_versions()["tvm-mutate"], prog_name="tvm-mutate")
def cli() -> None:
    """Mutation testing and fault injection inside Apache TVM: faults as compiler passes.

    Exit codes: 0 fine, 1 usage, 2 below --fail-under, 3 baseline or canary failed, 4 interrupted (the same command
    resumes), 70 internal error.
    """


for command in (
    operators,
    list_mutants,
    show,
    run,
    report,
    diff,
    merge_results,
    accept_mutants,
    part,
    test_command,
    critical,
    doctor,
):
    cli.add_command(command)


def main() -> None:
    """Runs the command line and exits with a documented code."""
    sys.exit(run_command(cli, name="tvm-mutate"))
