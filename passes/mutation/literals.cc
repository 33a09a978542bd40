#include "literals.h"

#include <tvm/ffi/dtype.h>

#include <cmath>
#include <limits>

namespace tvm_mutate {
namespace {

// What a double comes to in binary16: 11 significant bits down to an exponent of -14, infinity beyond 65504.
double RoundedToHalf(double value) {
  if (!std::isfinite(value) || value == 0) return value;
  int exponent = std::max(std::ilogb(value), -14);
  double quantum = std::ldexp(1.0, exponent - 10);
  double rounded = std::nearbyint(value / quantum) * quantum;
  return std::abs(rounded) > 65504 ? std::copysign(std::numeric_limits<double>::infinity(), value) : rounded;
}

double Rounded(double value, DLDataType type) {
  if (type.code == kDLFloat && type.bits == 64) return value;
  if (type.code == kDLFloat && type.bits == 16) return RoundedToHalf(value);
  return static_cast<float>(value);  // bfloat16 has the range of float32
}

bool Holds(DLDataType type, const Number& value) {
  if (IsFloat(type)) {
    // Infinity and NaN are constants as good as any; what overflows to infinity is not.
    return !std::isfinite(value.floating()) || std::isfinite(Rounded(value.floating(), type));
  }
  bool is_signed = type.code == kDLInt;
  double low = is_signed ? -std::ldexp(1.0, type.bits - 1) : 0;
  double beyond = std::ldexp(1.0, is_signed ? type.bits - 1 : type.bits);
  if (!value.is_integer()) return low <= value.floating() && value.floating() < beyond;
  if (type.bits >= 64) return is_signed || value.integer() >= 0;
  return static_cast<int64_t>(low) <= value.integer() && value.integer() < static_cast<int64_t>(beyond);
}

}  // namespace

bool Number::operator==(const Number& other) const {
  return is_integer_ && other.is_integer_ ? integer_ == other.integer_ : floating() == other.floating();
}

std::optional<DLDataType> TypeOf(const Node& expression) {
  std::optional<Any> type = FieldIfAny(expression, "ty");
  if (!type) return std::nullopt;
  std::optional<Any> dtype = FieldIfAny(type->cast<ffi::Optional<Node>>().value_or(Node()), "dtype");
  return dtype ? dtype->as<DLDataType>() : std::nullopt;
}

std::optional<DLDataType> ElementType(const Node& expression) {
  std::optional<DLDataType> type = TypeOf(expression);
  if (type) type->lanes = 1;
  return type;
}

bool IsFloat(DLDataType type) {
  return type.code == kDLFloat || type.code == kDLBfloat || type.code >= kDLFloat8_e3m4;
}

bool IsInteger(DLDataType type) { return type.code == kDLInt || type.code == kDLUInt; }

bool HasFloat(const Node& expression) {
  std::optional<DLDataType> type = TypeOf(expression);
  return type && IsFloat(*type);
}

bool HasInteger(const Node& expression) {
  std::optional<DLDataType> type = TypeOf(expression);
  return type && IsInteger(*type);
}

bool HasFloat32(const Node& expression) {
  std::optional<DLDataType> type = TypeOf(expression);
  return type && type->code == kDLFloat && type->bits == 32;
}

bool IsVector(const Node& expression) {
  std::optional<DLDataType> type = TypeOf(expression);
  return type && static_cast<int16_t>(type->lanes) > 1;
}

std::optional<Number> Literal(const Node& expression) {
  Node constant = Is(expression, "prim.Broadcast") ? Child(expression, "value") : expression;
  if (Is(constant, "ir.IntImm")) return Number(Field(constant, "value").cast<int64_t>());
  if (Is(constant, "ir.FloatImm")) return Number(Field(constant, "value").cast<double>());
  return std::nullopt;
}

Node Constant(const Number& value, DLDataType type) {
  return value.is_integer() ? Make("node._const", value.integer(), type, nullptr)
                            : Make("node._const", value.floating(), type, nullptr);
}

Node ConstantLike(const Node& expression, const Number& value) {
  return Holds(*ElementType(expression), value) ? Constant(value, *TypeOf(expression)) : Node();
}

Node AnotherConstant(const Node& constant, const Number& value) {
  Number before = *Literal(constant);
  DLDataType type = *ElementType(constant);
  bool same = value == before ||
              (IsFloat(type) && Rounded(value.floating(), type) == Rounded(before.floating(), type));
  return same ? Node() : ConstantLike(constant, value);
}

double Converted(double value, DLDataType type) {
  if (IsFloat(type)) return Rounded(value, type);
  double whole = std::trunc(value);
  return std::isfinite(value) && Holds(type, whole) ? whole : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace tvm_mutate
