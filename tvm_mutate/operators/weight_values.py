"""Weights & Constants: values of weights that are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example
from tvm_mutate.operators.layer_weights import LAYERS_WITH_WEIGHTS, weights_of
from tvm_mutate.operators.sizes import FACTORS

_LARGEST = {"int8": 127, "int4": 7}  # of the integers that weights are rounded to


def _flip_bit(call: Any, parameters: Parameters) -> Any | None:
    weights = weights_of(call)
    element, bit = int(parameters["element"]), int(parameters["bit"])
    if weights is None or not 0 <= element < weights.values.size:
        return None
    bits = np.array(weights.values).view(f"uint{8 * weights.values.itemsize}")
    if not 0 <= bit < 8 * bits.itemsize:
        return None
    bits.reshape(-1)[element] ^= bits.dtype.type(1 << bit)
    return weights.replaced(bits.view(weights.values.dtype))


def _scale(call: Any, parameters: Parameters) -> Any | None:
    weights = weights_of(call)
    return weights and weights.replaced(weights.values * weights.values.dtype.type(parameters["factor"]))


def _quantise(call: Any, parameters: Parameters) -> Any | None:
    weights = weights_of(call)
    if weights is None:
        return None
    if parameters["type"] == "float16":
        return weights.replaced(weights.values.astype("float16"))
    step = np.abs(weights.values).max() / _LARGEST[str(parameters["type"])]
    return weights.replaced(np.rint(weights.values / step) * step) if step > 0 else None


FLIP_WEIGHT_BIT = Operator(
    name="graph.flip-weight-bit",
    fault="a soft error in the memory of the weights, or a constant that is damaged when it is stored "
    "(the fault model of TensorFI and LLTFI)",
    slots=(Slot.GRAPH,),
    category=Category.CONSTANTS,
    description="flips one bit of one weight of a convolution or of a matrix",
    rule=GraphRule(LAYERS_WITH_WEIGHTS, _flip_bit),
    parameters=(
        Parameter("bit", "which bit; of float32 31 is the sign, 30 the largest of the exponent", 30),
        Parameter("element", "which weight, counted from 0 as they lie in memory", 0),
    ),
    variants=({"bit": 30}, {"bit": 31}),
    more_variants=({"bit": 23}, {"bit": 22}, {"bit": 0}),
    examples=(
        graph_example(
            "x: (1, 2) -> (1, 2)",
            'gv = R.matmul(x, R.const([[1.5, 2.0], [3.0, 4.0]], "float32"))',
            'gv = R.matmul(x, R.const([[1.5, -2.0], [3.0, 4.0]], "float32"))',
            {"bit": 31, "element": 1},
        ),
        graph_example(
            "x: (1, 2) -> (1, 1)",
            """
            lv = R.permute_dims(R.const([[1.5, 2.0]], "float32"), axes=[1, 0])
            gv = R.matmul(x, lv)
            """,
            """
            lv = R.permute_dims(R.const([[1.0, 2.0]], "float32"), axes=[1, 0])
            gv = R.matmul(x, lv)
            """,
            {"bit": 22},
        ),
    ),
)

SCALE_WEIGHTS = Operator(
    name="graph.scale-weights",
    fault="a scale that is folded into weights wrongly (plausible where a batch normalisation is folded into "
    "weights, and in frontends of quantised formats)",
    slots=(Slot.GRAPH,),
    category=Category.CONSTANTS,
    description="multiplies all weights of a convolution or of a matrix by a factor",
    rule=GraphRule(LAYERS_WITH_WEIGHTS, _scale),
    parameters=(Parameter("factor", "what the weights are multiplied by", 1.1, magnitude=FACTORS),),
    variants=({"factor": 1.1}, {"factor": 0.5}),
    more_variants=({"factor": -1.0},),
    examples=(
        graph_example(
            "x: (1, 2) -> (1, 2)",
            'gv = R.matmul(x, R.const([[1.5, 2.0], [3.0, 4.0]], "float32"))',
            'gv = R.matmul(x, R.const([[0.75, 1.0], [1.5, 2.0]], "float32"))',
            {"factor": 0.5},
        ),
        graph_example(
            "x: (1, 1, 2, 2) -> (1, 1, 2, 2)",
            'gv = R.nn.conv2d(x, R.const([[[[1.5]]]], "float32"))',
            'gv = R.nn.conv2d(x, R.const([[[[-1.5]]]], "float32"))',
            {"factor": -1.0},
        ),
    ),
)

QUANTISE_WEIGHTS = Operator(
    name="graph.quantise-weights",
    fault="weights that lose precision on the way, as by an unwanted conversion (type problems, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.CONSTANTS,
    description="rounds the weights of a convolution or of a matrix to a narrower type and back; integers are "
    "symmetric about zero, with one scale for all",
    rule=GraphRule(LAYERS_WITH_WEIGHTS, _quantise),
    parameters=(Parameter("type", "the type that weights are rounded to", "int8", ("int8", "int4", "float16")),),
    variants=({"type": "int8"}, {"type": "int4"}),
    more_variants=({"type": "float16"},),
    examples=(
        graph_example(
            "x: (1, 2) -> (1, 2)",
            'gv = R.matmul(x, R.const([[7.0, 0.25], [-3.25, 2.0]], "float32"))',
            'gv = R.matmul(x, R.const([[7.0, 0.0], [-3.0, 2.0]], "float32"))',
            {"type": "int4"},
        ),
        graph_example(
            "x: (1, 1, 2, 2) -> (1, 1, 2, 2)",
            'gv = R.nn.conv2d(x, R.const([[[[2049.0]]]], "float32"))',
            'gv = R.nn.conv2d(x, R.const([[[[2048.0]]]], "float32"))',
            {"type": "float16"},
        ),
    ),
)

OPERATORS = (FLIP_WEIGHT_BIT, SCALE_WEIGHTS, QUANTISE_WEIGHTS)
