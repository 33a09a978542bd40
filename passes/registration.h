// Registers global functions, at most once in a process.
#ifndef TVM_MUTATE_REGISTRATION_H_
#define TVM_MUTATE_REGISTRATION_H_

#include <tvm/ffi/function.h>

#include <string>
#include <utility>

namespace tvm_mutate {

// The global function `tvm_mutate.native.<name>`. A copy of the library that is loaded after another one leaves the
// first one's functions where they are: registering a name twice would end the process.
template <typename F>
void DefineGlobal(const std::string& name, F function) {
  std::string full = "tvm_mutate.native." + name;
  if (tvm::ffi::Function::GetGlobal(full).has_value()) return;
  tvm::ffi::Function::SetGlobal(full, tvm::ffi::Function::FromTyped(std::move(function), full));
}

}  // namespace tvm_mutate

#endif  // TVM_MUTATE_REGISTRATION_H_
