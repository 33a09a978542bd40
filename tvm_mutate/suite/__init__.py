"""Test-suites and commands as oracles: what they build and run, and which mutants of their kernels they kill."""

from tvm_mutate.suite.journal import SuiteJournal
from tvm_mutate.suite.suite_run import SuiteRun
from tvm_mutate.suite.testing import SuiteTest
