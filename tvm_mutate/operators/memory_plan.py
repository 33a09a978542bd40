"""Memory Plan: two tensors share storage although the values of both are still needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import DataType, relax

from tvm_mutate.mutant import Category, Example, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.relax_calls import bound_values, is_call, static_shape, with_argument

_TENSOR, _STORAGE, _VIEW = "relax.memory.alloc_tensor", "relax.memory.alloc_storage", "relax.reshape"


@dataclass(frozen=True)
class _Tensor:
    """A planned tensor: its storage, and the numbers of the bindings that write it first and read it last.

    ``last_view`` is the last read through a reshape of the tensor. Sizes are in bytes.
    """

    storage: Any
    storage_size: int
    size: int
    written: int
    last_read: int
    last_view: int


def _plan(function: relax.Function) -> dict[Any, _Tensor]:
    """The tensors of a function with planned memory by the call that allocates them, in order."""
    values = bound_values(function)
    owner: dict[Any, tuple[Any, bool]] = {}  # of a variable: the tensor that it names, and if through a reshape
    uses: dict[Any, list[tuple[int, bool]]] = {}
    sizes: dict[Any, int] = {}
    for number, (variable, value) in enumerate(values.items()):
        if is_call(value, _STORAGE):
            sizes[variable] = int(value.args[0].values[0])
        elif is_call(value, _TENSOR):
            owner[variable] = variable, False
            uses[variable] = []
        elif isinstance(value, relax.Var) and value in owner:
            owner[variable] = owner[value]
        elif is_call(value, _VIEW) and value.args[0] in owner:
            owner[variable] = owner[value.args[0]][0], True
        else:
            for tensor, viewed in {owner[each] for each in relax.analysis.free_vars(value) if each in owner}:
                uses[tensor].append((number, viewed))
    for each in relax.analysis.free_vars(function.body.body):
        if each in owner:
            uses[owner[each][0]].append((len(values), owner[each][1]))
    plan = {}
    for variable, found in uses.items():
        storage, size = values[variable].args[0], _bytes(variable)
        if found and size and storage in sizes:
            reads = [[number for number, viewed in found if viewed is through] for through in (False, True)]
            last_read, last_view = (max(each, default=-1) for each in reads)
            plan[values[variable]] = _Tensor(storage, sizes[storage], size, found[0][0], last_read, last_view)
    return plan


def _bytes(tensor: Any) -> int:
    """The size of a tensor of static shape; 0 for another one."""
    shape, bits = static_shape(tensor), DataType(str(tensor.ty.dtype)).bits
    elements = 1
    for extent in shape or (0,):
        elements *= extent
    return (elements * bits + 7) // 8


def _share(call: Any, parameters: Parameters, plan: dict[Any, _Tensor]) -> Any:
    own, offset = plan.get(call), int(parameters["offset"])
    if own is None or offset < 0:
        return None
    for other in reversed(list(plan.values())):
        fits = not other.storage.same_as(own.storage) and other.storage_size >= offset + own.size
        if fits and other.written < own.written and _is_live(other, own.written, str(parameters["of"])):
            shared = with_argument(call, 0, other.storage)
            return with_argument(shared, 1, relax.prim_value(offset)) if offset else shared
    return None


def _is_live(tensor: _Tensor, at: int, of: str) -> bool:
    if of == "operand":
        return max(tensor.last_read, tensor.last_view) == at
    return tensor.last_read > at if of == "tensor" else tensor.last_read < at <= tensor.last_view


_SCRIPT = """
@I.ir_module
class Module:
    @R.function(pure=False)
    def main(x: R.Tensor((4,), "float32")) -> R.Tensor((2, 2), "float32"):
        first: R.Any = R.memory.alloc_storage(R.shape([16]), R.prim_value(0), R.str("global"), R.dtype("float32"))
        a = R.memory.alloc_tensor(first, R.prim_value(0), R.shape([4]), R.dtype("float32"))
        _ = R.call_packed("kernel", x, a, ty_args=R.Tuple)
        second: R.Any = R.memory.alloc_storage(R.shape([32]), R.prim_value(0), R.str("global"), R.dtype("float32"))
        b = R.memory.alloc_tensor(second, R.prim_value(0), R.shape([4]), R.dtype("float32"))
        _1 = R.call_packed("kernel", x, b, ty_args=R.Tuple)
        c = R.reshape(b, R.shape([2, 2]))
        third: R.Any = R.memory.alloc_storage(R.shape([16]), R.prim_value(0), R.str("global"), R.dtype("float32"))
        d = R.memory.alloc_tensor({storage}, R.prim_value({offset}), R.shape([2, 2]), R.dtype("float32"))
        _2 = R.call_packed("kernel", x, d, ty_args=R.Tuple)
        fourth: R.Any = R.memory.alloc_storage(R.shape([16]), R.prim_value(0), R.str("global"), R.dtype("float32"))
        e = R.memory.alloc_tensor(fourth, R.prim_value(0), R.shape([2, 2]), R.dtype("float32"))
        _3 = R.call_packed("kernels", {last}, d, e, ty_args=R.Tuple)
        return e
"""


def _example(last: str, storage: str, of: str, sites: str, offset: int = 0) -> Example:
    """A plan in which the tensor d shares ``storage`` although ``last`` is read later."""
    before, after = (
        _SCRIPT.format(last=last, storage=name, offset=at) for name, at in (("third", 0), (storage, offset))
    )
    return Example(before, after, {"of": of, "offset": offset}, sites)


OPERATORS = (
    Operator(
        name="memory.share-storage",
        slots=(Slot.MEMORY,),
        category=Category.MEMORY,
        fault="storage that is reused too early, for example while a reshape of its tensor is still read "
        "(apache/tvm#20134), and allocations that are taken for one (apache/tvm#16852)",
        description="places a tensor in the storage of an earlier one whose value is still needed when a kernel "
        "writes the tensor",
        rule=GraphRule((_TENSOR,), _share, _plan),
        parameters=(
            Parameter(
                "of",
                "the earlier tensor: read later, read later through a reshape, or read by the kernel that writes",
                choices=("tensor", "view", "operand"),
            ),
            Parameter("offset", "where in the storage the tensor begins, in bytes", 0),
        ),
        variants=({"of": "tensor"}, {"of": "view"}),
        more_variants=({"of": "operand"},),  # most kernels read an operand before they write in its place
        by_default=False,  # each mutant needs a build of the whole model
        examples=(
            _example("a", "first", "tensor", "1"),
            _example("c", "second", "view", "0"),
            _example("c", "second", "view", "0", 16),
        ),
    ),
)
