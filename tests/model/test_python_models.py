from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm import relax

from tvm_mutate.errors import UsageError
from tvm_mutate.model import RECIPES, Parameter, load_model, model_from_module

NETWORK = """
import numpy as np
from tvm import relax
from tvm.script import ir as I, relax as R


@I.ir_module
class Scripted:
    @R.function
    def main(x: R.Tensor((1, 3, 4, 4), "float32")) -> R.Tensor((1, 3, 4, 4), "float32"):
        with R.dataflow():
            y = R.nn.relu(x)
            R.output(y)
        return y


def model():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType([1, 16], "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            weights = relax.const(np.arange(48, dtype="float32").reshape(16, 3))
            y = builder.emit_output(relax.op.matmul(x, weights))
        builder.emit_func_output(y)
    return builder.get()


def scripted():
    return Scripted
"""


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.py"
    path.write_text(NETWORK)
    return path


def refused(reference, **options) -> str:
    with pytest.raises(UsageError) as raised:
        load_model(reference, **options)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_function_named_model_is_taken_by_default(network):
    model = load_model(network)
    assert (model.name, model.inputs, model.classes) == ("network", (Parameter("x", (1, 16), "float32"),), 3)
    assert model.source == f"{network}:model"
    assert model.preprocessing.guessed


def test_another_function_can_be_named_and_the_recipe_given(network):
    model = load_model(f"{network}:scripted", preprocessing=RECIPES["unit"])
    assert model.inputs[0].shape == (1, 3, 4, 4)
    assert model.classes is None
    assert model.preprocessing == RECIPES["unit"]


def test_a_function_may_return_a_model(tmp_path, network):
    path = tmp_path / "made.py"
    path.write_text(
        "import network\nfrom tvm_mutate.model import model_from_module\n"
        "def model():\n    return model_from_module(network.model(), 'mine', class_names=('a', 'b', 'c'))\n"
    )
    model = load_model(path)
    assert (model.name, model.class_names) == ("mine", ("a", "b", "c"))
    assert str(tmp_path) not in sys.path
    sys.modules.pop("network")


def test_the_digest_is_the_same_in_another_process(network):
    program = f"from tvm_mutate.model import load_model; print(load_model({str(network)!r}).digest)"
    repository = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": repository}
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert other.stdout.strip() == load_model(network).digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def model(:\n", "cannot be run: SyntaxError at line 1"),
        ("import nowhere_at_all\n", "cannot be run: ModuleNotFoundError at line 1: No module named 'nowhere_at_all'"),
        ("import sys\nsys.exit(3)\n", "cannot be run: SystemExit at line 2"),
        ("def modle():\n    pass\n", "has no function 'model'; did you mean"),
        ("", "has no function 'model'; define it"),
        ("def model():\n    raise ValueError('no\\nweights')\n", "model() failed with ValueError at line 2: no"),
        ("def model(x):\n    pass\n", "model() failed with TypeError"),
        ("def model():\n    return 3\n", "model() returned a int; return a tvm.IRModule, (module, parameters)"),
    ],
)
def test_an_error_in_the_file_is_one_sentence(tmp_path, text, expected):
    path = tmp_path / "user.py"
    path.write_text(text)
    message = refused(path)
    assert str(path) in message
    assert expected in message


def test_a_missing_file_and_a_shape_are_refused(network):
    assert "no such file" in refused(network.with_name("absent.py"))
    assert "declares [1, 16]" in refused(network, shape={"x": [1, 8]})


def module_of(*parameters: tuple[str, list, str]) -> tvm.IRModule:
    builder = relax.BlockBuilder()
    variables = [relax.Var(name, relax.TensorType(shape, dtype)) for name, shape, dtype in parameters]
    with builder.function("main", variables):
        with builder.dataflow():
            y = builder.emit_output(relax.op.nn.relu(variables[0]))
        builder.emit_func_output(y)
    return builder.get()


def test_a_module_may_have_several_parameters_of_any_type_symbols_and_a_batch():
    module = module_of(("x", [tvm.tirx.Var("n", "int64"), 4], "float16"), ("w", [2, 4], "int8"))
    assert model_from_module(module, "mine").inputs == (
        Parameter("x", ("n", 4), "float16"),
        Parameter("w", (2, 4), "int8"),
    )


def test_a_parameter_of_unknown_shape_is_refused():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(dtype="float32", ndim=2))
    with builder.function("main", [x]):
        builder.emit_func_output(x)
    with pytest.raises(UsageError, match="'x' of main has an unknown shape; give its dimensions numbers or symbols"):
        model_from_module(builder.get(), "mine")


def test_a_function_name_that_ids_of_mutants_cannot_hold_is_refused():
    module = module_of(("x", [1, 4], "float32"))
    module["main+more"] = module["main"].with_attr("global_symbol", "main+more")
    with pytest.raises(UsageError, match="the ids of mutants cannot hold the function name 'main\\+more'; rename it"):
        model_from_module(module, "mine")


def test_a_module_without_main_is_refused():
    module = module_of(("x", [1, 4], "float32"))
    renamed = tvm.IRModule({"forward": module["main"].with_attr("global_symbol", "forward")})
    with pytest.raises(UsageError, match="no Relax function 'main' \\(it has forward\\)"):
        model_from_module(renamed, "mine")


def test_modules_that_differ_in_one_weight_have_different_digests():
    def digest(weight: float) -> str:
        builder = relax.BlockBuilder()
        x = relax.Var("x", relax.TensorType([1, 2], "float32"))
        with builder.function("main", [x]):
            with builder.dataflow():
                y = builder.emit_output(relax.op.add(x, relax.const(np.array([1, weight], "float32"))))
            builder.emit_func_output(y)
        return model_from_module(builder.get(), "mine").digest

    assert digest(1.0) == digest(1.0) != digest(1.5)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("resnt", "did you mean 'zoo://resnet'?"),
        ("mobilenetv2", "did you mean 'zoo://mobilenetv2'?"),
        ("netwrk", "did you mean 'network.py'?"),
        ("zzzzzz", "zoo://NAME"),
        ("zoo://resnt", "did you mean 'resnet'?"),
        ("real://resnt", "did you mean 'resnet'?"),
        ("hub://resnet", "there is no hub://"),
        ("weights.pt", "is a .pt; a model is a file (.onnx, "),
        (".", "is a folder"),
    ],
)
def test_a_reference_that_names_nothing_gets_a_hint(network, monkeypatch, reference, expected):
    monkeypatch.chdir(network.parent)
    network.with_name("weights.pt").write_text("")
    assert expected in refused(reference)


def test_every_model_of_the_zoo_loads_with_its_recipe():
    from tvm_mutate.model.zoo import ZOO_NAMES

    for name in ZOO_NAMES:
        model = load_model(f"zoo://{name}")
        assert (model.name, model.inputs[0].shape, model.classes) == (name, (1, 3, 32, 32), 10)
        assert not model.preprocessing.guessed
