"""Campaigns: a plan of mutants × devices × inputs, and its journal."""

from tvm_mutate.campaign.journal import Journal
from tvm_mutate.campaign.progress import make_reporter
from tvm_mutate.campaign.requests import MutantRequest
from tvm_mutate.campaign.runner import CANARIES, Campaign, Study
from tvm_mutate.campaign.subject import Specification, Subject
from tvm_mutate.campaign.survey import Survey, variants
from tvm_mutate.campaign.worker import Worker
from tvm_mutate.results import Results

__all__ = [
    "CANARIES",
    "Campaign",
    "Journal",
    "MutantRequest",
    "Results",
    "Specification",
    "Study",
    "Subject",
    "Survey",
    "Worker",
    "make_reporter",
    "variants",
]
