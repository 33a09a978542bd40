"""Mutation testing and fault injection inside Apache TVM: faults as compiler passes."""

from tvm_mutate.autoload import provide as __getattr__

__all__ = ["__getattr__"]
