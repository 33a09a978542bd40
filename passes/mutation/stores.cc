// Stored values: tvm_mutate/operators/stores.py in C++.
#include <cmath>

#include "families.h"
#include "literals.h"

namespace tvm_mutate {
namespace {

constexpr char kStore[] = "tirx.BufferStore";

// The store with another value; null without one.
Node Storing(const Node& store, const Node& value) {
  return value.defined() ? Make(kStore, Child(store, "buffer"), value, Child(store, "indices"), nullptr) : Node();
}

// How many bits the mantissa of a type has that is stored; nothing where an epsilon has no size.
std::optional<int> MantissaBits(const Node& value) {
  std::optional<DLDataType> type = ElementType(value);
  if (!type) return std::nullopt;
  if (type->code == kDLBfloat) return 7;
  if (type->code != kDLFloat) return std::nullopt;
  switch (type->bits) {
    case 16: return 10;
    case 32: return 23;
    case 64: return 52;
    default: return std::nullopt;
  }
}

// The signed size of the fault in the type of a stored value.
class Epsilon {
 public:
  explicit Epsilon(const Parameters& parameters)
      : negative_(parameters.Choice("sign", std::map<std::string, bool>{{"minus", true}, {"plus", false}})),
        ulps_(parameters.Integer("ulps")),
        size_(parameters.Floating("epsilon")) {}

  double In(const Node& value) const {
    double size = size_ != 0 ? size_ : static_cast<double>(ulps_) * std::ldexp(1.0, -*MantissaBits(value));
    return negative_ ? -size : size;
  }

 private:
  bool negative_;
  int64_t ulps_;
  double size_;
};

Predicate FloatStore(const Parameters&) {
  return [](const Node& store) { return MantissaBits(Child(store, "value")).has_value(); };
}

Replacement Offset(const Parameters& parameters) {
  return [epsilon = Epsilon(parameters)](const Node& store) {
    Node value = Child(store, "value");
    double by = epsilon.In(value);
    if (std::optional<Number> constant = Literal(value)) {
      return Storing(store, AnotherConstant(value, constant->floating() + by));
    }
    Node size = ConstantLike(value, std::abs(by));
    return Storing(store, size.defined() ? Binary(by < 0 ? "prim.Sub" : "prim.Add", value, size) : Node());
  };
}

Replacement Scaled(const Parameters& parameters) {
  return [epsilon = Epsilon(parameters)](const Node& store) {
    Node value = Child(store, "value");
    double by = 1 + epsilon.In(value);
    if (std::optional<Number> constant = Literal(value)) {
      return Storing(store, AnotherConstant(value, constant->floating() * by));
    }
    Node factor = ConstantLike(value, by);
    return Storing(store, factor.defined() ? Binary("prim.Mul", value, factor) : Node());
  };
}

Replacement Nothing(const Parameters&) {
  return [](const Node&) { return NoStatement(); };
}

Predicate NumberStore(const Parameters&) {
  return [](const Node& store) {
    Node value = Child(store, "value");
    return HasFloat(value) || HasInteger(value);
  };
}

Replacement Zero(const Parameters&) {
  return [](const Node& store) {
    Node value = Child(store, "value");
    std::optional<Number> constant = Literal(value);
    return constant && *constant == Number(int64_t{0}) ? Node() : Storing(store, ConstantLike(value, int64_t{0}));
  };
}

Predicate Float32Store(const Parameters&) {
  return [](const Node& store) { return HasFloat32(Child(store, "value")); };
}

Replacement StoredThrough(const Parameters& parameters) {
  DLDataType narrow = ffi::StringToDLDataType(parameters.Text("type"));
  return [narrow](const Node& store) {
    Node value = Child(store, "value");
    if (std::optional<Number> constant = Literal(value)) {
      // An initial zero, say, which every type holds; or the lowest float32, of which TVM refuses the conversion.
      double converted = Converted(constant->floating(), narrow);
      if (converted == constant->floating() || !std::isfinite(converted)) return Node();
    }
    return Storing(store, Through(value, narrow));
  };
}

}  // namespace

void DefineStores() {
  Selectors().Add("store", {{kStore}, Always});
  Selectors().Add("float-store", {{kStore}, FloatStore});
  Selectors().Add("float32-store", {{kStore}, Float32Store});
  Selectors().Add("number-store", {{kStore}, NumberStore});
  Injectors().Add("offset", Offset);
  Injectors().Add("scaled", Scaled);
  Injectors().Add("nothing", Nothing);
  Injectors().Add("zero", Zero);
  Injectors().Add("stored-through", StoredThrough);
  DefineOperator("tir.offset-store",
                 {"float-store", "offset", {{"sign", "minus"}, {"ulps", 4096}, {"epsilon", 0.0}}});
  DefineOperator("tir.scale-store", {"float-store", "scaled", {{"sign", "plus"}, {"ulps", 4096}, {"epsilon", 0.0}}});
  DefineOperator("tir.drop-store", {"store", "nothing", {}});
  DefineOperator("tir.store-zero", {"number-store", "zero", {}});
  DefineOperator("tir.store-through", {"float32-store", "stored-through", {{"type", "float16"}}});
}

}  // namespace tvm_mutate
