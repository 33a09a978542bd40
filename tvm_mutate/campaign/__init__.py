"""Campaigns: a plan of mutants × devices × inputs, and its journal."""

from tvm_mutate.campaign.campaign import CANARIES, LEAST_SECONDS, Campaign, Canary, Study
from tvm_mutate.campaign.discrepancies import NAMED
from tvm_mutate.campaign.journal import Journal
from tvm_mutate.campaign.merging import merge
from tvm_mutate.campaign.plan import (
    SAMPLE,
    Pair,
    Specification,
    Subject,
    check_order,
    check_sites,
    golden_bytes,
    parse_shard,
    parse_size,
    prepare_subject,
    prepare_subjects,
)
from tvm_mutate.campaign.progress import PROGRESS, Reporter, make_reporter
from tvm_mutate.campaign.since import Since, find_since
from tvm_mutate.campaign.survey import Survey, take_shard, variants
from tvm_mutate.campaign.worker import MutantRequest, Worker
