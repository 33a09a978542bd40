"""A model: a Relax module before any pass, with its preprocessing; loaded from a file, Python or a zoo."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import tvm
from tvm import relax

from tvm_mutate.errors import UsageError
from tvm_mutate.model import zoo
from tvm_mutate.model.frontends import FRONTENDS
from tvm_mutate.model.imported import Imported
from tvm_mutate.model.onnx_import import load_onnx
from tvm_mutate.model.preprocessing import Preprocessing, find_preprocessing, guess_preprocessing, layout_of
from tvm_mutate.model.python_program import DEFAULT_FACTORY, load_python_program
from tvm_mutate.model.real_models import REAL_MODELS, find_real_model, real_model_path
from tvm_mutate.model.scenario import Parameter, ResolvedScenario, leaves, resolve
from tvm_mutate.model.symbols import Shapes, check_limits, chosen_sizes, with_numbers
from tvm_mutate.python_file import function_reference
from tvm_mutate.scenario import Scenario

_WORDS_OF_IDS = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Model:
    """A program in Relax before any pass, whose weights are constants, and the scenario in which its functions run.

    ``preprocessing`` makes the input of images, if one input is an image. ``source`` is the reference that the
    user gave. ``digest`` is the SHA-256, in hex, of the file, or of the module's JSON for a module made in Python.
    ``class_names`` has a name for each class index, if the names are known. ``simplified`` says by which library the
    file was simplified before the import, or is empty.
    """

    name: str
    module: tvm.IRModule = field(repr=False)
    scenario: ResolvedScenario
    preprocessing: Preprocessing
    source: str
    digest: str
    class_names: tuple[str, ...] | None = None
    simplified: str = ""

    @property
    def inputs(self) -> tuple[Parameter, ...]:
        """The tensors that the program gets from outside."""
        return self.scenario.inputs

    @property
    def classes(self) -> int | None:
        """The number of classes, the size of the first output; None if that is not one value for each class."""
        first = self.scenario.outputs[0]
        if first.call is None:
            return None
        results = self.module[self.scenario.calls[first.call].function].ret_ty
        shape = _static_shape(list(leaves("", results))[first.index][1])
        if shape is None or len(shape) < 2 or any(each != 1 for each in shape[2:]):
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
    scenario: Scenario | None = None,
) -> Model:
    """The model of a Relax module made in Python; without a ``scenario`` its function ``main`` is called once.

    Without ``preprocessing`` the recipe is guessed from the shape if one input is an image. Raises UsageError,
    naming ``source``, for a module without the functions of the scenario, for inputs that are no tensors, and for a
    function with a name that ids of mutants cannot hold.
    """
    for variable in module.functions:
        if not _WORDS_OF_IDS.fullmatch(variable.name_hint):
            name = variable.name_hint
            raise UsageError(f"{source}: the ids of mutants cannot hold the function name {name!r}; rename it")
    resolved = resolve(module, scenario or Scenario(), source)
    return Model(
        name=name,
        module=module,
        scenario=resolved,
        preprocessing=preprocessing or guess_preprocessing(_image_shape(resolved)),
        source=source,
        digest=digest or hashlib.sha256(tvm.ir.save_json(module).encode()).hexdigest(),
        class_names=class_names,
    )


def image_input(inputs: Sequence[Parameter]) -> Parameter | None:
    """The only input that is a batch of colour images of known size; None if there is none, or several."""
    images = [
        each for each in inputs if layout_of(each.shape) and all(isinstance(size, int) for size in each.shape[1:])
    ]
    return images[0] if len(images) == 1 else None


def _image_shape(scenario: ResolvedScenario) -> tuple[int, ...]:
    image = image_input(scenario.inputs)
    return () if image is None else (1, *map(int, image.shape[1:]))


def _static_shape(tensor: object) -> tuple[int, ...] | None:
    if not isinstance(tensor, relax.TensorType) or not isinstance(tensor.shape, relax.ShapeExpr):
        return None
    values = list(tensor.shape.values)
    return tuple(int(each) for each in values) if all(isinstance(each, tvm.tirx.IntImm) for each in values) else None


def load_model(
    reference: str | Path,
    *,
    shape: Mapping[str, Sequence[int]] | None = None,
    preprocessing: Preprocessing | None = None,
    scenario: Scenario | None = None,
) -> Model:
    """The model that ``reference`` names, before any pass.

    ``reference`` is one of

    * the path of a file that TVM's frontends read: ``.onnx``; ``.pt2`` of ``torch.export.save``; ``.tflite``; StableHLO
      as ``.mlir``; or a Relax module as the JSON of ``tvm.ir.save_json``;
    * the path of a ``.py`` file, or ``file.py:function``: a function without arguments (by default ``model``) that
      returns a ``tvm.IRModule``, a module with parameters as ``nn.Module.export_tvm`` returns them, an exported program
      of PyTorch, or a Model; a file without the function ``model`` may have a TVMScript class ``Module``;
    * ``zoo://NAME`` for the embedded zoo, or ``real://NAME`` for a full-size model, downloaded at its first use.

    ``shape`` has the dimensions of an input by its name, or the number of a symbol by its name; a symbol with several
    numbers stays symbolic, and so does an open one outside ONNX.
    ``preprocessing`` overrides the recipe beside the model's file; without both the recipe is guessed from the shape.
    ``scenario`` takes the place of the model's own.
    Raises UsageError, naming the file, node or option, for a model that cannot be loaded.
    """
    text, shapes = str(reference), shape or {}
    scheme, separator, name = text.partition("://")
    if separator:
        imported, name, recipe = _from_zoo(scheme, name, text, shapes)
        return _made(imported, name, text, shapes, scenario, preprocessing or recipe)
    path, factory = function_reference(text)
    if path.suffix == ".py":
        program = load_python_program(path, factory)
        if isinstance(program, Model):
            return _changed(program, shapes, scenario, preprocessing)
        return _made(program, path.stem, f"{path}:{factory or DEFAULT_FACTORY}", shapes, scenario, preprocessing)
    frontend = FRONTENDS.get(path.suffix.lower())
    if frontend is None or (not path.exists() and path.suffix.lower() != ".onnx"):
        raise UsageError(_unknown(text, path))
    model = _made(frontend(path, shapes), path.stem, text, shapes, scenario, preprocessing)
    beside = None if preprocessing else find_preprocessing(path, _image_shape(model.scenario))
    return model if beside is None else replace(model, preprocessing=beside)


def _made(
    imported: Imported,
    name: str,
    source: str,
    shapes: Shapes,
    scenario: Scenario | None,
    preprocessing: Preprocessing | None,
) -> Model:
    model = model_from_module(
        imported.module,
        name,
        preprocessing=preprocessing,
        source=source,
        digest=imported.digest or None,
        scenario=scenario or imported.scenario,
    )
    model = replace(model, simplified=imported.simplified)
    return model if imported.is_bound else _bound(model, shapes)


def _changed(model: Model, shapes: Shapes, scenario: Scenario | None, preprocessing: Preprocessing | None) -> Model:
    if scenario is not None:
        model = replace(model, scenario=resolve(model.module, scenario, model.source))
    return _bound(model if preprocessing is None else replace(model, preprocessing=preprocessing), shapes)


def _bound(model: Model, shapes: Shapes) -> Model:
    """The model with numbers for the symbols that get one number each."""
    sizes = chosen_sizes(model.inputs, shapes, model.source)
    check_limits(model.module, sizes, model.source)
    numbers = {symbol: size[0] for symbol, size in sizes.items() if len(size) == 1}
    if not numbers:
        return model
    inputs = tuple(replace(each, shape=tuple(numbers.get(str(n), n) for n in each.shape)) for each in model.inputs)
    scenario = replace(model.scenario, inputs=inputs)
    return replace(model, module=with_numbers(model.module, numbers), scenario=scenario)


def check_reference(reference: str) -> None:
    """Raises UsageError if the reference is a path and nothing is there; loads nothing."""
    path, _ = function_reference(reference)
    if "://" not in reference and not path.exists():
        raise UsageError(_unknown(reference, path))


def _from_zoo(scheme: str, name: str, text: str, shapes: Shapes) -> tuple[Imported, str, Preprocessing | None]:
    if scheme == "zoo" and name == zoo.DECODER:
        return Imported(zoo.decoder_module(zoo.zoo_decoder()), scenario=zoo.GREEDY), name, None
    if scheme == "zoo":
        return load_onnx(zoo.zoo_model_path(name), shapes), name, _zoo_recipe()
    if scheme == "real":
        entry = find_real_model(name)
        return load_onnx(real_model_path(name), shapes), entry.key, entry.preprocessing
    raise UsageError(f"{text}: there is no {scheme}://; give zoo://NAME, real://NAME or the path of a file")


def _zoo_recipe() -> Preprocessing:
    keys = {each.name for each in fields(Preprocessing)}
    return Preprocessing.from_mapping({key: each for key, each in zoo.zoo_preprocessing().items() if key in keys})


def _unknown(text: str, path: Path) -> str:
    if path.exists():
        what = "a folder" if path.is_dir() else f"a {path.suffix or 'file without suffix'}"
        known = ", ".join([*FRONTENDS, ".py"])
        return f"{text}: is {what}; a model is a file ({known}), zoo://NAME or real://NAME"
    candidates = {each: f"zoo://{each}" for each in REAL_MODELS}
    candidates |= {each.stem: each.name for each in sorted(Path.cwd().iterdir()) if each.suffix in (*FRONTENDS, ".py")}
    near = difflib.get_close_matches(path.stem, candidates, n=1, cutoff=0.5)
    hint = f"did you mean {candidates[near[0]]!r}?" if near else "give an .onnx or .py file, zoo://NAME or real://NAME"
    return f"{text}: there is no such model; {hint}"
