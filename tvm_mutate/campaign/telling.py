"""What progress and engines are told of requests and answers."""

from __future__ import annotations

from typing import Any

from tvm_mutate.campaign.requests import MutantRequest, Request, UndefinedRequest
from tvm_mutate.campaign.subject import Pair
from tvm_mutate.mutant import Mutant
from tvm_mutate.oracle import Outcome
from tvm_mutate.results import MutantRow, UndefinedRow

_CRASHES = (Outcome.CRASH, Outcome.TIMEOUT, Outcome.EXCEPTION)


def pair_of(request: Request) -> Pair:
    """The subject and the device of a request."""
    return Pair(request.subject.name, request.device.name)


def group_of(request: Request) -> str:
    """The kernel that a mutant changes first: mutants of one kernel share what is compiled and calculated for it."""
    if not isinstance(request, MutantRequest | UndefinedRequest):
        return ""
    return Mutant.parse(request.mutant).mutations[0].function


def described(request: Request) -> str:
    """What a worker is at, for people."""
    what = request.mutant if isinstance(request, MutantRequest | UndefinedRequest) else ""
    return f"{request.subject.name} {request.device.name} {what}".rstrip()


def word_of(answer: Any) -> str:
    """The word under which progress counts an answer."""
    if isinstance(answer, UndefinedRow):
        return str(answer.behaviour)
    row = getattr(answer, "row", None)
    if not isinstance(row, MutantRow):
        return ""
    return "crashed" if row.outcome in _CRASHES else str(row.verdict or row.outcome)
