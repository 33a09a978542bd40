"""The catalogue of operators, one family a file."""

from tvm_mutate.operators.registry import builtin_catalogue, load_catalogue
