"""Mutation testing and fault injection inside Apache TVM: faults as compiler passes."""
