"""The catalogue of operators, one family a file."""

from tvm_mutate.operators.builtin import builtin_catalogue

__all__ = ["builtin_catalogue"]
