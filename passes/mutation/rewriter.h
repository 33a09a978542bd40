// Finds and rewrites the sites of operators in one PrimFunc: tvm_mutate/passes/tir_rewriter.py in C++.
#ifndef TVM_MUTATE_MUTATION_REWRITER_H_
#define TVM_MUTATE_MUTATION_REWRITER_H_

#include <string>
#include <vector>

#include "nodes.h"
#include "registry.h"

namespace tvm_mutate {

// An operator with its parameters, made ready.
struct Rule {
  std::vector<int32_t> types;
  Predicate selects;
  Replacement replacement;

  // Throws ValueError for an unknown operator and for wrong parameters.
  static Rule Of(const std::string& name, const Parameters::Values& given);

  // The rule of any selector with any injector.
  static Rule Of(const Selector& selector, const Injector& injector, const Parameters& parameters);

  // What stands where the node is; null where no site is.
  Node Rewrite(const Node& node) const;
};

// The ordinals that a mutation takes: from `first` to `last`, or all from there on where `last` is negative.
struct Sites {
  int64_t first = 0;
  int64_t last = -1;
  bool Contain(int64_t ordinal) const { return first <= ordinal && (last < 0 || ordinal <= last); }
};

// The sites of one mutation in one function: how many were found, and which of them were rewritten.
struct Tally {
  const Rule* rule;
  Sites sites;
  int64_t found = 0;
  std::vector<int64_t> applied;

  // `rebuilt`, or its replacement where this is a selected site. Whether a site is here is decided on the original
  // node alone, so that the ordinals of a higher-order mutant's mutations do not depend on each other.
  Node Visit(const Node& original, Node rebuilt);
};

// The function with the selected sites of every tally rewritten. Nodes are numbered in post order; in a host function
// with packed-API argument checks only the body under `compute_scope` is looked at.
Node RewritePrimFunc(const Node& function, std::vector<Tally>* tallies);

}  // namespace tvm_mutate

#endif  // TVM_MUTATE_MUTATION_REWRITER_H_
