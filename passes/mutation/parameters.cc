#include "parameters.h"

namespace tvm_mutate {

Parameters::Parameters(std::string owner, const Values& defaults, const Values& given)
    : owner_(std::move(owner)), values_(defaults) {
  for (const auto& [name, value] : given) {
    if (defaults.count(name) == 0) TVM_FFI_THROW(ValueError) << owner_ << " has no parameter '" << name << "'";
    values_.Set(name, value);
  }
  for (const auto& [name, value] : values_) {
    if (value == nullptr) TVM_FFI_THROW(ValueError) << owner_ << " needs the parameter '" << name << "'";
  }
}

Any Parameters::Value(const char* name) const {
  auto value = values_.Get(name);
  if (!value) Refuse(name, "is missing");
  return *value;
}

std::string Parameters::Text(const char* name) const {
  auto text = Value(name).as<ffi::String>();
  if (!text) Refuse(name, "is not a text");
  return *text;
}

int64_t Parameters::Integer(const char* name) const {
  Any value = Value(name);
  if (value.type_index() != ffi::TypeIndex::kTVMFFIInt) Refuse(name, "is not an integer");
  return value.cast<int64_t>();
}

double Parameters::Floating(const char* name) const {
  Any value = Value(name);
  bool is_number =
      value.type_index() == ffi::TypeIndex::kTVMFFIFloat || value.type_index() == ffi::TypeIndex::kTVMFFIInt;
  if (!is_number) Refuse(name, "is not a number");
  return value.cast<double>();
}

bool Parameters::Flag(const char* name) const {
  Any value = Value(name);
  if (value.type_index() != ffi::TypeIndex::kTVMFFIBool) Refuse(name, "is neither true nor false");
  return value.cast<bool>();
}

void Parameters::Refuse(const std::string& name, const std::string& what) const {
  TVM_FFI_THROW(ValueError) << owner_ << ": the parameter '" << name << "' " << what;
}

}  // namespace tvm_mutate
