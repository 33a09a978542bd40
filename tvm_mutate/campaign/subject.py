"""What a campaign asks of its user: subjects (models with inputs), and the specification of the mutants."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Subject:
    """A model with its inputs, as a worker in another process can load them.

    ``inputs`` is the path of a ``.npy`` file of shape [inputs, *input shape of the model]; ``labels`` has one
    class index an input, or is None.
    """

    name: str
    reference: str
    model_digest: str
    inputs: str
    inputs_digest: str
    input_count: int
    labels: tuple[int, ...] | None = None
    shape: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def identity(self) -> dict[str, Any]:
        """What of it decides the outcomes; paths do not."""
        identity = asdict(self)
        del identity["inputs"], identity["reference"]
        return identity


@dataclass(frozen=True)
class Specification:
    """Which mutants a campaign takes, and what counts as noticed.

    ``mutants`` are ids to take as they are; otherwise every variant of the operators that the words mean is
    taken, in the slots named (empty: each operator's default slot), at ``sites``: ``all`` at once, ``each``,
    ``first``, or ``sample:N`` single sites a model, of an ``order`` above 1: N mutants of so many single sites each; of
    all these the ``shard`` k of n. With ``rebuild`` the whole model is
    built and run for every mutant; without ``fast_kernels`` kernels are run in their own schedules only. A mutant's
    inputs end early where ``until`` is ``killed`` and the oracle has noticed one, and where the 95 % interval of its
    dissimilarity is narrower than ``precision``.
    """

    operators: tuple[str, ...] = ("default",)
    mutants: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    sites: str = "all"
    order: int = 1
    seed: int = 0
    oracle: str = "top-1"
    all_variants: bool = False
    rebuild: bool = False
    shard: tuple[int, int] = (1, 1)
    until: str = ""
    precision: float | None = None
    fast_kernels: bool = True


@dataclass(frozen=True)
class Pair:
    """A subject and a device: what every build of a campaign belongs to."""

    subject: str
    device: str


@dataclass(frozen=True)
class Plan:
    """All that a campaign was asked to do, before anything is looked at.

    ``devices`` are names with targets, and what else of them decides outcomes. Which mutants that comes to, the survey
    says.
    """

    subjects: tuple[Subject, ...]
    devices: tuple[tuple[str, ...], ...]
    specification: Specification
    versions: dict[str, str]

    def mapping(self) -> dict[str, Any]:
        """The plan as what JSON can hold: equal campaigns have equal ones, wherever they run."""
        return {
            "subjects": [subject.identity() for subject in self.subjects],
            "devices": self.devices,
            "specification": asdict(self.specification),
            "versions": self.versions,
        }

    def digest(self) -> str:
        """SHA-256 of the plan."""
        return hashlib.sha256(json.dumps(self.mapping(), sort_keys=True).encode()).hexdigest()
