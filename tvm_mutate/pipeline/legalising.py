"""Legalisation with kernels that are made once: most of the time that a graph mutant's lowering takes otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import GenericConst, GlobalVar
from tvm.tirx import PrimFunc

Legaliser = Callable[[relax.BlockBuilder, relax.Call], Any]
_ATTRIBUTE = "FLegalize"


@dataclass(frozen=True)
class _Made:
    """What became of a call: a kernel with its name, which leaves of the arguments it takes, and its result's type."""

    function: PrimFunc
    name: str
    arguments: tuple[int, ...]
    result: Any


class LegalisingCache:
    """Kernels that legalisation has made, by operator, attributes and types of arguments.

    TVM's LegalizeOps makes a PrimFunc for each call anew (1.5 ms each), and a graph mutant differs from the model in
    few calls. Only calls whose legalisation is one call of one kernel on some of the call's own arguments are kept.
    """

    def __init__(self) -> None:
        self._made: dict[Any, _Made | None] = {}

    def legalisation(self, module: tvm.IRModule) -> tvm.transform.Pass:
        """A pass that does to the module what LegalizeOps does; for this module alone."""
        found: dict[str, Legaliser] = {}
        added: dict[Any, GlobalVar] = {}

        def note(node: Any) -> None:
            if isinstance(node, relax.Call) and isinstance(node.op, tvm.ir.Op) and node.op.has_attr(_ATTRIBUTE):
                found.setdefault(node.op.name, self._cached(node.op.get_attr(_ATTRIBUTE), added))

        for function in module.functions.values():
            if isinstance(function, relax.Function):
                relax.analysis.post_order_visit(function, note)
        return relax.transform.LegalizeOps(found)

    def _cached(self, legalise: Legaliser, added: dict[Any, GlobalVar]) -> Legaliser:
        """The legaliser with kernels made once; ``added`` are those that are in the module already, by what made them.

        Whether the module has a kernel like one that is added takes the builder as long as all the rest.
        """

        def once(builder: relax.BlockBuilder, call: relax.Call) -> Any:
            key = _key(call)
            if key not in self._made:
                self._made[key] = _made(legalise, call)
            made = self._made[key]
            if made is None:
                return legalise(builder, call)
            leaves = _leaves(call.args)
            if key not in added:
                added[key] = builder.add_func(made.function, made.name)
            # A kernel with several results has the type of a tuple, which call_tir takes as a list.
            results = list(made.result.fields) if isinstance(made.result, tvm.ir.TupleType) else made.result
            return relax.call_tir(added[key], [leaves[at] for at in made.arguments], results)

        return once


def _key(call: relax.Call) -> Any:
    """What decides the kernel of a call: scalars by their values, too, and which arguments are the same one.

    Scalars are written into kernels, and a kernel of ``x + x`` may take ``x`` once.
    """
    attributes = None if call.attrs is None else tvm_ffi.StructuralKey(call.attrs)
    leaves = _leaves(call.args)
    same = tuple(_place(leaf, leaves) for leaf in leaves)
    return (call.op.name, attributes, tuple(_key_of(argument) for argument in call.args), same)


def _key_of(argument: Any) -> Any:
    if isinstance(argument, relax.Tuple):
        return tuple(_key_of(field) for field in argument.fields)
    if isinstance(argument, GenericConst) and not argument.value.shape:
        return (argument.value.dtype, argument.value.numpy().tobytes())
    is_value = isinstance(argument, relax.Var | GenericConst)
    return tvm_ffi.StructuralKey(argument.ty if is_value else argument)


def _leaves(arguments: Iterable[Any]) -> list[Any]:
    """The arguments of a call, with the fields of tuples in place of these."""
    return [leaf for each in arguments for leaf in (_leaves(each.fields) if isinstance(each, relax.Tuple) else [each])]


def _made(legalise: Legaliser, call: relax.Call) -> _Made | None:
    """What becomes of a call, tried out in a module of its own, where the kernel has the name that is asked for."""
    builder = relax.BlockBuilder()
    legalised = legalise(builder, call)
    if not isinstance(legalised, relax.Call) or getattr(legalised.op, "name", "") != "relax.call_tir":
        return None
    if len(legalised.args) != 2 or not isinstance(legalised.args[0], GlobalVar) or len(legalised.ty_args) != 1:
        return None
    leaves = _leaves(call.args)
    places = [_place(argument, leaves) for argument in legalised.args[1].fields]
    if None in places:
        return None
    function = builder.get()[legalised.args[0]]
    taken = tuple(place for place in places if place is not None)
    return _Made(function, legalised.args[0].name_hint, taken, legalised.ty_args[0])


def _place(argument: Any, leaves: Sequence[Any]) -> int | None:
    return next((at for at, each in enumerate(leaves) if each.same_as(argument)), None)
