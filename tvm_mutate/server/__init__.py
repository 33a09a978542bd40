"""The server of a device: TVM's own server, which survives crashes of the kernels that it runs."""

from tvm_mutate.server.serving import DEATH
