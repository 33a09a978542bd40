#include "families.h"

#include "literals.h"

namespace tvm_mutate {

Predicate Always(const Parameters&) {
  return [](const Node&) { return true; };
}

Node NoStatement() {
  return Make("tirx.Evaluate", Constant(int64_t{0}, ffi::StringToDLDataType("int32")), nullptr);
}

TVM_FFI_STATIC_INIT_BLOCK() {
  DefineArithmetic();
  DefineConditions();
  DefineStores();
  DefineAccesses();
  DefineLoops();
}

}  // namespace tvm_mutate
