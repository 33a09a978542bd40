#include "rewriter.h"

#include <tvm/ffi/extra/structural_mutate.h>

#include <algorithm>

namespace tvm_mutate {
namespace {

constexpr int64_t kPackedFunctionOfC = 1;  // CallingConv.C_PACKED_FUNC

int32_t TypeIndexOf(const std::string& key) {
  TVMFFIByteArray bytes{key.data(), key.size()};
  int32_t index = 0;
  TVM_FFI_CHECK_SAFE_CALL(TVMFFITypeKeyToIndex(&bytes, &index));
  return index;
}

bool IsWhole(const Node& function) {
  Node attributes = Child(function, "attrs");
  if (!attributes.defined()) return true;
  auto convention = Field(attributes, "__dict__").cast<Parameters::Values>().Get("calling_conv");
  if (!convention) return true;
  auto number = convention->as<int64_t>();
  return (number ? *number : Field(convention->cast<Node>(), "value").cast<int64_t>()) != kPackedFunctionOfC;
}

// The walk over one function. Callbacks run inside of functions that must not throw anything but ffi::Error.
class Rewriter {
 public:
  Rewriter(const Node& function, std::vector<Tally>* tallies)
      : tallies_(tallies),
        inside_(IsWhole(function)),
        attribute_(TypeIndexOf("tirx.AttrStmt")),
        region_(TypeIndexOf("ir.TensorRegion")) {}

  ffi::Expected<Any> On(AnyView value, ffi::StructuralMutatorObj* mutator) {
    // What blocks declare to read and write repeats what their bodies do, and has no effect of its own.
    if (value.type_index() == region_) return Any(ffi::Unchanged());
    bool enters = !inside_ && value.type_index() == attribute_ && IsComputeScope(value.cast<Node>());
    if (enters) inside_ = true;
    auto descended = mutator->DefaultMutateExpected(value);
    if (enters) inside_ = false;
    if (descended.is_err()) return ffi::Unexpected(std::move(descended).error());
    bool is_offered = inside_ && !enters &&
                      std::any_of(tallies_->begin(), tallies_->end(),
                                  [&](const Tally& tally) { return Offers(tally, value.type_index()); });
    ffi::UnchangedOr<Any> result = std::move(descended).value();
    if (!is_offered) return std::move(result).ValueOrUnchanged(value);
    Node original = value.cast<Node>();
    Node rebuilt = std::move(result).ValueOrUnchanged(value).cast<Node>();
    for (Tally& tally : *tallies_) {
      if (Offers(tally, value.type_index())) rebuilt = tally.Visit(original, std::move(rebuilt));
    }
    return Any(std::move(rebuilt));
  }

 private:
  static bool Offers(const Tally& tally, int32_t type) {
    return std::find(tally.rule->types.begin(), tally.rule->types.end(), type) != tally.rule->types.end();
  }

  static bool IsComputeScope(const Node& attribute) {
    return Field(attribute, "attr_key").cast<ffi::String>() == "compute_scope";
  }

  std::vector<Tally>* tallies_;
  bool inside_;
  int32_t attribute_;
  int32_t region_;
};

}  // namespace

Rule Rule::Of(const std::string& name, const Parameters::Values& given) {
  const Operator& row = Operators().Get(name);
  Parameters parameters(name, row.defaults, given);
  return Of(Selectors().Get(row.selector), Injectors().Get(row.injector), parameters);
}

Rule Rule::Of(const Selector& selector, const Injector& injector, const Parameters& parameters) {
  Rule rule;
  for (const std::string& key : selector.types) rule.types.push_back(TypeIndexOf(key));
  rule.selects = selector.make(parameters);
  rule.replacement = injector(parameters);
  return rule;
}

Node Rule::Rewrite(const Node& node) const { return selects(node) ? replacement(node) : Node(); }

Node Tally::Visit(const Node& original, Node rebuilt) {
  Node candidate = rule->Rewrite(original);
  if (!candidate.defined()) return rebuilt;
  int64_t ordinal = found++;
  if (!sites.Contain(ordinal)) return rebuilt;
  if (!rebuilt.same_as(original)) {  // another mutation of the same mutant may have taken the site away
    bool is_offered =
        std::find(rule->types.begin(), rule->types.end(), rebuilt->type_index()) != rule->types.end();
    candidate = is_offered ? rule->Rewrite(rebuilt) : Node();
    if (!candidate.defined()) return rebuilt;
  }
  applied.push_back(ordinal);
  return candidate;
}

Node RewritePrimFunc(const Node& function, std::vector<Tally>* tallies) {
  Rewriter rewriter(function, tallies);
  // `function` is held here, so that the walk copies what it changes.
  return ffi::StructuralMutate(Any(function),
                               [&](AnyView value, ffi::StructuralMutatorObj* mutator) -> ffi::Expected<Any> {
                                 try {
                                   return rewriter.On(value, mutator);
                                 } catch (const ffi::Error&) {
                                   throw;
                                 } catch (const std::exception& error) {
                                   return ffi::Unexpected(ffi::Error("RuntimeError", error.what(), ""));
                                 }
                               })
      .cast<Node>();
}

}  // namespace tvm_mutate
