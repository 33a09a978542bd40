"""The content of the reports for other tools: one finding for each mutant, from a campaign or from a test suite."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from tvm_mutate.oracle import Behaviour, Outcome, Rung
from tvm_mutate.report.comparison import Comparison
from tvm_mutate.report.places import SOURCE_MISSING, Place, Places, SourceFile, text_file
from tvm_mutate.results import DeviceRow, ModelRow, MutantRow, Results, Score, SuiteMutantRow, SuiteResults

NOT_APPLIED = "not applied"
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Finding:
    """A mutant on a device, or in a suite. ``key`` is the id, with model and device if a report has several.

    ``status`` is the verdict, or ``not applied``, or the outcome of a mutant without a verdict. ``ending`` is the
    outcome, or for a suite how the killing test ended. ``command`` shows the mutant.
    ``noticed`` says on how many inputs each oracle noticed the mutant. ``seconds`` of building and running.
    """

    key: str
    id: str
    model: str
    device: str
    operator: str
    category: str
    status: str
    ending: str
    reason: str
    command: str
    place: Place
    rung: str = ""
    share: float | None = None
    difference: float | None = None
    masked_by: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()
    behaviour: str = ""
    noticed: tuple[str, ...] = ()
    seconds: float = 0.0
    covered_by: tuple[str, ...] = ()
    killed_by: str = ""

    @property
    def effect(self) -> tuple[int, float, float]:
        """The size of a fault's effect, to sort by: rung, share of changed labels, largest difference of an output."""
        return _effect(self.rung, self.share, self.difference)


@dataclass(frozen=True)
class Report:
    """What the formats write. ``files`` has the unmutated text of each place; ``tests`` a suite's tests by file."""

    title: str
    results: Results | SuiteResults
    findings: tuple[Finding, ...]
    files: dict[str, SourceFile]
    score: Score
    tests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    change: Comparison | None = None

    @property
    def survivors(self) -> list[Finding]:
        """The survivors with the largest effect first; survivors of undefined behaviour come last."""
        found = [each for each in self.findings if each.status == "survived"]
        undefined = str(Behaviour.UNDEFINED)
        return sorted(found, key=lambda each: (each.behaviour == undefined, *(-size for size in each.effect), each.key))


def by_effect(row: MutantRow) -> tuple[object, ...]:
    """The key that sorts rows by the effect of the fault: rung, share of changed labels, difference of outputs."""
    sizes = _effect(row.rung, row.dissimilarity, row.max_abs_diff)
    return (*(-size for size in sizes), row.id, row.model, row.device)


def _effect(rung: str | None, share: float | None, difference: float | None) -> tuple[int, float, float]:
    rank = list(Rung).index(Rung(rung)) if rung else -1
    return rank, share or 0.0, difference or 0.0


def show_command(row: MutantRow, models: Iterable[ModelRow], devices: Iterable[DeviceRow]) -> str:
    """The command that shows what a mutant changes."""
    model = next((each for each in models if each.name == row.model), None)
    words = ["tvm-mutate", "show", row.id, model.reference if model else row.model]
    for name, dims in model.shape if model else ():
        words += ["--shape", f"{name}={','.join(map(str, dims))}"]
    if model and "://" not in model.reference and set(model.calls) - {"main"}:
        words += [f"--function={name}" for name in dict.fromkeys(model.calls)]
    device = next((each for each in devices if each.name == row.device), None)
    if device and device.flow:
        pipelines = (("--relax-pipeline", device.flow.relax_pipeline), ("--tir-pipeline", device.flow.tir_pipeline))
        words += [word for option, reference in pipelines if reference for word in (option, reference)]
        words += [word for key, text in device.flow.config for word in ("--config", f"{key}={text}")]
    target = device.target if device else "llvm"
    return shlex.join([*words, *([] if target == "llvm" else ["--target", target])])


def report_of_campaign(results: Results, change: Comparison | None = None, places: Places | None = None) -> Report:
    """The report of a campaign; ``change`` compares with an earlier campaign.

    The model is loaded and lowered again for the places of mutants. Where this fails, the text of the source says why.
    """
    places = places or Places(results)
    several = len(results.models) > 1 or len(results.devices) > 1
    behaviours = {(row.model, row.id): str(row.behaviour) for row in results.undefined}
    findings = [
        Finding(
            key=f"{row.id} ({row.model}, {row.device})" if several else row.id,
            id=row.id,
            model=row.model,
            device=row.device,
            operator=row.operator,
            category=str(row.category),
            status=status_of(row),
            ending=str(row.outcome),
            reason=row.accepted or row.reason,
            command=show_command(row, results.models, results.devices),
            place=places.of(row),
            rung=str(row.rung or ""),
            share=row.dissimilarity,
            difference=row.max_abs_diff,
            masked_by=row.masked_by or (),
            undefined=row.undefined or (),
            behaviour=behaviours.get((row.model, row.id), ""),
            noticed=tuple(f"{each.oracle}: {each.inputs} of {row.inputs} inputs" for each in row.noticed),
            seconds=row.build_seconds + (row.run_seconds or 0.0),
        )
        for row in sorted(results.mutants, key=lambda row: (row.model, row.device, row.id))
    ]
    title = ", ".join(row.name for row in results.models) + " on " + ", ".join(row.name for row in results.devices)
    return Report(title, results, tuple(findings), places.files, results.score, change=change)


def status_of(row: MutantRow) -> str:
    """The verdict; for a mutant without one ``accepted``, ``not applied``, or the outcome."""
    if row.accepted is not None:
        return ACCEPTED
    if row.verdict is not None:
        return str(row.verdict)
    return NOT_APPLIED if not row.is_applied and row.outcome is Outcome.COMPLETED else str(row.outcome)


def report_of_suite(results: SuiteResults) -> Report:
    """The report of a test suite."""
    files: dict[str, SourceFile] = {}
    findings = [_suite_finding(row, files) for row in results.mutants]
    tests: dict[str, tuple[str, ...]] = {}
    for row in results.tests:
        tests[row.file] = (*tests.get(row.file, ()), row.test)
    return Report("test suite", results, tuple(findings), files, results.score, tests)


def _suite_finding(row: SuiteMutantRow, files: dict[str, SourceFile]) -> Finding:
    name = f"{row.slot}/{row.name}"
    # The rows of a suite hold the changed lines of a kernel and not its whole text.
    place = Place(name, 1, 1, row.after, row.difference)
    files.setdefault(name, text_file(SOURCE_MISSING.format("the rows of a suite hold only its changed lines")))
    return Finding(
        key=f"{row.id} in {row.kernel}",
        id=row.id,
        model="",
        device="",
        operator=row.operator,
        category=str(row.category),
        status=str(row.verdict),
        ending=str(row.kind or ""),
        reason=row.reason,
        behaviour=str(Behaviour.UNDEFINED) if row.undefined else "",
        undefined=row.undefined,
        command=shlex.join(["pytest", "--tvm-mutant", row.id]),
        place=place,
        seconds=row.seconds,
        covered_by=row.covering,
        killed_by=row.killer or "",
    )
