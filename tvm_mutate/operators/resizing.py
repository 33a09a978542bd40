"""Layer Attributes: how images are resized."""

from __future__ import annotations

from typing import Any

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example, with_attributes

_ATTRIBUTES = {
    "half_pixel": "coordinate_transformation_mode",
    "align_corners": "coordinate_transformation_mode",
    "asymmetric": "coordinate_transformation_mode",
    "nearest_neighbor": "method",
    "linear": "method",
}


def _wrong_resize(call: Any, parameters: Parameters) -> Any | None:
    to = str(parameters["to"])
    attribute = _ATTRIBUTES[to]
    return with_attributes(call, **{attribute: to}) if getattr(call.attrs, attribute) != to else None


WRONG_RESIZE = Operator(
    name="graph.wrong-resize",
    fault="a convention of coordinates that differs between formats and versions of them (incorrect frontend "
    "conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="resizes images by another convention of coordinates, or by another method",
    rule=GraphRule(("relax.image.resize2d",), _wrong_resize),
    parameters=(Parameter("to", "the convention or method that takes the place", choices=tuple(_ATTRIBUTES)),),
    variants=({"to": "align_corners"}, {"to": "asymmetric"}, {"to": "half_pixel"}),
    more_variants=({"to": "nearest_neighbor"}, {"to": "linear"}),
    examples=(
        graph_example(
            "x: (1, 2, 4, 4) -> (1, 2, 8, 8)",
            'gv = R.image.resize2d(x, R.shape([8, 8]), coordinate_transformation_mode="half_pixel")',
            'gv = R.image.resize2d(x, R.shape([8, 8]), coordinate_transformation_mode="align_corners")',
            {"to": "align_corners"},
        ),
        graph_example(
            "x: (1, 2, 4, 4) -> (1, 2, 8, 8)",
            'gv = R.image.resize2d(x, R.shape([8, 8]), method="linear")',
            'gv = R.image.resize2d(x, R.shape([8, 8]), method="nearest_neighbor")',
            {"to": "nearest_neighbor"},
        ),
    ),
)

OPERATORS = (WRONG_RESIZE,)
