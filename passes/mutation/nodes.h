// TVM's IR through reflection: its headers are not in the wheel, and nothing here is linked to TVM.
#ifndef TVM_MUTATE_MUTATION_NODES_H_
#define TVM_MUTATE_MUTATION_NODES_H_

#include <tvm/ffi/tvm_ffi.h>

#include <optional>
#include <string>
#include <utility>

namespace tvm_mutate {

namespace ffi = tvm::ffi;
using ffi::Any;
using ffi::AnyView;

// A node of the IR; null where there is none.
using Node = ffi::ObjectRef;
using Nodes = ffi::Array<Node>;

// Whether a node is of exactly this class, such as "prim.LT".
bool Is(const Node& node, const char* type_key);

// The class of a node, such as "prim.LT".
std::string KindOf(const Node& node);

// A field of a node, its base classes' among them; throws AttributeError where there is none.
Any Field(const Node& node, const char* name);

// The same, or nothing.
std::optional<Any> FieldIfAny(const Node& node, const char* name);

// A field that is a node, or null.
Node Child(const Node& node, const char* name);

// A field that is a list of nodes.
Nodes Children(const Node& node, const char* name);

// The node that a constructor of TVM makes of the arguments; throws what it throws.
template <typename... Args>
Node Make(const std::string& constructor, Args&&... arguments) {
  return ffi::Function::GetGlobalRequired(constructor)(std::forward<Args>(arguments)...).template cast<Node>();
}

// The node of a binary class such as "prim.Add".
Node Binary(const std::string& kind, const Node& a, const Node& b);

// The same list with one entry replaced; `at` counts from the end where it is negative.
Nodes With(Nodes nodes, int64_t at, Node node);

// The name of the operator that a call calls, such as "prim.if_then_else"; empty for other nodes.
std::string CalledOperator(const Node& node);

}  // namespace tvm_mutate

#endif  // TVM_MUTATE_MUTATION_NODES_H_
