// The table of switchable sites, and the functions with which Python sets and reads it.
#include "sites.h"

#include <tvm/ffi/tvm_ffi.h>

#include <array>
#include <atomic>

#include "registration.h"

namespace {

// Sites are numbered from 1. Counters are memory that is touched only where a site is reached.
constexpr int32_t kMostSites = 1 << 16;

std::atomic<int32_t> active_site{0};
std::array<std::atomic<int64_t>, kMostSites + 1> reached{};

int32_t Checked(int64_t site, int64_t least) {
  if (site < least || site > kMostSites) {
    TVM_FFI_THROW(ValueError) << "there is no site " << site << ": sites are numbered from 1 to " << kMostSites;
  }
  return static_cast<int32_t>(site);
}

void Activate(int64_t site) { active_site.store(Checked(site, 0), std::memory_order_relaxed); }

int64_t ReachCount(int64_t site) { return reached[Checked(site, 1)].load(std::memory_order_relaxed); }

void ResetReachCounts() {
  for (auto& count : reached) {
    if (count.load(std::memory_order_relaxed) != 0) count.store(0, std::memory_order_relaxed);
  }
}

TVM_FFI_STATIC_INIT_BLOCK() {
  tvm_mutate::DefineGlobal("activate_site", Activate);
  tvm_mutate::DefineGlobal("active_site", []() { return static_cast<int64_t>(tvm_mutate_active_site()); });
  tvm_mutate::DefineGlobal("reach_count", ReachCount);
  tvm_mutate::DefineGlobal("reset_reach_counts", ResetReachCounts);
  tvm_mutate::DefineGlobal("most_sites", []() { return static_cast<int64_t>(kMostSites); });
}

}  // namespace

int32_t tvm_mutate_active_site() { return active_site.load(std::memory_order_relaxed); }

int32_t tvm_mutate_reach_site(int32_t site) {
  if (site > 0 && site <= kMostSites) reached[site].fetch_add(1, std::memory_order_relaxed);
  return site == active_site.load(std::memory_order_relaxed) ? 1 : 0;
}
