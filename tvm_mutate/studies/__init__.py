"""Studies on top of campaigns: critical magnitudes, and the figures of the MutateNN paper beside ours."""
