"""The requests of a campaign to its workers; each request has a worker compute its answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tvm_mutate.campaign.mutant_rows import Baseline
from tvm_mutate.campaign.plan import Pair, Specification, Subject
from tvm_mutate.campaign.survey import Survey, survey
from tvm_mutate.device import Device
from tvm_mutate.mutant import Mutant
from tvm_mutate.results import AccessRow, MutantRow, UndefinedRow

if TYPE_CHECKING:
    from tvm_mutate.campaign.worker import Worker


@dataclass(frozen=True)
class Request:
    """A question about a subject on a device."""

    subject: Subject
    device: Device

    @property
    def pair(self) -> Pair:
        """The names of the subject and the device."""
        return Pair(self.subject.name, self.device.name)

    @property
    def group(self) -> str:
        """The kernel that the request is about, or an empty string; requests of one group share compiled code."""
        return ""

    def __str__(self) -> str:
        return f"{self.subject.name} {self.device.name}"

    def answer(self, worker: Worker) -> Any:
        """The answer, computed by a worker; raises MutateError for a problem that the user can solve."""
        raise NotImplementedError


@dataclass(frozen=True)
class SurveyRequest(Request):
    """Asks which mutants a subject has on a device."""

    specification: Specification

    def answer(self, worker: Worker) -> Survey:
        """The survey of the lowered model."""
        return survey(worker.stages(self.subject, self.device), self.specification, worker.catalogue)


@dataclass(frozen=True)
class BaselineRequest(Request):
    """Asks for the unmutated build, run twice; golden scores go into ``folder``.

    ``golden_bytes`` above 0 also stores the values of every step, for as many inputs as fit into that many bytes.
    ``fast_kernels`` allows faster schedules with the same bits for kernels that run one by one, if they save time for
    that many ``mutants``.
    """

    folder: str
    seconds: float
    golden_bytes: int = 0
    fast_kernels: bool = True
    mutants: int = 0

    def answer(self, worker: Worker) -> Baseline:
        """The baseline of the pair."""
        return worker.build_baseline(self)


@dataclass(frozen=True)
class _OneMutantRequest(Request):
    """A question about one mutant, named by its id."""

    mutant: str

    @property
    def group(self) -> str:
        """The kernel that the mutant changes first."""
        return Mutant.parse(self.mutant).mutations[0].function

    def __str__(self) -> str:
        return f"{super().__str__()} {self.mutant}"


@dataclass(frozen=True)
class MutantRequest(_OneMutantRequest):
    """Asks for the row of one mutant.

    ``until`` and ``precision`` say when the run over the inputs may stop early, as in the specification. With
    ``scores`` the answer has the mutant's scores, too.
    """

    baseline: Baseline
    oracle: str
    seconds: float
    until: str = ""
    precision: float | None = None
    scores: bool = False

    def answer(self, worker: Worker) -> Any:
        """The MutantAnswer; a study that asks something else about a mutant overrides this method."""
        return worker.judge(self)


@dataclass(frozen=True)
class MutantAnswer:
    """The row of a mutant, and the scores ``[inputs, classes]`` if the request wants them and the code differs."""

    row: MutantRow
    scores: np.ndarray | None = None


@dataclass(frozen=True)
class UndefinedRequest(_OneMutantRequest):
    """Asks whether a mutant accesses memory outside its buffers; each way of looking may take ``seconds``."""

    seconds: float = 120.0

    def answer(self, worker: Worker) -> UndefinedRow:
        """The row of the accesses."""
        examiner = worker.examiner(self.subject, self.device)
        found = examiner.examine(worker.catalogue.parse(self.mutant), self.seconds)
        return UndefinedRow(
            id=self.mutant,
            model=self.subject.name,
            target=self.device.target,
            behaviour=found.behaviour,
            kernels=tuple(sorted({each.kernel for each in found.accesses})),
            accesses=tuple(AccessRow(**asdict(each)) for each in found.accesses),
            indices=found.indices,
            red_zones=found.red_zones,
            sanitizer=found.sanitizer,
        )
