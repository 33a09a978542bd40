"""The constant weights of a layer, and the layer with others. No family of operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from tvm_mutate.operators.graph_calls import integers, is_constant, with_argument

# A matrix is often a constant that is transposed before it is multiplied by: its weights are an argument there.
LAYERS_WITH_WEIGHTS = ("relax.nn.conv2d", "relax.matmul", "relax.permute_dims")


@dataclass(frozen=True)
class Weights:
    """Floating-point weights of a layer: values, and which of their axes count output and input channels."""

    call: Any
    values: np.ndarray
    argument: int
    output_axis: int
    input_axis: int
    spatial_axes: tuple[int, ...] = ()

    def replaced(self, values: np.ndarray) -> Any | None:
        """The layer with other weights; None if they are the same bits."""
        values = np.ascontiguousarray(values, self.values.dtype)
        if values.tobytes() == self.values.tobytes():
            return None
        return with_argument(self.call, self.argument, relax.const(values, str(values.dtype)))


def weights_of(call: Any) -> Weights | None:
    """The weights of a layer, where they are a constant of the model."""
    argument = 0 if call.op.name == "relax.permute_dims" else 1
    if not is_constant(call.args[argument]):
        return None
    values = call.args[argument].value.numpy()
    if not np.issubdtype(values.dtype, np.floating):
        return None
    if call.op.name == "relax.nn.conv2d":
        layout = call.attrs.kernel_layout
        if sorted(layout) != sorted("OIHW"):
            return None
        spatial = layout.index("H"), layout.index("W")
        return Weights(call, values, argument, layout.index("O"), layout.index("I"), spatial)
    if values.ndim != 2:
        return None
    if call.op.name == "relax.matmul":
        return Weights(call, values, argument, 1, 0)
    transposes = call.attrs.axes is None or integers(call.attrs.axes) == [1, 0]
    return Weights(call, values, argument, 0, 1) if transposes else None
