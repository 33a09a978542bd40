// Says what the library was built for.
#include <tvm/ffi/tvm_ffi.h>

#include "registration.h"

namespace {

// Found in the file before it is loaded (tvm_mutate/native/library.py).
extern "C" TVM_FFI_DLL_EXPORT const char tvm_mutate_native_built_for[] =
    "tvm_mutate native library for apache-tvm-ffi " TVM_MUTATE_BUILT_FOR;

constexpr size_t kVersionAt = sizeof("tvm_mutate native library for apache-tvm-ffi ") - 1;

TVM_FFI_STATIC_INIT_BLOCK() {
  tvm_mutate::DefineGlobal(
      "built_for", []() { return tvm::ffi::String(tvm_mutate_native_built_for + kVersionAt); });
}

}  // namespace
