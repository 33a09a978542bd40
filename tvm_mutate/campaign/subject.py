"""What a campaign asks of its user: subjects (models with inputs), and the specification of the mutants."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
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

    ``mutants`` are ids to take as they are; otherwise every variant of the operators that the globs name is
    taken, in the slots named (empty: each operator's default slot), at ``sites``: ``all`` at once, ``each``,
    ``first``, or ``sample:N`` single sites a model. With ``rebuild`` the whole model is built and run for every mutant.
    """

    operators: tuple[str, ...] = ("graph.*", "tir.*")
    mutants: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    sites: str = "all"
    seed: int = 0
    oracle: str = "top-1"
    all_variants: bool = False
    rebuild: bool = False

    @property
    def by_content(self) -> bool:
        """Whether golden values are worth their time: single sites change few kernels, all sites at once nearly all."""
        return not self.rebuild and (bool(self.mutants) or self.sites != "all")


@dataclass(frozen=True)
class Pair:
    """A subject and a device: what every build of a campaign belongs to."""

    subject: str
    device: str


@dataclass(frozen=True)
class Plan:
    """All that a campaign will do, decided before anything is built.

    ``mutants`` maps each pair to the ids of its mutants in order; ``absent`` says for each pair why a variant of
    an operator has no mutant there.
    """

    subjects: tuple[Subject, ...]
    devices: tuple[tuple[str, str], ...]
    specification: Specification
    versions: dict[str, str]
    mutants: dict[Pair, tuple[str, ...]] = field(default_factory=dict)
    absent: dict[Pair, dict[str, str]] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 of what the user asked for: equal campaigns have equal digests, wherever they run."""
        asked = {
            "subjects": [subject.identity() for subject in self.subjects],
            "devices": self.devices,
            "specification": asdict(self.specification),
            "versions": self.versions,
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
