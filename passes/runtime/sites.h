// Switchable sites: which one is active, and how often each was reached. All of it is of this process.
#ifndef TVM_MUTATE_RUNTIME_SITES_H_
#define TVM_MUTATE_RUNTIME_SITES_H_

#include <tvm/ffi/c_api.h>

#include <cstdint>

// What kernels call, and so plain C: every argument and result is an integer, because the C code that TVM generates
// declares these functions without their arguments, and floats would be passed as doubles then.
extern "C" {

// The number of the active site; 0 while none is. Switchable kernels ask once, when they begin.
TVM_FFI_DLL_EXPORT int32_t tvm_mutate_active_site();

// Counts that a site was reached, and says whether it is the active one.
TVM_FFI_DLL_EXPORT int32_t tvm_mutate_reach_site(int32_t site);
}

#endif  // TVM_MUTATE_RUNTIME_SITES_H_
