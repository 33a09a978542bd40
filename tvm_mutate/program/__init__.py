"""Programs: a lowered model as what it is after the Relax pipeline, a straight line of kernel calls over values."""

from tvm_mutate.program.straight_line import (
    KernelCall,
    NotStraightLineError,
    Program,
    Step,
    ValueType,
    View,
    take_program,
)

__all__ = ["KernelCall", "NotStraightLineError", "Program", "Step", "ValueType", "View", "take_program"]
