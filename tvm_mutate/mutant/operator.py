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

    GRAPH = "graph"  # Relax, before the Relax pipeline
    KERNEL = "kernel"  # structured TIR, after the Relax pipeline
    LOWERED = "lowered"  # after the TIR pipeline, host and device functions
    CODEGEN = "codegen"  # after the finalizers, as target.build.* gets the module
    TEXT = "text"  # the source code that target.build.* generated
    PIPELINE = "pipeline"  # the lists of passes: a fault in the compiler, not in the model


class Category(TextEnum):
    """The six mutation categories of MutateNN (arXiv 2306.01697), those that go beyond it, and one for the canaries.

    Mutants of ``COMPILER_PASSES`` are faults of the compiler: they are counted apart, outside every mutation score.
    """

    NODE_INPUT_OUTPUT = "Node Input/Output Modifications"
    ARITHMETIC_NODE = "Arithmetic Node Replacement"
    LAYER_NODE = "Layer Node Replacement"
    ARITHMETIC_TYPES = "Arithmetic Types"
    KERNEL_STORES = "Kernel Variables & Stores"
    CONDITIONAL = "Conditional Statement Operations"
    GRAPH_STRUCTURE = "Graph Structure"  # layers dropped, repeated, connected otherwise
    ATTRIBUTES = "Layer Attributes"  # axes, padding, strides, epsilons
    CONSTANTS = "Weights & Constants"
    EXPRESSIONS = "Kernel Expressions"
    MEMORY = "Memory & Initialisation"
    LOOPS = "Loop Structure"
    GPU = "GPU Kernels"
    CODE_GENERATION = "Code Generation"  # what code generators are told, and the code that they give
    COMPILER_PASSES = "Compiler Passes"
    CANARY = "Canary"


Value = str | int | float | bool


@dataclass(frozen=True)
class Magnitude:
    """How large a fault a parameter makes: sizes from ``least`` to ``most``, each above 0.

    A size is the distance of the parameter from ``neutral``, where there is no fault; of a ``factor``, whose neutral
    value is 1, it is what the larger of the factor and its reciprocal is above 1. ``logarithmic`` sizes are looked at
    in steps of equal ratio, others in whole numbers.
    """

    least: float
    most: float
    logarithmic: bool = False
    factor: bool = False
    neutral: float = 0.0

    def value(self, size: float, upwards: bool) -> float:
        """The parameter's value for a size, above or below the neutral one."""
        if self.factor:
            return 1 + size if upwards else 1 / (1 + size)
        return self.neutral + size if upwards else self.neutral - size

    def is_upwards(self, value: float) -> bool | None:
        """Whether a value is above the neutral one; None where it is that, or where no size has such a value."""
        neutral = 1.0 if self.factor else self.neutral
        if value == neutral or (self.factor and value <= 0):
            return None
        return value > neutral


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operator; without a default it has to be given.

    ``default`` also fixes the type, unless ``kind`` names it. ``choices`` are the allowed values of a text
    parameter. ``magnitude`` says which sizes a parameter has that makes the fault larger or smaller.
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
        """The typed value of ``text``; raises UsageError that names the operator and what would be right."""
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
        """The text form of a value, which :meth:`read` takes back."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return repr(value) if isinstance(value, float) else str(value)


Parameters = Mapping[str, Value]

SLOT_PARAMETER = "slot"


@dataclass(frozen=True)
class TirRule:
    """A rule on TIR: ``rewrite(node, parameters)`` gives the replacement, or None where no site is.

    ``node_types`` are the TVM classes of the nodes that are offered to ``rewrite`` (typed dispatch is what
    keeps a walk at tens of microseconds, so never a base class). With ``calls_runtime`` the replacement calls the
    run-time support of the native library.
    """

    node_types: tuple[type, ...]
    rewrite: Callable[[Any, Parameters], Any | None]
    calls_runtime: bool = False


@dataclass(frozen=True)
class GraphRule:
    """A rule on Relax calls: ``rewrite(call, parameters)`` gives the replacing expression, or None.

    ``ops`` are the names of the Relax operators whose calls are offered; nested calls in the replacement are
    bound to variables by the engine.
    """

    ops: tuple[str, ...]
    rewrite: Callable[[Any, Parameters], Any | None]


@dataclass(frozen=True)
class FunctionRule:
    """A rule on a whole Relax function, which is its only site.

    ``rewrite(module, function_name, parameters)`` gives the new IRModule, or None where no site is.
    """

    rewrite: Callable[[Any, str, Parameters], Any | None]


@dataclass(frozen=True)
class TextRule:
    """A rule on generated code: ``rewrite(match, parameters)`` gives the text in a match's place, or None.

    ``kinds`` are the kinds of targets whose code it knows (``llvm``: LLVM IR; ``c``, ``cuda``, ``opencl``: sources).
    Matches of ``pattern`` in the functions of a kernel are offered to ``rewrite``, in the order of the text; where it
    gives None, or the same text, no site is.
    """

    kinds: tuple[str, ...]
    pattern: re.Pattern[str]
    rewrite: Callable[[re.Match[str], Parameters], str | None]


@dataclass(frozen=True)
class PipelineRule:
    """A rule on a list of passes of the compiler itself; a site is one place in the list.

    ``rewrite(passes, parameters)`` gets the pass at that place and those that follow it, and gives what takes the place
    of them all, or None where no site is. With ``each_pass`` a campaign enumerates a variant for every pass that it
    finds in the pipelines, as the parameter ``pass``.
    """

    rewrite: Callable[[Sequence[Any], Parameters], Sequence[Any] | None]
    each_pass: bool = False


Rule = TirRule | GraphRule | FunctionRule | TextRule | PipelineRule


@dataclass(frozen=True)
class Example:
    """A pair of texts: ``after`` is ``before`` with the operator applied at ``sites``.

    They are TVMScript, or generated code for the ``kind`` of target that is given; of a rule on lists of passes they
    are the names of the passes, one a line.
    """

    before: str
    after: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    sites: str = "*"
    kind: str = ""


@dataclass(frozen=True)
class Operator:
    """A rewriting rule with its name, slots (the first is the default), category and parameters.

    ``variants`` are the parameter settings that a campaign enumerates by default, ``more_variants`` those that
    it adds when asked for all. An operator with several slots has the parameter ``slot`` besides its own.
    ``undefined_behaviour`` marks operators whose mutants can access memory outside their buffers, or read what was
    never written. ``fault`` is the kind of real fault that it stands for, with a reference. ``paper`` marks the
    mutations of MutateNN, ``by_default`` operators that campaigns take without being asked: not those whose mutants
    are mostly undefined or equivalent.
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
        """Every parameter setting that is offered: the default ones, and the rest."""
        return self.variants + self.more_variants

    def all_parameters(self) -> tuple[Parameter, ...]:
        """The operator's own parameters, and ``slot`` where there is a choice."""
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
