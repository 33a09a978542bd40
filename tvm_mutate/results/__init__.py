"""Typed results: the rows of campaigns and suites, their score, their files, and the journal that keeps them."""

from tvm_mutate.results.accepted import ACCEPTED_FILE, Acceptance, accept, read_accepted, with_accepted
from tvm_mutate.results.environment import environment, package_versions
from tvm_mutate.results.files import (
    find_fault,
    json_lines,
    read_json,
    read_suite_json,
    results_schema,
    suite_schema,
    write_json,
    write_suite_json,
    write_whole,
)
from tvm_mutate.results.journal import JournalFile
from tvm_mutate.results.rows import (
    SCHEMA_VERSION,
    AbsentRow,
    AccessRow,
    AgreementRow,
    BaselineRow,
    CanaryRow,
    DeviceRow,
    DiscrepancyRow,
    Environment,
    EvaluationPath,
    FlowRow,
    ModelRow,
    MutantRow,
    NoticedRow,
    Results,
    UndefinedRow,
    check_same_oracles,
)
from tvm_mutate.results.score import Score, score_of
from tvm_mutate.results.suite_rows import (
    CommandOutcome,
    CommandResults,
    CommandRow,
    SuiteEffort,
    SuiteKernelRow,
    SuiteMode,
    SuiteMutantRow,
    SuiteResults,
    SuiteSettings,
    SuiteTestRow,
    SuiteTrialRow,
    SuiteVerdict,
    SurvivalReason,
    TestOutcome,
)
