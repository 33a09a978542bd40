// Comparisons, branches and connectives: tvm_mutate/operators/conditions.py in C++.
#include "families.h"
#include "literals.h"

namespace tvm_mutate {
namespace {

using Kinds = std::map<std::string, std::string>;

const Kinds& Comparisons() {
  static const Kinds kinds{{"lt", "prim.LT"}, {"le", "prim.LE"}, {"gt", "prim.GT"},
                           {"ge", "prim.GE"}, {"eq", "prim.EQ"}, {"ne", "prim.NE"}};
  return kinds;
}

bool IsExtremum(const Node& node) { return Is(node, "prim.Max") || Is(node, "prim.Min"); }

bool StartsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

// Whether a condition checks memory or return codes that TVM's own run-time calls give.
bool ChecksTheRunTime(Node condition) {
  while (!Is(condition, "ir.Call")) {
    std::optional<Any> left = FieldIfAny(condition, "a");
    if (!left) return false;
    condition = left->cast<Node>();
  }
  std::string called = CalledOperator(condition);
  return StartsWith(called, "tirx.TVMBackend") || StartsWith(called, "tirx.isnullptr");
}

// The class of the comparison that decides a node: its own, or the one that a min or max is lowered to.
std::string DecidingKind(const Node& node) {
  if (Is(node, "prim.Max")) return "prim.GT";
  return Is(node, "prim.Min") ? "prim.LT" : KindOf(node);
}

Predicate ComparisonOf(const Parameters& parameters) {
  std::string before = parameters.Choice("from", Comparisons());
  return [before](const Node& node) {
    return DecidingKind(node) == before && !ChecksTheRunTime(node);
  };
}

Replacement OtherComparison(const Parameters& parameters) {
  std::string after = parameters.Choice("to", Comparisons());
  return [after](const Node& node) -> Node {
    Node a = Child(node, "a"), b = Child(node, "b");
    bool is_equality = after == "prim.EQ" || after == "prim.NE";
    if (after == DecidingKind(node) || (!is_equality && !HasFloat(a) && !HasInteger(a))) return Node();
    if (!IsExtremum(node)) return Binary(after, a, b);
    // Taking the other one of two equal integers has no effect (zeros of floats differ).
    bool same_but_for_ties = after == (Is(node, "prim.Max") ? "prim.GE" : "prim.LE");
    if (same_but_for_ties && HasInteger(node)) return Node();
    return Make("prim.Select", Binary(after, a, b), a, b, nullptr);
  };
}

// The condition of a branch; null if the condition is constant or checks TVM's run time, and for other nodes.
Node Condition(const Node& node) {
  Node condition;
  if (Is(node, "ir.Call")) {
    if (CalledOperator(node) == "prim.if_then_else") condition = Children(node, "args")[0];
  } else {
    condition = Child(node, Is(node, "s_tir.SBlockRealize") ? "predicate" : "condition");
  }
  if (!condition.defined() || Literal(condition) || ChecksTheRunTime(condition)) return Node();
  return condition;
}

bool IsGuard(const Node& node) {
  return Is(node, "s_tir.SBlockRealize") ||
         (Is(node, "tirx.IfThenElse") && !Child(node, "else_case").defined());
}

Predicate Branch(const Parameters&) {
  return [](const Node& node) { return Condition(node).defined(); };
}

Predicate Guard(const Parameters&) {
  return [](const Node& node) { return IsGuard(node) && Condition(node).defined(); };
}

Node WithPredicate(const Node& block, const Node& predicate) {
  return Make("s_tir.SBlockRealize", Child(block, "iter_values"), predicate, Child(block, "block"), nullptr);
}

Node WithCondition(const Node& node, const Node& condition) {
  if (Is(node, "s_tir.SBlockRealize")) return WithPredicate(node, condition);
  if (Is(node, "ir.Call")) {
    return Make("ir.Call", Child(node, "ty"), Child(node, "op"), With(Children(node, "args"), 0, condition),
                Child(node, "attrs"), Child(node, "ty_args"), nullptr);
  }
  if (Is(node, "tirx.IfThenElse")) {
    return Make("tirx.IfThenElse", condition, Child(node, "then_case"), Child(node, "else_case"), nullptr);
  }
  return Make("prim.Select", condition, Child(node, "true_value"), Child(node, "false_value"), nullptr);
}

Node Truth(bool value) { return Make("node._const", value, ffi::StringToDLDataType("bool"), nullptr); }

Replacement Negated(const Parameters&) {
  return [](const Node& node) {
    Node condition = Condition(node);
    Node contrary = Is(condition, "prim.Not") ? Child(condition, "a") : Make("prim.Not", condition, nullptr);
    return WithCondition(node, contrary);
  };
}

Replacement OneSide(const Parameters& parameters) {
  bool holds = parameters.Flag("to");
  return [holds](const Node& node) -> Node {
    if (Is(node, "ir.Call")) return Children(node, "args")[holds ? 1 : 2];
    if (Is(node, "prim.Select")) return Child(node, holds ? "true_value" : "false_value");
    if (!IsGuard(node)) return Child(node, holds ? "then_case" : "else_case");
    if (holds) return Node();  // which is what "unguarded" does
    return Is(node, "s_tir.SBlockRealize") ? WithPredicate(node, Truth(false)) : NoStatement();
  };
}

Replacement Unguarded(const Parameters&) {
  return [](const Node& node) {
    return Is(node, "s_tir.SBlockRealize") ? WithPredicate(node, Truth(true)) : Child(node, "then_case");
  };
}

Predicate ConnectiveOf(const Parameters& parameters) {
  std::string kind = parameters.Choice("from", Kinds{{"and", "prim.And"}, {"or", "prim.Or"}});
  return [kind](const Node& node) { return KindOf(node) == kind; };
}

Replacement OneOperand(const Parameters& parameters) {
  // The one that is left out.
  std::string kept = parameters.Choice("operand", Kinds{{"left", "b"}, {"right", "a"}});
  return [kept](const Node& node) { return Child(node, kept.c_str()); };
}

}  // namespace

void DefineConditions() {
  std::vector<std::string> deciding{"prim.LT", "prim.LE", "prim.GT", "prim.GE", "prim.EQ", "prim.NE",
                                    "prim.Max", "prim.Min"};
  std::vector<std::string> statements{"tirx.IfThenElse", "s_tir.SBlockRealize"};
  std::vector<std::string> branches{"tirx.IfThenElse", "s_tir.SBlockRealize", "prim.Select", "ir.Call"};
  std::vector<std::string> connectives{"prim.And", "prim.Or"};
  Selectors().Add("comparison", {deciding, ComparisonOf});
  Selectors().Add("branch", {branches, Branch});
  Selectors().Add("guard", {statements, Guard});
  Selectors().Add("connective", {connectives, ConnectiveOf});
  Selectors().Add("logical", {connectives, Always});
  Injectors().Add("other-comparison", OtherComparison);
  Injectors().Add("negated", Negated);
  Injectors().Add("one-side", OneSide);
  Injectors().Add("unguarded", Unguarded);
  Injectors().Add("one-operand", OneOperand);
  DefineOperator("tir.swap-compare", {"comparison", "other-comparison", {{"from", nullptr}, {"to", nullptr}}});
  DefineOperator("tir.negate-condition", {"branch", "negated", {}});
  DefineOperator("tir.force-condition", {"branch", "one-side", {{"to", false}}});
  DefineOperator("tir.drop-guard", {"guard", "unguarded", {}});
  DefineOperator("tir.swap-logic", {"connective", "opposite", {{"from", "and"}}});
  DefineOperator("tir.drop-operand", {"logical", "one-operand", {{"operand", "right"}}});
}

}  // namespace tvm_mutate
