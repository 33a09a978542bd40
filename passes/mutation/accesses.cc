// Indices of loads and stores: tvm_mutate/operators/{indices,stores}.py in C++.
#include <algorithm>

#include "families.h"
#include "literals.h"

namespace tvm_mutate {
namespace {

constexpr char kStore[] = "tirx.BufferStore";
constexpr char kLoad[] = "ir.TensorLoad";

Nodes Shape(const Node& access) {
  return Children(Child(Child(access, Is(access, kStore) ? "buffer" : "source"), "ty"), "shape");
}

// Stores are shifted in the last dimension.
int64_t Dimension(const Parameters& parameters) {
  return parameters.values().count("dimension") ? parameters.Integer("dimension") : 1;
}

// Both in Python's way: a dimension that is negative counts from the last.
Node At(const Nodes& nodes, int64_t dimension) {
  return nodes[dimension < 0 ? dimension + static_cast<int64_t>(nodes.size()) : dimension];
}

Node WithIndices(const Node& access, const Nodes& indices) {
  if (Is(access, kStore)) {
    return Make(kStore, Child(access, "buffer"), Child(access, "value"), indices, nullptr);
  }
  return Make("tirx.BufferLoad", Child(access, "source"), indices, nullptr);
}

// An index within the buffer moved by `by`, but no further than the edge; null where it is there already.
Node MovedWithin(const Node& index, int64_t by, int64_t extent) {
  if (std::optional<Number> at = Literal(index)) {
    int64_t moved = std::min(std::max(at->integer() + by, int64_t{0}), extent - 1);
    return AnotherConstant(index, moved);
  }
  const char* operation = by < 0 ? "prim._OpSub" : "prim._OpAdd";
  Node moved = Make(operation, index, ConstantLike(index, std::abs(by)), nullptr);
  return by < 0 ? Binary("prim.Max", moved, ConstantLike(index, int64_t{0}))
                : Binary("prim.Min", moved, ConstantLike(index, extent - 1));
}

// The extent of the accessed buffer in the `dimension`th dimension from the last, which is 1; nothing if it is unknown
// or one, or the index is a vector.
std::optional<int64_t> ExtentOf(const Node& access, int64_t dimension, bool same_rank) {
  Nodes indices = Children(access, "indices");
  Nodes shape = Shape(access);
  auto count = static_cast<int64_t>(indices.size());
  if (dimension < 1 || dimension > count || (same_rank && shape.size() != indices.size())) return std::nullopt;
  std::optional<Number> extent = Literal(At(shape, -dimension));
  if (!extent || extent->integer() < 2 || IsVector(At(indices, -dimension))) return std::nullopt;
  return extent->integer();
}

Predicate Shiftable(const Parameters& parameters) {
  int64_t dimension = Dimension(parameters);
  return [dimension](const Node& access) { return ExtentOf(access, dimension, Is(access, kLoad)).has_value(); };
}

Replacement ShiftedIndex(const Parameters& parameters) {
  int64_t by = parameters.Integer("by"), dimension = Dimension(parameters);
  return [by, dimension](const Node& access) {
    Nodes indices = Children(access, "indices");
    if (by == 0) return Node();
    Node moved = MovedWithin(At(indices, -dimension), by, *ExtentOf(access, dimension, Is(access, kLoad)));
    return moved.defined() ? WithIndices(access, With(indices, -dimension, moved)) : Node();
  };
}

Replacement OverrunIndex(const Parameters& parameters) {
  int64_t by = parameters.Integer("by");
  return [by](const Node& access) {
    Nodes indices = Children(access, "indices");
    if (by == 0 || !ExtentOf(access, 1, true)) return Node();
    Node last = At(indices, -1);
    const char* operation = by < 0 ? "prim._OpSub" : "prim._OpAdd";
    return WithIndices(access, With(indices, -1, Make(operation, last, ConstantLike(last, std::abs(by)), nullptr)));
  };
}

}  // namespace

void DefineAccesses() {
  Selectors().Add("shiftable-store", {{kStore}, Shiftable});
  Selectors().Add("shiftable-load", {{kLoad}, Shiftable});
  Selectors().Add("load", {{kLoad}, Always});
  Injectors().Add("shifted-index", ShiftedIndex);
  Injectors().Add("overrun-index", OverrunIndex);
  DefineOperator("tir.shift-load-index", {"shiftable-load", "shifted-index", {{"by", -1}, {"dimension", 1}}});
  DefineOperator("tir.shift-store-index", {"shiftable-store", "shifted-index", {{"by", -1}}});
  DefineOperator("tir.overrun-load", {"load", "overrun-index", {{"by", 1}}});
}

}  // namespace tvm_mutate
