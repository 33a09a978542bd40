"""Tests of test-suites and commands as oracles."""
