"""The server of a device: TVM's own, made to outlive what runs on it."""

from tvm_mutate.server.serving import DEATH

__all__ = ["DEATH"]
