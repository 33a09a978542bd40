"""What a test-suite notices: what its tests build and run, and which mutants of their kernels they kill."""
