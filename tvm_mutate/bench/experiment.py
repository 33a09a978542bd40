"""The experiment of MutateNN (arXiv 2306.01697): its seven architectures, its mutations, several targets."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tvm_mutate.campaign import Campaign, Results, Specification, Subject
from tvm_mutate.campaign.preparation import prepare_subject
from tvm_mutate.campaign.progress import Reporter
from tvm_mutate.cli.options import check_devices
from tvm_mutate.device import parse_devices
from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model import REAL_MODELS, RealSource, real_model_path
from tvm_mutate.model.zoo import ZOO_NAMES

TARGETS = ("llvm", '{"kind":"llvm","mcpu":"x86-64-v3"}', "c")
QUICK_MODELS = ("alexnet", "mobilenetv2")
PAPER_OPERATORS = ("paper",)
QUICK_OPERATORS = (
    "graph.replace-arithmetic",
    "graph.replace-activation",
    "tir.store-through",
    "tir.swap-compare",
)
QUICK_TARGETS = ("llvm", "c")


@dataclass(frozen=True)
class Experiment:
    """What one run of the bench takes.

    ``real`` is a folder with the full-size ONNX model zoo files, which need ``images``; without it the models are the
    embedded zoo's, by default with the held-out digits as inputs. Raises UsageError for what does not fit together.
    """

    models: tuple[str, ...] = ZOO_NAMES
    targets: tuple[str, ...] = TARGETS
    specification: Specification = field(default_factory=lambda: Specification(PAPER_OPERATORS))
    inputs: int = 50
    real: Path | None = None
    images: str | None = None
    labels: str | None = None

    def __post_init__(self) -> None:
        for name in self.models:
            if name not in ZOO_NAMES:
                raise UsageError(f"--models {name!r} is not a model of the bench{suggestion(name, ZOO_NAMES)}")
        if not self.models:
            raise UsageError(f"--models names no model; known: {', '.join(ZOO_NAMES)}")
        if self.real is not None and self.images is None:
            raise UsageError("--real needs --images: a folder of photographs for the full-size models")
        if self.labels is not None and self.images is None:
            raise UsageError("--labels needs --images; the zoo's digits have their labels")

    def subjects(self, folder: Path) -> list[Subject]:
        """The models with their inputs, the inputs written into ``folder``; raises UsageError for missing files."""
        return [self._subject(name, folder) for name in self.models]

    def _subject(self, name: str, folder: Path) -> Subject:
        images = self.images or "zoo://digits"
        if self.real is None:
            return prepare_subject(f"zoo://{name}", images, folder, limit=self.inputs, labels=self.labels)
        path = real_model_path(name, RealSource(directory=self.real))
        recipe = REAL_MODELS[name].recipe
        return prepare_subject(str(path), images, folder, limit=self.inputs, labels=self.labels, recipe=recipe)


def run_experiment(
    experiment: Experiment,
    folder: Path,
    output: Path,
    reporter: Reporter,
    workers: int = 0,
    memory: int | None = None,
    iterate: Path | None = None,
    name_undefined: str = "discrepant",
) -> tuple[Results, float]:
    """The results of the experiment and its time in seconds; the journal is in ``output``.

    The inputs are written into ``folder``; the rest is as for :class:`tvm_mutate.campaign.Campaign`.
    """
    started = time.monotonic()
    devices = parse_devices(list(experiment.targets))
    check_devices(devices)
    subjects: Sequence[Subject] = experiment.subjects(folder)
    campaign = Campaign(
        subjects,
        devices,
        experiment.specification,
        output,
        workers=workers,
        reporter=reporter,
        memory=memory,
        iterate=iterate,
        name_undefined=name_undefined,
    )
    return campaign.run(), time.monotonic() - started
