// The families of selectors, injectors and operators, and what they share.
#ifndef TVM_MUTATE_MUTATION_FAMILIES_H_
#define TVM_MUTATE_MUTATION_FAMILIES_H_

#include "registry.h"

namespace tvm_mutate {

// The predicate of selectors that take every node of their classes.
Predicate Always(const Parameters& parameters);

// The statement that stands where one was taken out.
Node NoStatement();

// A value that is converted to a narrower type and back.
Node Through(const Node& value, DLDataType narrow);

// Each registers one family.
void DefineArithmetic();  // first: others use its injectors
void DefineConditions();
void DefineStores();
void DefineAccesses();
void DefineLoops();

}  // namespace tvm_mutate

#endif  // TVM_MUTATE_MUTATION_FAMILIES_H_
