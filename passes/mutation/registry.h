// Selectors, injectors and the operators that they make up, by name.
#ifndef TVM_MUTATE_MUTATION_REGISTRY_H_
#define TVM_MUTATE_MUTATION_REGISTRY_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nodes.h"
#include "parameters.h"

namespace tvm_mutate {

// Whether a node is a site.
using Predicate = std::function<bool(const Node&)>;
// What stands there instead; null where nothing can, which is no site either.
using Replacement = std::function<Node(const Node&)>;

// Which nodes are sites: of exactly these classes, and as a predicate says that is made from the parameters.
struct Selector {
  std::vector<std::string> types;
  std::function<Predicate(const Parameters&)> make;
};

// What stands at a site, made from the parameters.
using Injector = std::function<Replacement(const Parameters&)>;

// A selector and an injector with the parameters of both, defaults filled in; None is a parameter without default.
struct Operator {
  std::string selector;
  std::string injector;
  ffi::Map<ffi::String, Any> defaults;
};

// Things of one sort by their names.
template <typename T>
class Registry {
 public:
  explicit Registry(const char* sort) : sort_(sort) {}

  // Registers; throws ValueError if the name is taken.
  void Add(const std::string& name, T thing) {
    if (!things_.emplace(name, std::move(thing)).second) {
      TVM_FFI_THROW(ValueError) << "there is a native " << sort_ << " " << name << " already";
    }
  }

  // Throws ValueError for an unknown name.
  const T& Get(const std::string& name) const {
    auto found = things_.find(name);
    if (found == things_.end()) TVM_FFI_THROW(ValueError) << "there is no native " << sort_ << " " << name;
    return found->second;
  }

  ffi::Array<ffi::String> Names() const {
    ffi::Array<ffi::String> names;
    for (const auto& [name, thing] : things_) names.push_back(name);
    return names;
  }

 private:
  const char* sort_;
  std::map<std::string, T> things_;
};

Registry<Selector>& Selectors();
Registry<Injector>& Injectors();
Registry<Operator>& Operators();

// Registers an operator and the global function `tvm_mutate.native.pass.<name>` that makes its pass from parameters,
// a glob of functions, and the first and last site (negative: all). Throws ValueError for unknown parts.
void DefineOperator(const std::string& name, Operator row);

}  // namespace tvm_mutate

#endif  // TVM_MUTATE_MUTATION_REGISTRY_H_
