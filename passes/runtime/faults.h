// Faults that mutated kernels call: at one dynamic execution only, in one bit, or in how a result is rounded.
#ifndef TVM_MUTATE_RUNTIME_FAULTS_H_
#define TVM_MUTATE_RUNTIME_FAULTS_H_

#include <tvm/ffi/c_api.h>

#include <cstdint>

// Plain C with integers only: the C code that TVM generates declares these functions without their arguments, so that
// floats would be passed as doubles. Floating-point values go in and out as their bits.
extern "C" {

// Begins to count executions anew. Kernels with a fault at one execution call it when they begin.
TVM_FFI_DLL_EXPORT int32_t tvm_mutate_begin_executions();

// Counts an execution, and flips a bit (0 the lowest) of a value if that was the execution with this number (from 1).
// A bit that the value does not have is not flipped.
TVM_FFI_DLL_EXPORT int32_t tvm_mutate_flip_bit_once_32(int32_t value, int32_t bit, int32_t execution);
TVM_FFI_DLL_EXPORT int64_t tvm_mutate_flip_bit_once_64(int64_t value, int32_t bit, int32_t execution);

// float32 arithmetic rounded toward zero, to a significand of `precision` bits (1 to 24).
TVM_FFI_DLL_EXPORT int32_t tvm_mutate_add_toward_zero(int32_t a, int32_t b, int32_t precision);
TVM_FFI_DLL_EXPORT int32_t tvm_mutate_subtract_toward_zero(int32_t a, int32_t b, int32_t precision);
TVM_FFI_DLL_EXPORT int32_t tvm_mutate_multiply_toward_zero(int32_t a, int32_t b, int32_t precision);
TVM_FFI_DLL_EXPORT int32_t tvm_mutate_divide_toward_zero(int32_t a, int32_t b, int32_t precision);
}

#endif  // TVM_MUTATE_RUNTIME_FAULTS_H_
