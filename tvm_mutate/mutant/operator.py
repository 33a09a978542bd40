"""Operators: rewriting rules at one IR level, as rows of a catalogue, with their parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.mutant.identifier import Mutation
from tvm_mutate.text_enum import TextEnum


class Slot(TextEnum):
    """Where in the pipeline a mutation acts."""

    IMPORT = "import"  # Relax as a frontend made it: faults of the frontend, which may change shapes
    SHAPE = "shape"  # the same Relax: faults that change shapes; the shapes behind them are inferred anew
    GRAPH = "graph"  # the same Relax, before the Relax pipeline: faults that keep all shapes
    KERNEL = "kernel"  # structured TIR, after the Relax pipeline
    CALL = "call"  # the calls of these kernels, before memory is planned
    MEMORY = "memory"  # the calls with planned memory
    LOWERED = "lowered"  # after the TIR pipeline, host and device functions
    CODEGEN = "codegen"  # after the finalizers, as target.build.* gets the module
    TEXT = "text"  # the source code that target.build.* generated
    PIPELINE = "pipeline"  # the lists of passes: a fault in the compiler, not in the model


# The slots before the Relax pipeline, in the order in which their mutations are applied.
ON_GRAPHS = (Slot.IMPORT, Slot.SHAPE, Slot.GRAPH)


class Category(TextEnum):
    """The six mutation categories of MutateNN (arXiv 2306.01697), those that go beyond it, and one for the canaries.

    Mutants of ``COMPILER_PASSES`` are faults of the compiler, counted separately and outside every mutation score.
    """

    NODE_INPUT_OUTPUT = "Node Input/Output Modifications"
    ARITHMETIC_NODE = "Arithmetic Node Replacement"
    LAYER_NODE = "Layer Node Replacement"
    ARITHMETIC_TYPES = "Arithmetic Types"
    KERNEL_STORES = "Kernel Variables & Stores"
    CONDITIONAL = "Conditional Statement Operations"
    GRAPH_STRUCTURE = "Graph Structure"  # layers dropped, repeated, or connected differently
    ATTRIBUTES = "Layer Attributes"  # axes, padding, strides, epsilons
    CONSTANTS = "Weights & Constants"
    EXPRESSIONS = "Kernel Expressions"
    MEMORY = "Memory & Initialisation"
    LOOPS = "Loop Structure"
    GPU = "GPU Kernels"
    CODE_GENERATION = "Code Generation"  # the input of code generators, and the code that they generate
    COMPILER_PASSES = "Compiler Passes"
    CANARY = "Canary"


Value = str | int | float | bool


@dataclass(frozen=True)
class Magnitude:
    """The sizes of the fault that a parameter makes: from ``least`` to ``most``, all above 0.

    A size is the distance of the parameter from ``neutral``, the value without a fault. For a ``factor``, whose neutral
    value is 1, the size is the larger of the factor and its reciprocal, minus 1. ``logarithmic`` sizes are searched in
    steps of equal ratio, others in whole numbers.
    """

    least: float
    most: float
    logarithmic: bool = False
    factor: bool = False
    neutral: float = 0.0

    def value(self, size: float, upwards: bool) -> float:
        """The parameter's value for a size, above or below the neutral value."""
        if self.factor:
            return 1 + size if upwards else 1 / (1 + size)
        return self.neutral + size if upwards else self.neutral - size

    def is_upwards(self, value: float) -> bool | None:
        """Whether a value is above the neutral value; None if it is neutral, or the value of no size."""
        neutral = 1.0 if self.factor else self.neutral
        if value == neutral or (self.factor and value <= 0):
            return None
        return value > neutral


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operator; a parameter without default is required.

    The type is that of ``default``, or ``kind``. ``choices`` are the allowed values of a text parameter. ``magnitude``
    gives the sizes of a parameter that makes the fault larger or smaller.
    """

    name: str
    description: str
    default: Value | None = None
    choices: tuple[str, ...] = ()
    kind: type = str
    magnitude: Magnitude | None = None

    def __post_init__(self) -> None:
        if self.default is not None:
            object.__setattr__(self, "kind", type(self.default))

    def read(self, text: str, operator: str) -> Value:
        """The typed value of ``text``; raises UsageError that names the operator and the allowed values."""
        if self.kind is bool:
            if text not in ("true", "false"):
                raise UsageError(f"{operator}: {self.name}={text!r} is neither true nor false")
            return text == "true"
        if self.choices and text not in self.choices:
            raise UsageError(f"{operator}: {self.name}={text!r} is not known{suggestion(text, self.choices)}")
        try:
            return self.kind(text)
        except ValueError:
            raise UsageError(f"{operator}: {self.name}={text!r} is not a {self.kind.__name__}") from None

    @staticmethod
    def write(value: Value) -> str:
        """The text of a value, which :meth:`read` reads back."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return repr(value) if isinstance(value, float) else str(value)


Parameters = Mapping[str, Value]

SLOT_PARAMETER = "slot"


@dataclass(frozen=True)
class TirRule:
    """A rule on TIR: ``rewrite(node, parameters)`` gives the replacement, or None if the node is not a site.

    ``node_types`` are the TVM classes of the nodes that are offered to ``rewrite``. They are never base classes: typed
    dispatch keeps a walk at tens of microseconds. With ``calls_runtime`` the replacement calls the run-time support of
    the native library.
    """

    node_types: tuple[type, ...]
    rewrite: Callable[[Any, Parameters], Any | None]
    calls_runtime: bool = False


