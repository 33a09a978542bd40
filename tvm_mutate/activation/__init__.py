"""Builds that someone else starts, caught where TVM looks up its pipelines: nothing of theirs is edited."""

from tvm_mutate.activation.activate import Activation, activate
from tvm_mutate.activation.builds import Build, Catcher, kernel_digest
from tvm_mutate.activation.catching import caught_builds

__all__ = ["Activation", "Build", "Catcher", "activate", "caught_builds", "kernel_digest"]
