"""The search for critical magnitudes: the campaign that it is, with a search at every site in place of a mutant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from tvm_mutate.campaign.between import Between
from tvm_mutate.campaign.critical_site import CriticalRow, site_row
from tvm_mutate.campaign.engine import Engine
from tvm_mutate.campaign.record import Baseline
from tvm_mutate.campaign.requests import CriticalRequest, MutantRequest
from tvm_mutate.campaign.runner import Campaign
from tvm_mutate.campaign.subject import Pair, Specification, Subject
from tvm_mutate.campaign.survey import SAMPLE, Survey, variants
from tvm_mutate.campaign.trust import CANARIES
from tvm_mutate.device import Device, DeviceLostError
from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.mutant import Catalogue, Mutant, Mutation, Operator, Parameter, Sites
from tvm_mutate.mutant.sampling import sample_sites
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import Outcome

RESOLUTION = 0.01


@dataclass(frozen=True)
class CriticalSpecification(Specification):
    """At which sites of one operator to search, and what counts as noticed.

    ``parameter`` names the one whose size is searched for, up to ``most`` (None: the most that the operator knows), to
    within the part ``resolution`` where sizes are logarithmic.
    """

    parameter: str = ""
    most: float | None = None
    resolution: float = RESOLUTION


class CriticalSearch(Campaign):
    """A campaign on CriticalSpecification: :meth:`conduct` gives the rows of sites."""

    specification: CriticalSpecification
    phase = "sites"
    row_type = CriticalRow

    def _surveys(self, engine: Engine) -> dict[Pair, Survey]:
        asked = self.specification
        sampled = asked.sites.startswith(SAMPLE)
        surveys = self._surveys_of(engine, replace(asked, sites="each") if sampled else asked)
        wanted = set(directions(asked, load_catalogue()))
        count = int(asked.sites.removeprefix(SAMPLE)) if sampled else None
        return {pair: _with_one_size(survey, wanted, count, asked.seed) for pair, survey in surveys.items()}

    def _request(self, subject: Subject, device: Device, mutant: str, baseline: Baseline) -> MutantRequest:
        request = super()._request(subject, device, mutant, baseline)
        if mutant in {canary.mutant for canary in CANARIES}:
            return request
        asked = self.specification
        values = {each.name: getattr(request, each.name) for each in fields(request)}
        return CriticalRequest(**values, parameter=asked.parameter, most=asked.most, resolution=asked.resolution)

    def _between(self, *_: object) -> Between:
        """Nothing: sites are searched on each device alone."""
        return Between()

    def _lost(self, request: MutantRequest, error: Exception) -> CriticalRow:
        assert isinstance(request, CriticalRequest)
        outcome = Outcome.DEVICE_LOST if isinstance(error, DeviceLostError) else Outcome.CRASH
        return site_row(request, outcome=outcome, reason=str(error))


def parameter_of(operator: Operator, name: str | None) -> Parameter:
    """The parameter of that name, or the first that has sizes; raises UsageError where there is none."""
    sized = {each.name: each for each in operator.parameters if each.magnitude is not None}
    if not sized:
        raise UsageError(f"{operator.name} has no parameter with a size; `tvm-mutate operators --markdown` tells sizes")
    if name is None:
        return next(iter(sized.values()))
    if name not in sized:
        raise UsageError(f"{operator.name} has no size named {name!r}{suggestion(name, sized)}")
    return sized[name]


def directions(specification: CriticalSpecification, catalogue: Catalogue) -> Iterator[Mutation]:
    """One variant for each direction that the size has, above and below where there is no fault, at all sites."""
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


def _with_one_size(survey: Survey, wanted: set[Mutation], count: int | None, seed: int) -> Survey:
    """The survey with the sites of these variants only, and of them a sample where ``count`` is given."""
    single = [mutation for text in survey.mutants for mutation in Mutant.parse(text).mutations]
    sites = [mutation for mutation in single if mutation.at("*", Sites()) in wanted]
    chosen = sites if count is None else sample_sites(sites, count, seed)
    return replace(survey, mutants=tuple(map(str, chosen)))
