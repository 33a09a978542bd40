"""The fixed words of mutants: slots and categories."""

from __future__ import annotations

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
