// Mutations as TVM passes, and the globals that make them.
#include <fnmatch.h>
#include <tvm/ffi/extra/structural_equal.h>
#include <tvm/ffi/rvalue_ref.h>

#include <algorithm>

#include "../registration.h"
#include "rewriter.h"

namespace tvm_mutate {
namespace {

using Functions = ffi::Map<Node, Node>;
// Operator, parameters, glob of functions, first and last site (negative: all).
using MutationArguments = ffi::Tuple<ffi::String, Parameters::Values, ffi::String, int64_t, int64_t>;
// Which mutation, function, sites found, sites rewritten, whether the function came out different.
using Applied = ffi::Tuple<int64_t, ffi::String, int64_t, ffi::Array<int64_t>, bool>;

struct Mutation {
  std::string name;
  Rule rule;
  std::string functions;
  Sites sites;

  bool Matches(const std::string& function) const {
    return fnmatch(functions.c_str(), function.c_str(), FNM_NOESCAPE) == 0;
  }
};

std::string NameOf(const Node& variable) { return Field(variable, "name_hint").cast<ffi::String>(); }

// What the mutations do to one function of a module: its new body, and a row for each that matches.
Node Apply(const Node& function, const std::string& name, const std::vector<Mutation>& mutations,
           ffi::Array<Applied>* report) {
  std::vector<Tally> tallies;
  std::vector<int64_t> indices;
  for (size_t index = 0; index < mutations.size(); ++index) {
    if (!mutations[index].Matches(name)) continue;
    tallies.push_back({&mutations[index].rule, mutations[index].sites, 0, {}});
    indices.push_back(static_cast<int64_t>(index));
  }
  if (tallies.empty()) return function;
  Node rewritten = RewritePrimFunc(function, &tallies);
  bool changed = !ffi::StructuralEqual::Equal(Any(function), Any(rewritten));
  bool applied = false;
  for (size_t row = 0; row < tallies.size(); ++row) {
    const Tally& tally = tallies[row];
    applied = applied || !tally.applied.empty();
    report->push_back(Applied(indices[row], name, tally.found,
                              ffi::Array<int64_t>(tally.applied.begin(), tally.applied.end()),
                              changed && !tally.applied.empty()));
  }
  return applied ? rewritten : function;
}

// The module with all mutations applied at once; functions are taken in the order of their names.
Node ApplyAll(const Node& module, const std::vector<Mutation>& mutations, ffi::Array<Applied>* report) {
  Functions functions = Field(module, "functions").cast<Functions>();
  std::vector<std::pair<std::string, Node>> variables;
  for (const auto& [variable, function] : functions) {
    if (Is(function, "tirx.PrimFunc")) variables.emplace_back(NameOf(variable), variable);
  }
  std::sort(variables.begin(), variables.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  bool changed = false;
  for (const auto& [name, variable] : variables) {
    Node before = functions[variable];
    Node after = Apply(before, name, mutations, report);
    if (after.same_as(before)) continue;
    functions.Set(variable, after);
    changed = true;
  }
  return changed ? Make("ir.IRModule", functions, Child(module, "attrs"), Field(module, "global_infos")) : module;
}

// A pass over modules. `recorder` gets what was applied, each time the pass runs.
Node MakePass(std::vector<Mutation> mutations, ffi::Optional<ffi::Function> recorder) {
  std::string name = "tvm_mutate.native.";
  for (const Mutation& mutation : mutations) name += (&mutation == &mutations[0] ? "" : "+") + mutation.name;
  Node info = Make("transform.PassInfo", 0, name, ffi::Array<ffi::String>(), false);
  auto run = [mutations = std::move(mutations), recorder](ffi::RValueRef<Node> module, const Node&) {
    ffi::Array<Applied> report;
    Node mutated = ApplyAll(*std::move(module), mutations, &report);
    if (recorder) (*recorder)(report);
    return mutated;
  };
  return Make("transform.MakeModulePass", ffi::Function::FromTyped(std::move(run)), info);
}

Mutation Resolve(const MutationArguments& arguments) {
  std::string name = arguments.get<0>();
  return {name, Rule::Of(name, arguments.get<1>()), arguments.get<2>(), {arguments.get<3>(), arguments.get<4>()}};
}

// Any selector with any injector: their parameters are all that are given.
Node MakePairPass(const ffi::String& selector, const ffi::String& injector, const Parameters::Values& given,
                  const ffi::String& functions, int64_t first, int64_t last,
                  ffi::Optional<ffi::Function> recorder) {
  std::string name = std::string(selector) + "*" + std::string(injector);
  Parameters parameters(name, given, given);
  Rule rule = Rule::Of(Selectors().Get(selector), Injectors().Get(injector), parameters);
  return MakePass({Mutation{name, rule, functions, {first, last}}}, std::move(recorder));
}

}  // namespace

void DefineOperator(const std::string& name, Operator row) {
  Selectors().Get(row.selector);
  Injectors().Get(row.injector);
  Operators().Add(name, std::move(row));
  DefineGlobal("pass." + name, [name](const Parameters::Values& given, const ffi::String& functions, int64_t first,
                                      int64_t last) {
    return MakePass({Mutation{name, Rule::Of(name, given), functions, {first, last}}}, std::nullopt);
  });
}

namespace {

TVM_FFI_STATIC_INIT_BLOCK() {
  DefineGlobal("mutation_pass",
               [](const ffi::Array<MutationArguments>& mutations, ffi::Optional<ffi::Function> recorder) {
                 std::vector<Mutation> resolved;
                 for (const MutationArguments& arguments : mutations) resolved.push_back(Resolve(arguments));
                 return MakePass(std::move(resolved), std::move(recorder));
               });
  DefineGlobal("pair_pass", MakePairPass);
}

}  // namespace
}  // namespace tvm_mutate
