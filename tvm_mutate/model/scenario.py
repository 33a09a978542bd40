"""Scenarios on the functions of a module: what each argument and each output is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tvm
from tvm import relax
from tvm.ir import TupleType

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.samples import Samples
from tvm_mutate.scenario import Call, Scenario


@dataclass(frozen=True)
class Parameter:
    """A tensor that a program gets from outside.

    ``shape`` has a number for each static dimension, and the name of the symbol for each other one. ``dtype`` is empty
    if TVM does not know it.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str


@dataclass(frozen=True)
class Source:
    """Where a tensor comes from: result ``index`` of an earlier call, or input ``index`` from outside (no ``call``)."""

    call: int | None
    index: int


# A parameter that is a tuple takes a tuple of sources.
Argument = Any


@dataclass(frozen=True)
class ResolvedCall:
    """A call of a function with the source of each argument."""

    function: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class ResolvedScenario:
    """A scenario on the functions of one module: its inputs from outside, its calls, and the sources of its outputs.

    ``output_names`` has a name for each output, or an empty text.
    """

    inputs: tuple[Parameter, ...]
    calls: tuple[ResolvedCall, ...]
    outputs: tuple[Source, ...]
    output_names: tuple[str, ...] = ()

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the called functions, each once."""
        return tuple(dict.fromkeys(call.function for call in self.calls))


@dataclass(frozen=True)
class Workload:
    """What a program is run on: a scenario and samples of its inputs."""

    scenario: ResolvedScenario
    samples: Samples

    def __len__(self) -> int:
        return len(self.samples)

    @classmethod
    def of(cls, module: tvm.IRModule, samples: Samples, scenario: Scenario | None = None) -> Workload:
        """The workload of a module; raises UsageError as :func:`resolve` does."""
        return cls(resolve(module, scenario or Scenario()), samples)


def resolve(module: tvm.IRModule, scenario: Scenario, source: str = "the module") -> ResolvedScenario:
    """The scenario on the functions of a module; raises UsageError, naming ``source``, for names that do not exist."""
    return _Resolver(module, scenario, source).resolved()


class _Resolver:
    """Resolves one scenario; ``_latest`` has the source of the latest value with each name."""

    def __init__(self, module: tvm.IRModule, scenario: Scenario, source: str) -> None:
        self._scenario, self._source = scenario, source
        self._functions = {
            variable.name_hint: function
            for variable, function in module.functions.items()
            if isinstance(function, relax.Function)
        }
        self._inputs: dict[str, Parameter] = {}
        self._latest: dict[str, Source] = {}
        self._named: list[tuple[str, Source]] = []
        self._taken: set[Source] = set()
        self._calls: list[ResolvedCall] = []

    def resolved(self) -> ResolvedScenario:
        for call in self._scenario.calls:
            for _ in range(call.repeat):
                self._add(call)
        outputs = [(name, source) for name, source in self._named if self._is_returned(name, source)]
        for name in self._scenario.returns:
            if name not in (known := dict(self._named)):
                hint = suggestion(name, [each for each in known if each])
                raise UsageError(f"{self._source}: the scenario returns {name!r}, but no call has this output{hint}")
        if not self._inputs:
            raise UsageError(f"{self._source}: takes no input from outside, so that every run is the same; add one")
        if not outputs:
            raise UsageError(f"{self._source}: the scenario has no output; name some in 'returns'")
        return ResolvedScenario(
            tuple(self._inputs.values()),
            tuple(self._calls),
            tuple(source for _, source in outputs),
            tuple(name for name, _ in outputs),
        )

    def _is_returned(self, name: str, source: Source) -> bool:
        return name in self._scenario.returns if self._scenario.returns else source not in self._taken

    def _add(self, call: Call) -> None:
        if call.function not in self._functions:
            names = sorted(self._functions)
            known = f"it has {', '.join(names)}" if names else "it has none"
            raise UsageError(f"{self._source}: has no Relax function {call.function!r} ({known})")
        function = self._functions[call.function]
        parameters = [(each.name, each.ty) for each in function.params]
        names = [name for parameter in parameters for name, _ in leaves(*parameter)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(f"{self._source}: {call.function} has two parameters {twice[0]!r}; rename one of them")
        for parameter in call.feeds:
            if parameter not in names:
                hint = suggestion(parameter, names)
                raise UsageError(f"{self._source}: {call.function} has no parameter {parameter!r}{hint}")
        number = len(self._calls)
        self._calls.append(ResolvedCall(call.function, tuple(self._argument(call, *each) for each in parameters)))
        results = len(list(leaves("", function.ret_ty)))
        if len(call.outputs) > results:
            named = f"the scenario names {len(call.outputs)} outputs of {call.function}"
            raise UsageError(f"{self._source}: {named}, which has {results}")
        for index in range(results):
            name = call.outputs[index] if index < len(call.outputs) else ""
            self._named.append((name, Source(number, index)))
            if name:
                self._latest[name] = Source(number, index)

    def _argument(self, call: Call, name: str, kind: Any) -> Argument:
        if isinstance(kind, TupleType):
            return tuple(self._argument(call, f"{name}.{index}", each) for index, each in enumerate(kind.fields))
        fed = call.feeds.get(name)
        if fed is not None and fed not in self._latest:
            hint = suggestion(fed, self._latest)
            raise UsageError(
                f"{self._source}: {name} of {call.function} takes {fed!r}, which no earlier call gives{hint}"
            )
        source = self._latest.get(name if fed is None else fed)
        if source is not None:
            self._taken.add(source)
            return source
        parameter = _parameter(name, kind, f"{self._source}: the parameter {name!r} of {call.function}")
        known = self._inputs.setdefault(name, parameter)
        if known != parameter:
            one, other = (f"{each.dtype} {list(each.shape)}" for each in (known, parameter))
            raise UsageError(
                f"{self._source}: two functions take an input {name!r}, as {one} and as {other}; rename one of them"
            )
        return Source(None, list(self._inputs).index(name))


def _parameter(name: str, kind: Any, where: str) -> Parameter:
    if not isinstance(kind, relax.TensorType):
        raise UsageError(f"{where} is no tensor ({kind}); only tensors can be fed from outside")
    if not isinstance(kind.shape, relax.ShapeExpr):
        raise UsageError(f"{where} has an unknown shape; give its dimensions numbers or symbols")
    shape = tuple(int(each) if isinstance(each, tvm.tirx.IntImm) else str(each) for each in kind.shape.values)
    if 0 in shape:
        raise UsageError(f"{where} has shape {list(shape)} and so no elements; give each dimension 1 or more")
    dtype = str(kind.dtype)
    return Parameter(name, shape, "" if dtype == "void" else dtype)


def leaves(name: str, kind: Any) -> Iterator[tuple[str, Any]]:
    """The tensors of a type, each with its name: a tuple has a name and a number for each of its fields."""
    if isinstance(kind, TupleType):
        for index, each in enumerate(kind.fields):
            yield from leaves(f"{name}.{index}", each)
    else:
        yield name, kind


def flat(arguments: Sequence[Argument]) -> list[Source]:
    """The sources of arguments, with tuples replaced by their fields."""
    return [source for each in arguments for source in (flat(each) if isinstance(each, tuple) else [each])]
