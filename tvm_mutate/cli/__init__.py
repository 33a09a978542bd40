"""The command line: ``tvm-mutate`` and ``python -m tvm_mutate``."""

from tvm_mutate.cli.main import main
