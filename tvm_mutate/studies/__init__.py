"""Studies on top of campaigns: critical magnitudes, the divergence of two targets, the MutateNN paper."""
