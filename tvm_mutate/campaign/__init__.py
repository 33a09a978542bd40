"""Campaigns: a plan of mutants × devices × inputs, and its journal."""

from tvm_mutate.campaign.journal import Journal
from tvm_mutate.campaign.progress import make_reporter
from tvm_mutate.campaign.runner import CANARIES, Campaign
from tvm_mutate.campaign.subject import Specification, Subject
from tvm_mutate.results import Results

__all__ = ["CANARIES", "Campaign", "Journal", "Results", "Specification", "Subject", "make_reporter"]
