#include "registry.h"

#include "../registration.h"

namespace tvm_mutate {

// Never destroyed: at the end of the process the interpreter may be gone that their functions come from.
Registry<Selector>& Selectors() {
  static auto* selectors = new Registry<Selector>("selector");
  return *selectors;
}

Registry<Injector>& Injectors() {
  static auto* injectors = new Registry<Injector>("injector");
  return *injectors;
}

Registry<Operator>& Operators() {
  static auto* operators = new Registry<Operator>("operator");
  return *operators;
}

namespace {

// Of other libraries and of Python: `make(parameters)` gives a function of a node.
void RegisterSelector(const ffi::String& name, const ffi::Array<ffi::String>& types, const ffi::Function& make) {
  std::vector<std::string> keys(types.begin(), types.end());
  Selectors().Add(name, {keys, [make](const Parameters& parameters) -> Predicate {
                           auto selects = make(parameters.values()).cast<ffi::Function>();
                           return [selects](const Node& node) { return selects(node).cast<bool>(); };
                         }});
}

void RegisterInjector(const ffi::String& name, const ffi::Function& make) {
  Injectors().Add(name, [make](const Parameters& parameters) -> Replacement {
    auto replacement = make(parameters.values()).cast<ffi::Function>();
    return [replacement](const Node& node) {
      return replacement(node).cast<ffi::Optional<Node>>().value_or(Node());
    };
  });
}

void RegisterOperator(const ffi::String& name, const ffi::String& selector, const ffi::String& injector,
                      const Parameters::Values& defaults) {
  DefineOperator(name, {selector, injector, defaults});
}

TVM_FFI_STATIC_INIT_BLOCK() {
  DefineGlobal("selectors", [] { return Selectors().Names(); });
  DefineGlobal("injectors", [] { return Injectors().Names(); });
  DefineGlobal("operators", [] { return Operators().Names(); });
  DefineGlobal("register_selector", RegisterSelector);
  DefineGlobal("register_injector", RegisterInjector);
  DefineGlobal("register_operator", RegisterOperator);
}

}  // namespace
}  // namespace tvm_mutate
