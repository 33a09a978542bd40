"""Pretrained models and real images: the unmutated builds agree with onnxruntime."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_mutate.campaign import Subject, prepare_subject

from .conftest import campaign

MUTANT = "tir.swap-compare{from=gt,to=lt}@*#*"
IMAGES = 10


def onnxruntime_labels(model: Path, subject: Subject) -> list[int]:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (images,) = subject.samples().arrays
    return [int(session.run(None, {"input": image})[0].argmax()) for image in images]


@pytest.mark.real_data
@pytest.mark.parametrize(("model", "images"), [("cifar10_resnet8", "cifar10-test-1000")])
def test_the_unmutated_labels_are_those_of_onnxruntime_and_relu_turned_around_is_noticed(
    real_data: Path, tmp_path: Path, model: str, images: str
):
    path = real_data / "models" / f"{model}.onnx"
    subject = prepare_subject(str(path), real_data / images, tmp_path, limit=IMAGES)
    results = campaign(subject, tmp_path / "out", MUTANT, devices=("llvm",)).run()
    expected = onnxruntime_labels(path, subject)
    (baseline,), (row,) = results.baselines, results.mutants
    assert list(baseline.labels) == expected
    assert baseline.accuracy >= 0.6
    assert row.verdict == "killed"
