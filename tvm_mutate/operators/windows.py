"""Layer Attributes: paddings and dilations of convolutions and poolings, exchanged so that the shapes stay."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example, integers, with_argument, with_attributes
from tvm_mutate.operators.relax_types import static_shape

_CONV2D = "relax.nn.conv2d"
_OPS = (_CONV2D, "relax.nn.max_pool2d", "relax.nn.avg_pool2d")
_ONE = 1.0


def _padding(call: Any) -> tuple[list[int], list[int]]:
    """How wide a call pads its data at the beginning of each axis, and at the end."""
    padding = integers(call.attrs.padding)
    return padding[: len(padding) // 2], padding[len(padding) // 2 :]


def _shift_padding(call: Any, parameters: Parameters) -> Any | None:
    begin, end = _padding(call)
    sign = 1 if parameters["to"] == "begin" else -1
    for axis, (before, after) in enumerate(zip(begin, end, strict=True)):
        if (after if sign > 0 else before) > 0:
            begin[axis], end[axis] = before + sign, after - sign
    padding = begin + end
    return with_attributes(call, padding=padding) if padding != integers(call.attrs.padding) else None


def _window(call: Any) -> list[int] | None:
    if call.op.name != _CONV2D:
        return integers(call.attrs.pool_size)
    shape = static_shape(call.args[1])
    return [shape[call.attrs.kernel_layout.index(axis)] for axis in "HW"] if shape else None


def _double_dilation(call: Any, _parameters: Parameters) -> Any | None:
    window = _window(call)
    if window is None or max(window) == 1:
        return None
    dilation = integers(call.attrs.dilation)
    begin, end = _padding(call)
    for axis, (extent, step) in enumerate(zip(window, dilation, strict=True)):
        wider = (extent - 1) * step
        begin[axis] += wider // 2
        end[axis] += wider - wider // 2
    return with_attributes(call, dilation=[2 * step for step in dilation], padding=begin + end)


def _wrong_padding(call: Any, parameters: Parameters) -> Any | None:
    shape = static_shape(call.args[0])
    layout = call.attrs.data_layout
    begin, end = _padding(call)
    if shape is None or len(layout) != len(shape) or max(begin + end) == 0:
        return None
    widths = [0] * (2 * len(shape))
    for axis, name in enumerate("HW"):
        at = layout.index(name)
        widths[2 * at], widths[2 * at + 1] = begin[axis], end[axis]
    if any(width >= shape[at // 2] for at, width in enumerate(widths)):
        return None  # nothing there to reflect
    mode = str(parameters["with"])
    padded = relax.op.nn.pad(call.args[0], widths, "constant" if mode == "one" else mode, _ONE)
    return with_attributes(with_argument(call, 0, padded), padding=[0] * len(begin + end))


SHIFT_PADDING = Operator(
    name="graph.shift-padding",
    fault="padding on the wrong side, as where ONNX's SAME_UPPER and SAME_LOWER are confused (incorrect frontend "
    "conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="moves one row and one column of the padding of a convolution or pooling to the other side",
    rule=GraphRule(_OPS, _shift_padding),
    parameters=(Parameter("to", "the side that gets more padding", choices=("begin", "end")),),
    variants=({"to": "begin"}, {"to": "end"}),
    examples=(
        graph_example(
            "x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 8, 8)",
            "gv = R.nn.conv2d(x, w, padding=[1, 1, 1, 1])",
            "gv = R.nn.conv2d(x, w, padding=[2, 2, 0, 0])",
            {"to": "begin"},
        ),
        graph_example(
            "x: (1, 2, 7, 8) -> (1, 2, 4, 4)",
            "gv = R.nn.max_pool2d(x, pool_size=[3, 2], strides=[2, 2], padding=[1, 0, 1, 0])",
            "gv = R.nn.max_pool2d(x, pool_size=[3, 2], strides=[2, 2], padding=[0, 0, 2, 0])",
            {"to": "end"},
        ),
    ),
)

DOUBLE_DILATION = Operator(
    name="graph.double-dilation",
    fault="a dilation that is read wrongly and still fits (incorrect frontend conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="doubles the dilation of a convolution or pooling, and pads so much more that the shape stays",
    rule=GraphRule(_OPS, _double_dilation),
    examples=(
        graph_example(
            "x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 8, 8)",
            "gv = R.nn.conv2d(x, w, padding=[1, 1, 1, 1])",
            "gv = R.nn.conv2d(x, w, padding=[2, 2, 2, 2], dilation=[2, 2])",
        ),
        graph_example(
            "x: (1, 2, 8, 8) -> (1, 2, 4, 8)",
            "gv = R.nn.max_pool2d(x, pool_size=[2, 1], strides=[2, 1])",
            "gv = R.nn.max_pool2d(x, pool_size=[2, 1], strides=[2, 1], dilation=[2, 2], padding=[0, 0, 1, 0])",
        ),
    ),
)

WRONG_PADDING = Operator(
    name="graph.wrong-padding",
    fault="another padding mode or value, as the zero point of quantised data is (incorrect frontend conversion, "
    "Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="pads the data of a convolution with ones, or with the data at their edges, in place of zeros",
    rule=GraphRule((_CONV2D,), _wrong_padding),
    parameters=(
        Parameter("with", "what takes the place of the zeros", choices=("one", "replicate", "reflect", "circular")),
    ),
    variants=({"with": "one"}, {"with": "replicate"}),
    more_variants=({"with": "reflect"}, {"with": "circular"}),
    examples=(
        graph_example(
            "x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 8, 8)",
            "gv = R.nn.conv2d(x, w, padding=[1, 1, 1, 1])",
            """
            lv = R.nn.pad(x, pad_width=[0, 0, 0, 0, 1, 1, 1, 1], pad_mode="constant", pad_value=1.0)
            gv = R.nn.conv2d(lv, w)
            """,
            {"with": "one"},
        ),
        graph_example(
            "x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 8, 6)",
            "gv = R.nn.conv2d(x, w, padding=[2, 0, 0, 0])",
            """
            lv = R.nn.pad(x, pad_width=[0, 0, 0, 0, 2, 0, 0, 0], pad_mode="replicate", pad_value=1.0)
            gv = R.nn.conv2d(lv, w)
            """,
            {"with": "replicate"},
        ),
    ),
)

OPERATORS = (SHIFT_PADDING, DOUBLE_DILATION, WRONG_PADDING)
