"""A model as every other floor takes it: a Relax module before any pass, and what is needed to feed it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import tvm
from tvm import relax

from tvm_mutate.errors import UsageError
from tvm_mutate.model.preprocessing import Preprocessing, guess_preprocessing


@dataclass(frozen=True)
class Model:
    """A classifier in Relax, untouched by any pass: its weights are constants, its entry function is ``main``.

    ``main`` takes one tensor of ``input_shape`` (the batch, 1, comes first) and ``input_dtype``. ``source`` is what
    the user named; ``digest`` is the SHA-256, in hex, of the file, or of the module's JSON for a module made in
    Python. ``class_names`` has a name for each class index, if they are known.
    """

    name: str
    module: tvm.IRModule = field(repr=False)
    input_name: str
    input_shape: tuple[int, ...]
    input_dtype: str
    preprocessing: Preprocessing
    source: str
    digest: str
    class_names: tuple[str, ...] | None = None

    @property
    def classes(self) -> int | None:
        """The number of classes: how many values the output has, or None if it is not one value a class."""
        output = self.module["main"].ret_ty
        shape = _static_shape(output) if isinstance(output, relax.TensorType) else None
        if shape is None or len(shape) < 2 or shape[0] != 1 or any(each != 1 for each in shape[2:]):
            return None
        return shape[1]


def model_from_module(
    module: tvm.IRModule,
    name: str,
    *,
    preprocessing: Preprocessing | None = None,
    source: str = "python",
    digest: str | None = None,
    class_names: tuple[str, ...] | None = None,
) -> Model:
    """The model of a Relax module made in Python; without ``preprocessing`` the recipe is guessed from the shape.

    ``main`` must take one float32 tensor of static shape and batch 1. Raises UsageError, naming ``source``, for
    other modules.
    """
    parameter = _only_parameter(module, source)
    shape = _static_shape(parameter.ty)
    label = f"{source}: the parameter {parameter.name!r} of its main function"
    if shape is None or not shape:
        raise UsageError(f"{label} has no static shape; give every dimension a number, the batch first")
    if shape[0] != 1:
        raise UsageError(f"{label} has a batch of {shape[0]}; inputs are fed one by one, so make it 1")
    dtype = str(parameter.ty.dtype)
    if dtype != "float32":
        raise UsageError(f"{label} is {dtype}; it must be float32 (cast it inside the function)")
    return Model(
        name=name,
        module=module,
        input_name=parameter.name,
        input_shape=shape,
        input_dtype=dtype,
        preprocessing=preprocessing or guess_preprocessing(shape),
        source=source,
        digest=digest or hashlib.sha256(tvm.ir.save_json(module).encode()).hexdigest(),
        class_names=class_names,
    )


def _only_parameter(module: tvm.IRModule, source: str) -> relax.Var:
    functions = {variable.name_hint: function for variable, function in module.functions.items()}
    if not isinstance(functions.get("main"), relax.Function):
        names = ", ".join(sorted(functions)) or "no functions"
        raise UsageError(f"{source}: has no Relax function 'main' (it has {names}); name the entry function main")
    parameters = functions["main"].params
    if len(parameters) != 1:
        names = ", ".join(each.name for each in parameters)
        raise UsageError(
            f"{source}: its main function takes {len(parameters)} parameters ({names}); it must take one, "
            "bind the weights with relax.transform.BindParams"
        )
    if not isinstance(parameters[0].ty, relax.TensorType):
        raise UsageError(f"{source}: the parameter {parameters[0].name!r} of its main function is no tensor")
    return parameters[0]


def _static_shape(tensor: relax.TensorType) -> tuple[int, ...] | None:
    if not isinstance(tensor.shape, relax.ShapeExpr):
        return None
    values = list(tensor.shape.values)
    return tuple(int(each) for each in values) if all(isinstance(each, tvm.tirx.IntImm) for each in values) else None
