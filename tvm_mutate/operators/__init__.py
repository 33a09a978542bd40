"""The catalogue of operators, one family a file."""

from tvm_mutate.operators.registry import ENTRY_POINT_GROUP, builtin_catalogue, load_catalogue
