"""Tests of what a test-suite notices."""
