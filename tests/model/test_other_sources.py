"""Models of other frontends than ONNX, scenario files, and symbols of Relax modules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm import relax

from tvm_mutate.errors import UsageError
from tvm_mutate.model import Parameter, load_model, read_scenario, scenario_of
from tvm_mutate.scenario import Call, Scenario

SYMBOLIC = """
from tvm.script import ir as I, relax as R


@I.ir_module
class Module:
    @R.function
    def scale(x: R.Tensor((1, "n"), "float32"), y: R.Tensor(("n",), "float32")) -> R.Tensor((1, "n"), "float32"):
        return R.multiply(x, y)

    @R.function
    def sum(x: R.Tensor((1, "n"), "float32")) -> R.Tensor((1,), "float32"):
        return R.sum(x, axis=[1])
"""
SCENARIO = """
returns = ["total"]
[[calls]]
function = "scale"
outputs = ["scaled"]
repeat = 2
[[calls]]
function = "sum"
outputs = ["total"]
feeds = { x = "scaled" }
"""
NN = """
import numpy as np
from tvm.relax.frontend import nn


class Layer(nn.Module):
    def __init__(self):
        self.linear = nn.Linear(4, 3, bias=False)

    def forward(self, x: nn.Tensor):
        return self.linear(x)


def model():
    layer = Layer()
    module, parameters = layer.export_tvm({"forward": {"x": nn.spec.Tensor((1, 4), "float32")}})
    return module, {name: np.ones(each.shape, np.float32) for name, each in parameters}


def unset():
    return Layer().export_tvm({"forward": {"x": nn.spec.Tensor((1, 4), "float32")}})
"""
TORCH = """
import torch


class Sum(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x, y):
        return self.linear(x) + y, x.argmax(-1)


def model():
    torch.manual_seed(0)
    seq = torch.export.Dim("seq", min=2, max=64)
    inputs = torch.rand(1, 5, 4), torch.rand(1, 5, 3)
    return torch.export.export(Sum().eval(), inputs, dynamic_shapes={"x": {1: seq}, "y": {1: seq}})
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def refused(reference: str | Path, **options) -> str:
    with pytest.raises(UsageError) as raised:
        load_model(reference, **options)
    message = str(raised.value)
    assert "\n" not in message
    return message


def run(module: tvm.IRModule, function: str, *arrays: np.ndarray) -> list[np.ndarray]:
    result = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())[function](*map(tvm.runtime.tensor, arrays))
    return [each.numpy() for each in (result if isinstance(result, tvm.ir.Array) else [result])]


@pytest.fixture
def symbolic(tmp_path):
    return written(tmp_path / "symbolic.py", SYMBOLIC)


@pytest.fixture
def scenario(tmp_path):
    return read_scenario(written(tmp_path / "scenario.toml", SCENARIO))


def test_a_tvmscript_class_named_module_needs_no_function(symbolic, scenario):
    model = load_model(symbolic, scenario=scenario)
    assert model.inputs == (Parameter("x", (1, "n"), "float32"), Parameter("y", ("n",), "float32"))
    assert [call.function for call in model.scenario.calls] == ["scale", "scale", "sum"]
    assert model.scenario.output_names == ("total",)


def test_the_json_of_a_module_is_the_same_model(tmp_path, symbolic, scenario):
    module = load_model(symbolic, scenario=scenario).module
    path = written(tmp_path / "module.json", tvm.ir.save_json(module))
    tvm.ir.assert_structural_equal(load_model(path, scenario=scenario).module, module)
    assert "is no JSON of TVM" in refused(written(path, "{}"))
    assert "holds a IntImm" in refused(written(path, tvm.ir.save_json(tvm.tirx.const(3))))


def test_a_symbol_with_one_number_is_bound_in_every_function(symbolic, scenario):
    model = load_model(symbolic, scenario=scenario, shape={"n": (3,)})
    assert [each.shape for each in model.inputs] == [(1, 3), (3,)]
    assert not any(relax.analysis.all_vars(each) is None for each in model.module.functions.values())
    assert [list(model.module[name].params[0].ty.shape.values) for name in ("scale", "sum")] == [[1, 3], [1, 3]]
    assert load_model(symbolic, scenario=scenario, shape={"x": (1, 3)}).inputs == model.inputs
    assert load_model(symbolic, scenario=scenario, shape={"n": (3, 4)}).inputs[1].shape == ("n",)
    assert "did you mean" in refused(symbolic, scenario=scenario, shape={"xx": (1, 3)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("calls = 3", "Expected `array`, got `int`"),
        ("", "has no calls"),
        ("[[calls]]\noutputs = ['a']", "missing required field `function`"),
        ("[[calls]]\nfunction = 'f'\ninputs = ['a']", "has the unknown key 'inputs'"),
        ("[[calls]]\nfunction = 'f'\nrepeat = 0", "repeats one less than once"),
        ("[[calls]", "is not valid TOML"),
    ],
)
def test_a_wrong_scenario_file_is_one_sentence(tmp_path, text, expected):
    with pytest.raises(UsageError) as raised:
        read_scenario(written(tmp_path / "scenario.toml", text))
    assert expected in str(raised.value) and "scenario.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (Scenario((Call("scale"),), returns=("totl",)), "the scenario returns 'totl', but no call has this output"),
        (
            Scenario((Call("scale", ("scaled",)), Call("sum", feeds={"x": "scald"}))),
            "x of sum takes 'scald', which no earlier call gives; did you mean 'scaled'?",
        ),
        (Scenario((Call("scael"),)), "has no Relax function 'scael' (it has scale, sum)"),
    ],
)
def test_a_scenario_with_an_unknown_name_is_refused(symbolic, scenario, expected):
    assert expected in refused(symbolic, scenario=scenario)


