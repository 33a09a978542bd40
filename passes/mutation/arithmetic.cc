// Arithmetic, extrema, divisions and casts: as in tvm_mutate/operators, files of these names.
#include "families.h"
#include "literals.h"

namespace tvm_mutate {
namespace {

using Kinds = std::map<std::string, std::string>;

const Kinds& Arithmetic() {
  static const Kinds kinds{
      {"add", "prim.Add"}, {"subtract", "prim.Sub"}, {"multiply", "prim.Mul"}, {"divide", "prim.Div"}};
  return kinds;
}

Predicate FloatArithmetic(const Parameters& parameters) {
  std::string before = parameters.Choice("from", Arithmetic());
  return [before](const Node& node) { return KindOf(node) == before && HasFloat(node); };
}

Replacement OtherArithmetic(const Parameters& parameters) {
  std::string after = parameters.Choice("to", Arithmetic());
  return [after](const Node& node) {
    return KindOf(node) == after ? Node() : Binary(after, Child(node, "a"), Child(node, "b"));
  };
}

Predicate FloatExtremum(const Parameters& parameters) {
  std::string kind = parameters.Choice("from", Kinds{{"max", "prim.Max"}, {"min", "prim.Min"}});
  return [kind](const Node& node) { return KindOf(node) == kind && HasFloat(node); };
}

Predicate IntegerDivision(const Parameters& parameters) {
  bool floors = parameters.Choice("from", std::map<std::string, bool>{{"floor", true}, {"truncated", false}});
  return [floors](const Node& node) {
    return (Is(node, "prim.FloorDiv") || Is(node, "prim.FloorMod")) == floors && HasInteger(node);
  };
}

// The node of the same operands that is the other one of two.
Replacement Opposite(const Parameters&) {
  return [](const Node& node) {
    static const Kinds opposites{{"prim.Max", "prim.Min"},      {"prim.Min", "prim.Max"},
                                 {"prim.And", "prim.Or"},       {"prim.Or", "prim.And"},
                                 {"prim.FloorDiv", "prim.Div"}, {"prim.Div", "prim.FloorDiv"},
                                 {"prim.FloorMod", "prim.Mod"}, {"prim.Mod", "prim.FloorMod"}};
    auto found = opposites.find(KindOf(node));
    return found == opposites.end() ? Node() : Binary(found->second, Child(node, "a"), Child(node, "b"));
  };
}

// Another rounding of the same operands, or of a dividend that a multiple of the divisor shifts beyond its type.
Replacement OtherDivision(const Parameters& parameters) {
  Replacement opposite = Opposite(parameters);
  bool shifts = parameters.Choice("by", std::map<std::string, bool>{{"rounding", false}, {"shift", true}});
  if (!shifts) return opposite;
  return [opposite](const Node& node) {
    std::optional<Number> divisor = Literal(Child(node, "b"));
    DLDataType type = *ElementType(node);
    if (!divisor || divisor->integer() < 2 || type.code != kDLInt) return Node();
    int64_t most = static_cast<int64_t>(~uint64_t{0} >> (65 - type.bits)), multiple = most / divisor->integer();
    Node dividend = Child(node, "a"), other = opposite(node);
    Node shifted = Binary("prim.Add", dividend, ConstantLike(dividend, multiple * divisor->integer()));
    Node divided = Binary(KindOf(other), shifted, Child(node, "b"));
    return Is(divided, "prim.Mod") || Is(divided, "prim.FloorMod")
               ? divided
               : Binary("prim.Sub", divided, ConstantLike(node, multiple));
  };
}

Predicate Float32(const Parameters&) { return HasFloat32; }

Replacement ThroughType(const Parameters& parameters) {
  DLDataType narrow = ffi::StringToDLDataType(parameters.Text("type"));
  return [narrow](const Node& node) { return Through(node, narrow); };
}

}  // namespace

Node Through(const Node& value, DLDataType narrow) {
  DLDataType wide = *TypeOf(value);
  narrow.lanes = wide.lanes;
  // The nodes themselves: helpers that fold casts would take the narrow type away again.
  return Make("prim.Cast", wide, Make("prim.Cast", narrow, value, nullptr), nullptr);
}

void DefineArithmetic() {
  Selectors().Add("float-arithmetic", {{"prim.Add", "prim.Sub", "prim.Mul", "prim.Div"}, FloatArithmetic});
  Selectors().Add("float-extremum", {{"prim.Max", "prim.Min"}, FloatExtremum});
  Selectors().Add("integer-division",
                  {{"prim.FloorDiv", "prim.FloorMod", "prim.Div", "prim.Mod"}, IntegerDivision});
  Selectors().Add("float32-value", {{"ir.TensorLoad", "prim.Mul"}, Float32});
  Injectors().Add("other-arithmetic", OtherArithmetic);
  Injectors().Add("opposite", Opposite);
  Injectors().Add("other-division", OtherDivision);
  Injectors().Add("through-type", ThroughType);
  DefineOperator("tir.replace-float-arithmetic",
                 {"float-arithmetic", "other-arithmetic", {{"from", nullptr}, {"to", nullptr}}});
  DefineOperator("tir.swap-extremum", {"float-extremum", "opposite", {{"from", "max"}}});
  DefineOperator("tir.swap-division", {"integer-division", "other-division", {{"from", "floor"}, {"by", "rounding"}}});
  DefineOperator("tir.narrow-cast", {"float32-value", "through-type", {{"type", "float16"}}});
}

}  // namespace tvm_mutate
