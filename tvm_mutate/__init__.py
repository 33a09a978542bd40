"""Mutation testing and fault injection inside Apache TVM: faults as compiler passes.

Load a model, list its mutants, apply one, and judge some of them in a campaign:

    import tvm_mutate

    model = tvm_mutate.load_model("zoo://alexnet")
    mutants = tvm_mutate.list_mutants(model, tvm_mutate.Specification(operators=("graph.replace-*",)))
    mutated = tvm_mutate.apply(model.module, mutants[0])
    print(tvm_mutate.difference(model, mutants[0]))
    chosen = tvm_mutate.Specification(mutants=mutants[:2])
    results = tvm_mutate.run_campaign("zoo://alexnet", specification=chosen, limit=10, output="first")

``activate`` mutates every build of a process. ``Operator`` and the rules describe operators of your own.
"""

TYPE_CHECKING = False  # importing this package imports neither TVM nor typing: a name is imported at its first use
if TYPE_CHECKING:
    from tvm_mutate.activation import Activation, MutantInstrument, activate
    from tvm_mutate.api import (
        apply,
        difference,
        list_mutants,
        list_operators,
        lower,
        mutant_passes,
        mutated_pipelines,
        native_pass,
        read_results,
        run_campaign,
    )
    from tvm_mutate.campaign import Specification
    from tvm_mutate.errors import MutateError, NotAppliedError, NotAppliedWarning, UntrustedError, UsageError
    from tvm_mutate.model import Model, RandomInputs, load_model, model_from_module
    from tvm_mutate.mutant import (
        Category,
        Example,
        FunctionRule,
        GraphRule,
        Operator,
        Parameter,
        PipelineRule,
        Slot,
        TextRule,
        TirRule,
    )
    from tvm_mutate.native import native_library
    from tvm_mutate.pipeline import Flow
    from tvm_mutate.report.changes import Difference
    from tvm_mutate.results import MutantRow, Results, results_schema, suite_schema
    from tvm_mutate.scenario import Call, Scenario

# In the order of the layers, so that a package of operators can import ``Operator`` while the catalogue is loaded.
_MODULES = (
    "errors",
    "scenario",
    "mutant",
    "native",
    "model",
    "results",
    "pipeline",
    "activation",
    "campaign",
    "api",
    "report.changes",
)

__all__ = [
    "Activation",
    "Call",
    "Category",
    "Difference",
    "Example",
    "Flow",
    "FunctionRule",
    "GraphRule",
    "Model",
    "MutantInstrument",
    "MutantRow",
    "MutateError",
    "NotAppliedError",
    "NotAppliedWarning",
    "Operator",
    "Parameter",
    "PipelineRule",
    "RandomInputs",
    "Results",
    "Scenario",
    "Slot",
    "Specification",
    "TextRule",
    "TirRule",
    "UntrustedError",
    "UsageError",
    "activate",
    "apply",
    "difference",
    "list_mutants",
    "list_operators",
    "load_model",
    "lower",
    "model_from_module",
    "mutant_passes",
    "mutated_pipelines",
    "native_library",
    "native_pass",
    "read_results",
    "results_schema",
    "run_campaign",
    "suite_schema",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        from importlib import import_module

        for module in _MODULES:
            if hasattr(imported := import_module(f"tvm_mutate.{module}"), name):
                return getattr(imported, name)
    raise AttributeError(f"module 'tvm_mutate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
