"""A cache of the kernels that legalisation and constant folding make: without it they take most of a lowering."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import GenericConst, GlobalVar
from tvm.tirx import PrimFunc

from tvm_mutate.pipeline.codegen import overridden_global_function
from tvm_mutate.pipeline.flow import TVM_FLOW, Flow

Legaliser = Callable[[relax.BlockBuilder, relax.Call], Any]
_BUILD = "tirx.build"
_LEGALISE = "FLegalize"


@dataclass(frozen=True)
class _Legalised:
    """The legalisation of a call: kernel, name of the kernel, which leaves of the arguments it takes, result type."""

    function: PrimFunc
    name: str
    arguments: tuple[int, ...]
    result: Any


class LoweringCache:
    """Kernels that legalisation and constant folding have made, for the next model or the next graph mutant of a model.

    TVM's LegalizeOps makes a PrimFunc for each call anew (1.5 ms each), and a graph mutant differs from the model in
    few calls. Only calls whose legalisation is one call of one kernel on some of the call's own arguments are kept.
    TVM's FoldConstant compiles a kernel for every operator on constants, anew in every run of the pipeline and for
    every one of many equal batch normalisations (src/relax/transform/fold_constant.cc).

    A cache lives as long as its process; forked children inherit the content.
    """

    def __init__(self) -> None:
        self._legalised: dict[Any, _Legalised | None] = {}
        self._compiled: dict[tuple[tvm_ffi.StructuralKey, str], tvm.runtime.Module] = {}
        # The same compiled kernels by the identity of the parts of their functions, which is quicker to look up. The
        # functions are kept so that no other function gets the same identity.
        self._by_identity: dict[Any, tuple[PrimFunc, tvm.runtime.Module]] = {}

    @contextlib.contextmanager
    def folding(self) -> Iterator[None]:
        """Builds that TVM's C++ starts use the cache while the context lasts; for one thread at a time."""
        with overridden_global_function(_BUILD, self._compiled_once):
            yield

    def _compiled_once(self, build: Any) -> Callable[..., tvm.runtime.Module]:
        def build_once(function: PrimFunc, target: Any, *rest: Any) -> tvm.runtime.Module:
            body, parameters = function.body.__chandle__(), function.params.__chandle__()
            identity = (body, parameters, tvm_ffi.StructuralKey(function.attrs), str(target))
            if identity not in self._by_identity:
                key = (tvm_ffi.StructuralKey(function), str(target))
                if key not in self._compiled:
                    self._compiled[key] = build(function, target, *rest)
                self._by_identity[identity] = (function, self._compiled[key])
            return self._by_identity[identity][1]

        return build_once

    def legalisation(self, module: tvm.IRModule) -> tvm.transform.Pass:
        """A pass that does to this module what LegalizeOps does."""
        legalisers: dict[str, Legaliser] = {}
        added: dict[Any, GlobalVar] = {}

        def note(node: Any) -> None:
            # has_attr is true for every operator: it asks whether any operator has the attribute.
            if isinstance(node, relax.Call) and isinstance(node.op, tvm.ir.Op) and (own := node.op.get_attr(_LEGALISE)):
                legalisers.setdefault(node.op.name, self._legalised_once(own, added))

        for function in module.functions.values():
            if isinstance(function, relax.Function):
                relax.analysis.post_order_visit(function, note)
        return relax.transform.LegalizeOps(legalisers)

    def _legalised_once(self, legalise: Legaliser, added: dict[Any, GlobalVar]) -> Legaliser:
        """The legaliser with cached kernels; ``added`` are the kernels in the module by the key of their call.

        Without ``added`` the builder would compare every kernel with those in the module, which takes as long as all
        the rest.
        """

        def once(builder: relax.BlockBuilder, call: relax.Call) -> Any:
            key = _key(call)
            if key not in self._legalised:
                self._legalised[key] = _legalised(legalise, call)
            made = self._legalised[key]
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
    """Everything that decides the kernel of a call, with the values of scalars and the identity of arguments.

    Scalars are written into kernels, and a kernel of ``x + x`` may take ``x`` once.
    """
    attributes = None if call.attrs is None else tvm_ffi.StructuralKey(call.attrs)
    leaves = _leaves(call.args)
    same = tuple(_index(leaf, leaves) for leaf in leaves)
    return (call.op.name, attributes, tuple(_key_of(argument) for argument in call.args), same)


def _key_of(argument: Any) -> Any:
    if isinstance(argument, relax.Tuple):
        return tuple(_key_of(field) for field in argument.fields)
    if isinstance(argument, GenericConst) and not argument.value.shape:
        return (argument.value.dtype, argument.value.numpy().tobytes())
    is_value = isinstance(argument, relax.Var | GenericConst)
    return tvm_ffi.StructuralKey(argument.ty if is_value else argument)


def _leaves(arguments: Iterable[Any]) -> list[Any]:
    """The arguments of a call, with tuples replaced by their fields."""
    return [leaf for each in arguments for leaf in (_leaves(each.fields) if isinstance(each, relax.Tuple) else [each])]


def _legalised(legalise: Legaliser, call: relax.Call) -> _Legalised | None:
    """The legalisation of a call, in a new module where the kernel gets its preferred name; None if it is not kept."""
    builder = relax.BlockBuilder()
    legalised = legalise(builder, call)
    if not isinstance(legalised, relax.Call) or getattr(legalised.op, "name", "") != "relax.call_tir":
        return None
    if len(legalised.args) != 2 or not isinstance(legalised.args[0], GlobalVar) or len(legalised.ty_args) != 1:
        return None
    leaves = _leaves(call.args)
    positions = [_index(argument, leaves) for argument in legalised.args[1].fields]
    if None in positions:
        return None
    function = builder.get()[legalised.args[0]]
    taken = tuple(each for each in positions if each is not None)
    return _Legalised(function, legalised.args[0].name_hint, taken, legalised.ty_args[0])


def _index(argument: Any, leaves: Sequence[Any]) -> int | None:
    return next((at for at, each in enumerate(leaves) if each.same_as(argument)), None)


class Fused:
    """A model after legalisation and fusion, which targets share; computed at the first use.

    ``flow`` is what the model goes through; one cache is for one flow.
    """

    def __init__(self, module: tvm.IRModule, cache: LoweringCache | None = None, flow: Flow = TVM_FLOW) -> None:
        self.module, self.flow = module, flow
        self._cache = cache or LoweringCache()
        self._fused: tvm.IRModule | None = None

    def fused(self) -> tvm.IRModule:
        """The unmutated model, legalised and fused."""
        if self._fused is None:
            self._fused = self.fuse(self.module)
        return self._fused

    def fuse(self, module: tvm.IRModule) -> tvm.IRModule:
        """Another module, such as the model with graph mutations, legalised and fused as by ``fusing_pipeline``."""
        with self._cache.folding(), self.flow.options():
            decomposed = tvm.transform.Sequential([relax.transform.DecomposeOpsForInference()])(module)
            legalised = tvm.transform.Sequential([self._cache.legalisation(decomposed)])(decomposed)
            return relax.get_pipeline("zero")(legalised)

    def fuse_by(self, passes: Sequence[tvm.transform.Pass], module: tvm.IRModule) -> tvm.IRModule:
        """Another module after these passes instead of ``fusing_pipeline``; only constant folding uses the cache."""
        with self._cache.folding(), self.flow.options():
            return tvm.transform.Sequential(list(passes))(module)
