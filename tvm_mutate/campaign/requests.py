"""What a campaign asks its workers for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_mutate.campaign.record import Baseline
from tvm_mutate.campaign.subject import Specification, Subject
from tvm_mutate.device import Device
from tvm_mutate.results import MutantRow


@dataclass(frozen=True)
class SurveyRequest:
    """Asks which mutants a subject has on a device."""

    subject: Subject
    device: Device
    specification: Specification


@dataclass(frozen=True)
class BaselineRequest:
    """Asks for the unmutated build, run twice; golden scores go into ``folder``.

    With ``golden_bytes`` the values of every step go there, too, for as many inputs as fit into so many bytes.
    ``fast_kernels`` allows faster schedules with the same bits where kernels are run one by one, if they save time for
    so many ``mutants``.
    """

    subject: Subject
    device: Device
    folder: str
    seconds: float
    golden_bytes: int = 0
    fast_kernels: bool = True
    mutants: int = 0


@dataclass(frozen=True)
class MutantRequest:
    """Asks for the row of one mutant.

    ``until`` and ``precision`` say when its inputs may end early, as in the specification. With ``scores`` the answer
    has the mutant's scores, too.
    """

    subject: Subject
    device: Device
    mutant: str
    baseline: Baseline
    oracle: str
    seconds: float
    until: str = ""
    precision: float | None = None
    scores: bool = False


@dataclass(frozen=True)
class MutantAnswer:
    """The row of a mutant, and its scores ``[inputs, classes]`` if they were asked for and its code differs."""

    row: MutantRow
    scores: np.ndarray | None = None


@dataclass(frozen=True)
class UndefinedRequest:
    """Asks whether a mutant accesses memory outside its buffers, within ``seconds`` for each way of looking."""

    subject: Subject
    device: Device
    mutant: str
    seconds: float = 120.0


@dataclass(frozen=True)
class CriticalRequest(MutantRequest):
    """Asks for the smallest size of a fault that is noticed, at the single site of ``mutant``.

    ``parameter`` is the one whose size is searched for, up to ``most`` (None: the most that the operator knows), to
    within the part ``resolution`` where sizes are logarithmic.
    """

    parameter: str = ""
    most: float | None = None
    resolution: float = 0.0


Request = SurveyRequest | BaselineRequest | MutantRequest | UndefinedRequest
