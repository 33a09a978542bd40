#include "nodes.h"

#include <tvm/ffi/reflection/accessor.h>

#include <cstring>

namespace tvm_mutate {
namespace {

const TVMFFIFieldInfo* FindField(const Node& node, const char* name) {
  const TVMFFIFieldInfo* found = nullptr;
  size_t length = std::strlen(name);
  ffi::reflection::ForEachFieldInfoWithEarlyStop(
      TVMFFIGetTypeInfo(node->type_index()), [&](const TVMFFIFieldInfo* field) {
        if (field->name.size != length || std::memcmp(field->name.data, name, length) != 0) return false;
        found = field;
        return true;
      });
  return found;
}

}  // namespace

bool Is(const Node& node, const char* type_key) { return node.defined() && node->GetTypeKey() == type_key; }

std::string KindOf(const Node& node) { return node->GetTypeKey(); }

std::optional<Any> FieldIfAny(const Node& node, const char* name) {
  const TVMFFIFieldInfo* field = node.defined() ? FindField(node, name) : nullptr;
  if (field == nullptr) return std::nullopt;
  return ffi::reflection::FieldGetter(field)(node);
}

Any Field(const Node& node, const char* name) {
  std::optional<Any> value = FieldIfAny(node, name);
  if (!value) {
    TVM_FFI_THROW(AttributeError) << (node.defined() ? KindOf(node) : "None") << " has no field " << name;
  }
  return *std::move(value);
}

Node Child(const Node& node, const char* name) {
  return Field(node, name).cast<ffi::Optional<Node>>().value_or(Node());
}

Nodes Children(const Node& node, const char* name) { return Field(node, name).cast<Nodes>(); }

Node Binary(const std::string& kind, const Node& a, const Node& b) { return Make(kind, a, b, nullptr); }

Nodes With(Nodes nodes, int64_t at, Node node) {
  nodes.Set(at < 0 ? at + static_cast<int64_t>(nodes.size()) : at, std::move(node));
  return nodes;
}

std::string CalledOperator(const Node& node) {
  if (!Is(node, "ir.Call")) return "";
  Node callee = Child(node, "op");
  return Is(callee, "ir.Op") ? std::string(Field(callee, "name").cast<ffi::String>()) : "";
}

}  // namespace tvm_mutate
