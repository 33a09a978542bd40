"""The catalogue of operators, one family a file."""

from tvm_mutate.operators.builtin import builtin_catalogue
from tvm_mutate.operators.plugins import ENTRY_POINT_GROUP, load_catalogue

__all__ = ["ENTRY_POINT_GROUP", "builtin_catalogue", "load_catalogue"]
