"""What a test-suite notices: what its tests build and run, and which mutants of their kernels they kill."""

from tvm_mutate.suite.journal import SuiteJournal
from tvm_mutate.suite.results import SuiteResults
from tvm_mutate.suite.session import CANARY, RECORD, RUN, Session, Settings
from tvm_mutate.suite.testing import Outcome, SuiteTest, TestOutcome

__all__ = [
    "CANARY",
    "RECORD",
    "RUN",
    "Outcome",
    "Session",
    "Settings",
    "SuiteJournal",
    "SuiteResults",
    "SuiteTest",
    "TestOutcome",
]