def test_functions_in_order_are_a_scenario(tmp_path):
    assert scenario_of(("prefill", "decode"), None) == Scenario((Call("prefill"), Call("decode")))
    assert scenario_of((), None) is None
    with pytest.raises(UsageError, match="leave one of them out"):
        scenario_of(("prefill",), tmp_path / "scenario.toml")


def test_a_module_with_its_parameters_has_them_as_constants(tmp_path):
    path = written(tmp_path / "layer.py", NN)
    model = load_model(path, scenario=Scenario((Call("forward"),)))
    assert [each.name for each in model.inputs] == ["x"]
    (output,) = run(model.module, "forward", np.arange(4, dtype=np.float32)[None])
    assert output.tolist() == [[6, 6, 6]]
    assert "'linear.weight' has no data" in refused(f"{path}:unset")


def test_an_exported_program_of_pytorch_computes_what_pytorch_computes(tmp_path):
    torch = pytest.importorskip("torch")
    path = written(tmp_path / "network.py", TORCH)
    model = load_model(path)
    (name, symbol, dtype), _ = ((each.name, each.shape[1], each.dtype) for each in model.inputs)
    assert (name, dtype) == ("x", "float32") and isinstance(symbol, str)
    assert f"'{symbol}' of {path}:model must be at least 2, not 1" in refused(path, shape={symbol: (1, 7)})
    program = sys.modules[next(each for each in sys.modules if each.startswith("_tvm_mutate_file_network"))].model()
    torch.export.save(program, tmp_path / "network.pt2")
    saved = load_model(tmp_path / "network.pt2", shape={symbol: (7,)})
    arrays = [np.random.default_rng(0).random((1, 7, size), dtype=np.float32) for size in (4, 3)]
    expected = [each.detach().numpy() for each in program.module()(*map(torch.from_numpy, arrays))]
    for got, wanted in zip(run(saved.module, "main", *arrays), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)
    assert "is no exported program" in refused(written(tmp_path / "broken.pt2", "text"))


@pytest.mark.parametrize(
    ("suffix", "library", "extra"),
    [(".pt2", "torch", "torch"), (".tflite", "tflite", "tflite"), (".mlir", "jax", "stablehlo")],
)
def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch, suffix, library, extra):
    monkeypatch.setitem(sys.modules, "torch.export" if library == "torch" else library, None)
    message = refused(written(tmp_path / f"network{suffix}", ""))
    assert library in message and f"pip install 'tvm-mutate[{extra}]'" in message


def test_no_library_of_a_frontend_is_imported_before_it_is_needed():
    program = """import sys, tvm
before = set(sys.modules)  # TVM itself imports PyTorch where it is installed
import tvm_mutate.cli, tvm_mutate.model
print({"torch.export", "jax", "tflite", "onnxslim", "onnxruntime"} & (set(sys.modules) - before))"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "set()"


def test_a_file_that_is_no_tflite_is_refused(tmp_path):
    pytest.importorskip("tflite")
    assert "is no TensorFlow Lite file" in refused(written(tmp_path / "a.tflite", json.dumps({"a": 1})))


def test_a_stablehlo_program_is_imported(tmp_path):
    jax = pytest.importorskip("jax", reason="needs tvm-mutate[stablehlo]")
    if tuple(map(int, jax.__version__.split(".")[:2])) > (0, 7):
        pytest.skip("TVM's frontend reads the MLIR of jax up to 0.7")
    text = jax.jit(lambda x, y: jax.numpy.maximum(x, y) + y).lower(*[np.zeros((2, 3), np.float32)] * 2).as_text()
    model = load_model(written(tmp_path / "f.mlir", text))
    assert [each.shape for each in model.inputs] == [(2, 3), (2, 3)]
    (output,) = run(model.module, "main", np.full((2, 3), 2, np.float32), np.ones((2, 3), np.float32))
    assert output.tolist() == [[3] * 3] * 2
    assert "TVM's frontend for StableHLO cannot import it" in refused(written(tmp_path / "f.mlir", "module {"))
