"""Critical magnitudes: the smallest fault of an operator at each site that the oracle notices."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from tvm_mutate.campaign import SAMPLE, MutantRequest, Specification, Study, Survey, Worker, variants
from tvm_mutate.device import DeviceLostError
from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.mutant import Catalogue, Magnitude, Mutant, Mutation, Operator, Parameter, Sites
from tvm_mutate.mutant.sampling import sample_sites
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import Outcome, Rung, Verdict
from tvm_mutate.passes import Selection, site_positions
from tvm_mutate.pipeline import Stages
from tvm_mutate.report.tables import whole_line
from tvm_mutate.results import MutantRow, environment, write_whole
from tvm_mutate.results.rows import Row

FILE_NAME = "critical.json"
SCHEMA_VERSION = 1
RESOLUTION = 0.01
_DIGITS = 6  # significant digits of sizes that are not whole numbers, so that people can read the sizes


class TriedSize(Row, frozen=True, kw_only=True):
    """A size that was tried: the value of the parameter, and the verdict on the mutant (None: there is no site)."""

    size: float
    value: float | int | None
    id: str | None
    verdict: Verdict | None = None
    outcome: Outcome | None = None
    rung: Rung | None = None
    reason: str
    undefined: tuple[str, ...] | None = None


class CriticalRow(Row, frozen=True, kw_only=True):
    """A site, and the smallest size of a fault there that the oracle notices; unknown fields are None."""

    id: str
    model: str
    device: str
    operator: str
    function: str
    parameter: str
    critical: float | int | None = None
    critical_size: float | None = None
    survived: float | int | None = None
    largest: float | int | None = None
    monotone: bool | None = None
    verdict: Verdict | None = None
    evaluations: int = 0
    tried: tuple[TriedSize, ...] = ()
    outcome: Outcome = Outcome.COMPLETED
    reason: str = ""
    place_digest: str | None = None


@dataclass(frozen=True)
class CriticalSpecification(Specification):
    """The sites of one operator to search, and what counts as noticed.

    The search varies the size of ``parameter`` up to ``most`` (None: the operator's largest size). Logarithmic sizes
    are searched until both ends differ by the relative ``resolution``.
    """

    parameter: str = ""
    most: float | None = None
    resolution: float = RESOLUTION


@dataclass(frozen=True)
class CriticalRequest(MutantRequest):
    """Asks for the critical size at the single site of ``mutant``; the last fields are those of the specification."""

    parameter: str = ""
    most: float | None = None
    resolution: float = 0.0

    def answer(self, worker: Worker) -> CriticalRow:
        """The row of the site."""

        def judge(mutant: str) -> MutantRow:
            return worker.judge(replace(self, mutant=mutant)).row

        return CriticalSite(self, worker.stages(self.subject, self.device), worker.catalogue, judge).row()

    def row(self, **found: Any) -> CriticalRow:
        """The row of the site with the values that were found."""
        (mutation,) = Mutant.parse(self.mutant).mutations
        return CriticalRow(
            id=self.mutant,
            model=self.subject.name,
            device=self.device.name,
            operator=mutation.operator,
            function=mutation.function,
            parameter=self.parameter,
            **found,
        )


class CriticalStudy(Study):
    """Makes a campaign search every site for its critical size; the rows of the campaign are CriticalRow."""

    phase = "sites"
    row_type = CriticalRow
    compares_devices = False

    def __init__(self, specification: CriticalSpecification) -> None:
        self._specification = specification

    def survey_specification(self, specification: Specification) -> Specification:
        """Asks for every site; :meth:`choose` draws the sample, for a sample is drawn among the searched variants."""
        return replace(specification, sites="each") if specification.sites.startswith(SAMPLE) else specification

    def choose(self, survey: Survey) -> Survey:
        """The survey with the sites of one variant for each direction only, or a sample of them."""
        asked = self._specification
        wanted = set(directions(asked, load_catalogue()))
        single = [mutation for text in survey.mutants for mutation in Mutant.parse(text).mutations]
        sites = [mutation for mutation in single if mutation.at("*", Sites()) in wanted]
        if asked.sites.startswith(SAMPLE):
            sites = sample_sites(sites, int(asked.sites.removeprefix(SAMPLE)), asked.seed)
        return replace(survey, mutants=tuple(map(str, sites)))

    def request(self, request: MutantRequest) -> CriticalRequest:
        """The request for the search at the site of the mutant."""
        asked = self._specification
        return CriticalRequest(**vars(request), parameter=asked.parameter, most=asked.most, resolution=asked.resolution)

    def lost_row(self, request: MutantRequest, error: Exception) -> CriticalRow:
        """The row of a site whose worker died or whose device was lost."""
        assert isinstance(request, CriticalRequest)
        outcome = Outcome.DEVICE_LOST if isinstance(error, DeviceLostError) else Outcome.CRASH
        return request.row(outcome=outcome, reason=str(error))


def parameter_of(operator: Operator, name: str | None) -> Parameter:
    """The sized parameter with this name, or the first one; raises UsageError if there is none."""
    sized = {each.name: each for each in operator.parameters if each.magnitude is not None}
    if not sized:
        raise UsageError(f"{operator.name} has no parameter with a size; `tvm-mutate operators --markdown` lists sizes")
    if name is None:
        return next(iter(sized.values()))
    if name not in sized:
        raise UsageError(f"{operator.name} has no size named {name!r}{suggestion(name, sized)}")
    return sized[name]


def directions(specification: CriticalSpecification, catalogue: Catalogue) -> Iterator[Mutation]:
    """One variant, at all sites, for each direction of the size: above and below the value that is no fault."""
    seen: set[tuple[object, ...]] = set()
    for mutation in variants(specification, catalogue):
        operator = catalogue[mutation.operator]
        parameter = parameter_of(operator, specification.parameter)
        assert parameter.magnitude is not None
        values = operator.read_parameters(mutation)
        upwards = parameter.magnitude.is_upwards(float(values.pop(parameter.name)))
        sized = {each.name: each.default for each in operator.parameters if each.magnitude and each is not parameter}
        rest = tuple(value for name, value in sorted(values.items()) if name not in sized)
        if upwards is None or any(values[name] != default for name, default in sized.items()):
            continue
        direction = (operator.name, upwards, *rest)
        if direction not in seen:
            seen.add(direction)
            yield mutation


class CriticalSite:
    """The search at the site of a request; ``judge`` gives the row of the mutant with an id."""

    def __init__(
        self, request: CriticalRequest, stages: Stages, catalogue: Catalogue, judge: Callable[[str], MutantRow]
    ) -> None:
        (self._mutation,) = Mutant.parse(request.mutant).mutations
        self._request, self._catalogue, self._judge = request, catalogue, judge
        selection = Selection.resolve(self._mutation, catalogue)
        self._operator, self._values = selection.operator, selection.parameters
        parameters = {each.name: each for each in self._operator.parameters}
        self._parameter = parameters[request.parameter]
        assert self._parameter.magnitude is not None
        self._sizes: Magnitude = self._parameter.magnitude
        self._upwards = bool(self._sizes.is_upwards(float(self._values[request.parameter])))
        self._module = stages.at(selection.slot)
        # The number of a site depends on the size: a loop too short for a large size is no site. The position does not.
        self._position = self._positions(selection)[self._mutation.sites.first]
        self._ids: dict[float, str | None] = {}
        self._tried: list[TriedSize] = []

    def row(self) -> CriticalRow:
        """The row of the site: the critical value, the value below that survived, and every value that was tried."""
        least, whole = self._sizes.least, self._parameter.kind is int
        most = self._request.most or self._sizes.most
        if self._id(least) is not None:
            most = largest(least, most, lambda size: self._id(size) is not None) if whole else most
        try:
            found = find_bracket(self._sizes, whole, most, self._request.resolution, self._is_noticed)
        except DeviceLostError as error:  # the remaining sizes are unknown
            return self._request.row(outcome=Outcome.DEVICE_LOST, reason=str(error))
        return self._request.row(
            critical=self._value(found.noticed),
            critical_size=found.noticed,
            survived=self._value(found.survived),
            largest=self._value(most),
            monotone=found.monotone,
            evaluations=sum(each.id is not None for each in self._tried),
            tried=tuple(self._tried),
            verdict=Verdict.SURVIVED if found.noticed is None else Verdict.KILLED,
        )

    def _is_noticed(self, size: float) -> bool:
        mutant = self._id(size)
        value = self._value(size)
        if mutant is None:
            self._tried.append(TriedSize(size=size, value=value, id=None, reason="no site"))
            return False
        row = self._judge(mutant)
        if row.outcome is Outcome.DEVICE_LOST:
            raise DeviceLostError(row.reason)
        shown = {name: getattr(row, name) for name in ("id", "verdict", "outcome", "rung", "reason", "undefined")}
        self._tried.append(TriedSize(size=size, value=value, **shown))
        return row.verdict is Verdict.KILLED

    def _value(self, size: float | None) -> float | int | None:
        if size is None:
            return None
        value = self._sizes.value(size, self._upwards)
        return round(value) if self._parameter.kind is int else value

    def _id(self, size: float) -> str | None:
        """The id of the mutant with a fault of this size at the site; None if the fault would change nothing."""
        if size not in self._ids:
            value = self._value(size)
            assert value is not None
            mutation = self._operator.mutation({**self._values, self._parameter.name: value})
            anywhere = mutation.at(self._mutation.function, Sites())
            positions = self._positions(Selection.resolve(anywhere, self._catalogue))
            ordinal = positions.index(self._position) if self._position in positions else None
            here = None if ordinal is None else mutation.at(self._mutation.function, Sites(ordinal, ordinal))
            self._ids[size] = None if here is None else str(here)
        return self._ids[size]

    def _positions(self, selection: Selection) -> list[int]:
        return site_positions(self._module, selection)[self._mutation.function]


@dataclass(frozen=True)
class Bracket:
    """The two tried sizes between which the critical size lies.

    ``noticed`` is the smallest size that was noticed, or None; ``survived`` the largest size below that survived, None
    if the least size was noticed. ``monotone`` is False if the least size was noticed and the largest survived.
    """

    noticed: float | None
    survived: float | None
    monotone: bool = True


def find_bracket(
    sizes: Magnitude, whole: bool, most: float, resolution: float, is_noticed: Callable[[float], bool]
) -> Bracket:
    """Bisects ``sizes`` up to ``most`` for the critical size, assuming that every larger fault is noticed as well.

    ``whole`` sizes are whole numbers. The ends of logarithmic sizes differ by the relative ``resolution`` or less,
    other ends by one.
    """
    low, high = sizes.least, most
    at_most = is_noticed(high)
    if high > low and is_noticed(low):
        return Bracket(low, None, at_most)
    if not at_most:
        return Bracket(None, high)
    if high <= low:
        return Bracket(high, None)
    while (middle := _middle(low, high, sizes.logarithmic, whole, resolution)) is not None:
        low, high = (low, middle) if is_noticed(middle) else (middle, high)
    return Bracket(high, low)


def largest(least: float, most: float, holds: Callable[[float], bool]) -> float:
    """The largest whole size up to ``most`` for which ``holds``, which is true up to some size; true for ``least``."""
    if holds(most):
        return most
    low, high = least, most
    while (middle := _middle(low, high, logarithmic=False, whole=True, resolution=0)) is not None:
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _middle(low: float, high: float, logarithmic: bool, whole: bool, resolution: float) -> float | None:
    """A size in the middle of two others; None if they are close enough."""
    if logarithmic and high <= low * (1 + resolution):
        return None
    middle = math.sqrt(low * high) if logarithmic else (low + high) / 2
    if whole:
        return min(max(round(middle), low + 1), high - 1) if high - low > 1 else None
    middle = float(f"{middle:.{_DIGITS}g}")
    return middle if low < middle < high else None


def write_critical(rows: Sequence[CriticalRow], plan: Mapping[str, Any], folder: Path) -> Path:
    """Writes the plan, the environment and the rows to ``critical.json`` in the folder; returns the path.

    Raises UsageError if the file cannot be written; an older file then stays as it was.
    """
    content = msgspec.to_builtins(
        {"schema_version": SCHEMA_VERSION, "environment": environment(), "plan": plan, "sites": rows}
    )
    return write_whole(folder / FILE_NAME, [json.dumps(content, indent=1, sort_keys=True, allow_nan=False), "\n"])


def render_critical(rows: Sequence[CriticalRow]) -> list[RenderableType]:
    """For each site its id, and below it the smallest noticed value and the largest that survived."""
    several = len({(row.model, row.device) for row in rows}) > 1
    lines: list[RenderableType] = [Text("Critical magnitudes", "bold")]
    for row in rows:
        told = [_critical(row), f"survived: {_value(row.survived)}", f"{row.evaluations} evaluations"]
        place = [f"{row.model} on {row.device}"] if several else []
        lines += [whole_line(f"  {row.id}"), Text(f"    {'; '.join([*told, *place])}")]
    return [Group(*lines)]


def _critical(row: CriticalRow) -> str:
    if row.verdict is None:
        return f"not known: {row.reason}"
    if row.critical is None:
        return f"none up to {_value(row.largest)}"
    value = f"{row.parameter}={_value(row.critical)}"
    if any(each.size == row.critical_size and each.undefined for each in row.tried):
        value += " (undefined)"
    value = f"critical: {value}"
    return value if row.monotone else f"{value}, but not {_value(row.largest)}: not monotone"


def _value(value: float | int | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.6g}"
