"""What progress and engines are told of requests and answers."""

from __future__ import annotations

from typing import Any

from tvm_mutate.campaign.requests import MutantRequest, Request, UndefinedRequest
from tvm_mutate.campaign.subject import Pair
from tvm_mutate.mutant import Mutant

_CRASHES = ("crash", "timeout", "exception")


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
    if not isinstance(answer, dict):
        return ""
    if "behaviour" in answer:
        return str(answer["behaviour"])
    return "crashed" if answer["outcome"] in _CRASHES else str(answer["verdict"] or answer["outcome"])
