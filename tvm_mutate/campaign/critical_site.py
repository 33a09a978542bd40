"""The critical magnitude at one site: the smallest fault of an operator there that the oracle notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm_mutate.campaign.bisection import find_bracket, largest
from tvm_mutate.campaign.requests import CriticalRequest
from tvm_mutate.device import DeviceLostError
from tvm_mutate.mutant import Catalogue, Magnitude, Mutant, Sites
from tvm_mutate.oracle import Outcome, Rung, Verdict
from tvm_mutate.passes import Selection, site_positions
from tvm_mutate.pipeline import Stages
from tvm_mutate.results import MutantRow
from tvm_mutate.results.rows import Row


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
    """A site, and the smallest size of a fault there that is noticed; what is None is not known."""

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


def site_row(request: CriticalRequest, **found: Any) -> CriticalRow:
    """The row of the site that a request names, with what was found there."""
    (mutation,) = Mutant.parse(request.mutant).mutations
    return CriticalRow(
        id=request.mutant,
        model=request.baseline.pair.subject,
        device=request.baseline.pair.device,
        operator=mutation.operator,
        function=mutation.function,
        parameter=request.parameter,
        **found,
    )


class CriticalSite:
    """The search at the site that a request names.

    ``judge`` gives the row of the mutant with an id, as a campaign has it.
    """

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
        # The ordinal of a site can be another one for another size: where loops get shorter, short ones are no sites.
        self._position = self._positions(selection)[self._mutation.sites.first]
        self._ids: dict[float, str | None] = {}
        self._tried: list[TriedSize] = []

    def row(self) -> CriticalRow:
        """The row of the site: its critical value, the value below it that survived, and all that was tried."""
        least, whole = self._sizes.least, self._parameter.kind is int
        most = self._request.most or self._sizes.most
        if self._id(least) is not None:
            most = largest(least, most, lambda size: self._id(size) is not None) if whole else most
        try:
            found = find_bracket(self._sizes, whole, most, self._request.resolution, self._is_noticed)
        except DeviceLostError as error:  # whatever was not tried any more is not known
            return site_row(self._request, outcome=Outcome.DEVICE_LOST, reason=str(error))
        return site_row(
            self._request,
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
        told = {name: getattr(row, name) for name in ("id", "verdict", "outcome", "rung", "reason", "undefined")}
        self._tried.append(TriedSize(size=size, value=value, **told))
        return row.verdict is Verdict.KILLED

    def _value(self, size: float | None) -> float | int | None:
        if size is None:
            return None
        value = self._sizes.value(size, self._upwards)
        return round(value) if self._parameter.kind is int else value

    def _id(self, size: float) -> str | None:
        """The id of the mutant with a fault of that size at the site; None where it would change nothing."""
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
