// Constants in TIR: tvm_mutate/operators/tir_nodes.py in C++.
#ifndef TVM_MUTATE_MUTATION_LITERALS_H_
#define TVM_MUTATE_MUTATION_LITERALS_H_

#include <optional>
#include <string>

#include "nodes.h"

namespace tvm_mutate {

// The value of a constant: an integer or a float, as Python has them.
class Number {
 public:
  Number(int64_t value) : is_integer_(true), integer_(value) {}         // NOLINT(runtime/explicit)
  Number(double value) : is_integer_(false), floating_(value) {}        // NOLINT(runtime/explicit)
  bool is_integer() const { return is_integer_; }
  int64_t integer() const { return is_integer_ ? integer_ : static_cast<int64_t>(floating_); }
  double floating() const { return is_integer_ ? static_cast<double>(integer_) : floating_; }
  bool operator==(const Number& other) const;

 private:
  bool is_integer_;
  int64_t integer_ = 0;
  double floating_ = 0;
};

// The data type of an expression, lanes and all; nothing where it has none (pointers).
std::optional<DLDataType> TypeOf(const Node& expression);

// The scalar data type of its lanes.
std::optional<DLDataType> ElementType(const Node& expression);

bool IsFloat(DLDataType type);
bool IsInteger(DLDataType type);  // signed or unsigned, but no truth value
bool HasFloat(const Node& expression);
bool HasInteger(const Node& expression);
bool HasFloat32(const Node& expression);

// Whether an expression is a vector.
bool IsVector(const Node& expression);

// The value of a constant, or of a vector that repeats one; nothing for anything else.
std::optional<Number> Literal(const Node& expression);

// The constant of a type.
Node Constant(const Number& value, DLDataType type);

// The constant of the expression's type (a vector for a vector), or null if the type cannot hold the value.
Node ConstantLike(const Node& expression, const Number& value);

// The constant with another value, or null if that is the same one once rounded, or out of range.
Node AnotherConstant(const Node& constant, const Number& value);

// A float32 value after a conversion to the narrow type and back; NaN where the type cannot hold it.
double Converted(double value, DLDataType narrow);

}  // namespace tvm_mutate

#endif  // TVM_MUTATE_MUTATION_LITERALS_H_
