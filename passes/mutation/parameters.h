// The parameters of a mutation: typed, and errors that name the operator.
#ifndef TVM_MUTATE_MUTATION_PARAMETERS_H_
#define TVM_MUTATE_MUTATION_PARAMETERS_H_

#include <map>
#include <string>

#include "nodes.h"

namespace tvm_mutate {

class Parameters {
 public:
  using Values = ffi::Map<ffi::String, Any>;

  // What is given, and defaults for the rest. Throws ValueError for unknown parameters and for missing ones.
  Parameters(std::string owner, const Values& defaults, const Values& given);

  // Each throws ValueError where the parameter is of another type.
  std::string Text(const char* name) const;
  int64_t Integer(const char* name) const;
  double Floating(const char* name) const;
  bool Flag(const char* name) const;

  // What a text stands for; throws ValueError for one that is not among the choices.
  template <typename T>
  T Choice(const char* name, const std::map<std::string, T>& choices) const {
    std::string text = Text(name);
    auto found = choices.find(text);
    if (found == choices.end()) Refuse(name, "does not know '" + text + "'");
    return found->second;
  }

  const Values& values() const { return values_; }

 private:
  Any Value(const char* name) const;
  [[noreturn]] void Refuse(const std::string& name, const std::string& what) const;

  std::string owner_;
  Values values_;
};

}  // namespace tvm_mutate

#endif  // TVM_MUTATE_MUTATION_PARAMETERS_H_
