// Ranges of loops: tvm_mutate/operators/loops.py in C++.
#include "families.h"
#include "literals.h"

namespace tvm_mutate {
namespace {

constexpr char kLoop[] = "tirx.For";
constexpr int64_t kParallel = 1, kThreadBinding = 4;  // ForKind

int64_t LoopKind(const Node& loop) { return Field(loop, "kind").cast<int64_t>(); }

// The loop over the same variable, of the same kind, with another range and body.
Node Loop(const Node& loop, const Node& start, const Node& extent, const Node& body) {
  return Make(kLoop, Child(loop, "loop_var"), start, extent, LoopKind(loop), body, Child(loop, "thread_binding"),
              Field(loop, "annotations"), Child(loop, "step"), nullptr);
}

// The loop with its start and extent moved; null if the extent is unknown or one, or nothing would be left.
Node WithRange(const Node& loop, int64_t later, int64_t longer) {
  Node start = Child(loop, "min"), extent = Child(loop, "extent");
  std::optional<Number> before = Literal(extent);
  if (!before || before->integer() < 2 || before->integer() + longer < 1 || longer == 0) return Node();
  return Loop(loop, Make("prim._OpAdd", start, ConstantLike(start, later), nullptr),
              ConstantLike(extent, before->integer() + longer), Child(loop, "body"));
}

Predicate SequentialLoop(const Parameters&) {
  return [](const Node& loop) { return LoopKind(loop) != kThreadBinding; };
}

Predicate ThreadLoop(const Parameters&) {
  return [](const Node& loop) { return LoopKind(loop) == kThreadBinding; };
}

Replacement OtherExtent(const Parameters& parameters) {
  int64_t by = parameters.Integer("by");
  return [by](const Node& loop) { return WithRange(loop, 0, by); };
}

Replacement ThreadExtent(const Parameters& parameters) {
  int64_t by = parameters.Integer("by"), to = parameters.Integer("to");
  return [by, to](const Node& loop) {
    std::optional<Number> extent = Literal(Child(loop, "extent"));
    return WithRange(loop, 0, to > 0 && extent ? to - extent->integer() : by);
  };
}

Replacement LaterStart(const Parameters& parameters) {
  int64_t by = parameters.Integer("by");
  return [by](const Node& loop) {
    Node shorter = by < 1 ? Node() : WithRange(loop, by, -by);
    if (!shorter.defined() || LoopKind(loop) != kParallel) return shorter;
    // Code generators take parallel loops only from zero: such a loop leaves its first iterations empty instead.
    Node is_late = Binary("prim.GE", Child(loop, "loop_var"), Child(shorter, "min"));
    Node guarded = Make("tirx.IfThenElse", is_late, Child(loop, "body"), nullptr, nullptr);
    return Loop(loop, Child(loop, "min"), Child(loop, "extent"), guarded);
  };
}

}  // namespace

void DefineLoops() {
  Selectors().Add("sequential-loop", {{kLoop}, SequentialLoop});
  Selectors().Add("thread-loop", {{kLoop}, ThreadLoop});
  Injectors().Add("other-extent", OtherExtent);
  Injectors().Add("thread-extent", ThreadExtent);
  Injectors().Add("later-start", LaterStart);
  DefineOperator("tir.loop-extent", {"sequential-loop", "other-extent", {{"by", -1}}});
  DefineOperator("tir.loop-start", {"sequential-loop", "later-start", {{"by", 1}}});
  DefineOperator("tir.thread-extent", {"thread-loop", "thread-extent", {{"by", -1}, {"to", 0}}});
}

}  // namespace tvm_mutate