@dataclass(frozen=True)
class GraphRule:
    """A rule on Relax calls: ``rewrite(call, parameters)`` gives the replacement, or None if the call is not a site.

    ``ops`` are the names of the Relax operators whose calls are offered. Nested calls in the replacement are bound to
    variables automatically. With ``context`` the rule is ``rewrite(call, parameters, context)``, where the context is
    ``context(function)``, computed once for the unmutated Relax function.
    """

    ops: tuple[str, ...]
    rewrite: Callable[..., Any | None]
    context: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class FunctionRule:
    """A rule on a whole Relax function, which is its only site.

    ``rewrite(module, function_name, parameters)`` gives the new IRModule, or None if the function is not a site.
    """

    rewrite: Callable[[Any, str, Parameters], Any | None]


@dataclass(frozen=True)
class TextRule:
    """A rule on generated code: ``rewrite(match, parameters)`` gives the replacement of a match.

    ``kinds`` are the kinds of targets whose code the rule knows (``llvm``: LLVM IR; ``c``, ``cuda``, ``opencl``:
    sources). Matches of ``pattern`` in the functions of a kernel are offered in the order of the text. A match is not a
    site if ``rewrite`` gives None or the same text.
    """

    kinds: tuple[str, ...]
    pattern: re.Pattern[str]
    rewrite: Callable[[re.Match[str], Parameters], str | None]


@dataclass(frozen=True)
class PipelineRule:
    """A rule on a list of passes of the compiler itself; a site is an index in the list.

    ``rewrite(passes, parameters)`` gets the passes from the index on and gives their replacement, or None if the index
    is not a site. With ``each_pass`` a campaign enumerates a variant for every pass of the pipelines, as the parameter
    ``pass``.
    """

    rewrite: Callable[[Sequence[Any], Parameters], Sequence[Any] | None]
    each_pass: bool = False


Rule = TirRule | GraphRule | FunctionRule | TextRule | PipelineRule


@dataclass(frozen=True)
class Example:
    """A pair of texts: ``after`` is ``before`` with the operator applied at ``sites``.

    The texts are TVMScript, or generated code for targets of ``kind``. For a rule on lists of passes they are the names
    of passes, one per line.
    """

    before: str
    after: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    sites: str = "*"
    kind: str = ""


@dataclass(frozen=True)
class Operator:
    """A rewriting rule with its name, slots (the first is the default), category and parameters.

    ``variants`` are the parameter settings that a campaign enumerates by default, ``more_variants`` the additional ones
    for all variants. An operator with several slots also has the parameter ``slot``. ``undefined_behaviour`` marks
    operators whose mutants can access memory outside their buffers or read memory never written. ``fault`` is the kind
    of real fault that the operator represents, with a reference. ``paper`` marks the mutations of MutateNN.
    ``by_default`` marks the operators of a campaign by default: their mutants are mostly defined and not equivalent.
    """

    name: str
    slots: tuple[Slot, ...]
    category: Category
    description: str
    rule: Rule
    examples: tuple[Example, ...]
    parameters: tuple[Parameter, ...] = ()
    variants: tuple[Mapping[str, Value], ...] = ({},)
    more_variants: tuple[Mapping[str, Value], ...] = ()
    undefined_behaviour: bool = False
    fault: str = ""
    paper: bool = False
    by_default: bool = True

    def all_variants(self) -> tuple[Mapping[str, Value], ...]:
        """All parameter settings, the default ones first."""
        return self.variants + self.more_variants

    def all_parameters(self) -> tuple[Parameter, ...]:
        """The operator's own parameters, and ``slot`` if the operator has several slots."""
        if len(self.slots) == 1:
            return self.parameters
        names = tuple(str(slot) for slot in self.slots)
        return (*self.parameters, Parameter(SLOT_PARAMETER, "where in the pipeline it acts", names[0], names))

    def read_parameters(self, mutation: Mutation) -> dict[str, Value]:
        """The typed parameters of a mutation, defaults filled in; raises UsageError for unknown or missing ones."""
        known = {parameter.name: parameter for parameter in self.all_parameters()}
        given = dict(mutation.parameters)
        for name in given:
            if name not in known:
                raise UsageError(f"{self.name} has no parameter {name!r}{suggestion(name, known)}")
        values: dict[str, Value] = {}
        for name, parameter in known.items():
            if name in given:
                values[name] = parameter.read(given[name], self.name)
            elif parameter.default is not None:
                values[name] = parameter.default
            else:
                raise UsageError(f"{self.name} needs the parameter {name!r}: {parameter.description}")
        return values

    def slot_of(self, values: Parameters) -> Slot:
        """The slot in which a mutation with these parameters acts."""
        return Slot(values[SLOT_PARAMETER]) if SLOT_PARAMETER in values else self.slots[0]

    def mutation(self, parameters: Parameters | None = None, slot: Slot | None = None) -> Mutation:
        """The mutation at all sites of all functions; parameters equal to their default are left out of its id."""
        given = dict(parameters or {})
        if slot is not None and len(self.slots) > 1:
            given[SLOT_PARAMETER] = str(slot)
        defaults = {parameter.name: parameter.default for parameter in self.all_parameters()}
        return Mutation(
            self.name,
            tuple((name, Parameter.write(value)) for name, value in given.items() if value != defaults.get(name)),
        )
