// Faults at run time. Rounding needs no rounding mode of the processor: it is done on results in float64.
#include "faults.h"

#include <atomic>
#include <cmath>
#include <cstring>

namespace {

constexpr int32_t kFloatPrecision = 24;

std::atomic<int64_t> executions{0};

bool IsThisExecution(int32_t execution) {
  return executions.fetch_add(1, std::memory_order_relaxed) + 1 == execution;
}

template <typename To, typename From>
To BitsAs(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// The float nearest to `result` that is not further from zero than `result + error`, cut to `precision` bits.
// `error` is what the float64 operation lost: only its sign counts, where `result` is a float32 number itself.
int32_t TowardZero(double result, double error, int32_t precision) {
  float rounded = static_cast<float>(result);
  if (std::isnan(rounded)) return BitsAs<int32_t>(rounded);
  bool beyond = std::fabs(static_cast<double>(rounded)) > std::fabs(result);
  bool lost = static_cast<double>(rounded) == result && (result > 0 ? error < 0 : error > 0);
  // An infinity that the operation gives of finite numbers is beyond; one that it gives of others is exact.
  if ((beyond || lost) && std::isfinite(result)) rounded = std::nextafter(rounded, 0.0f);
  int32_t bits = BitsAs<int32_t>(rounded);
  if (precision >= kFloatPrecision || precision < 1 || std::isinf(rounded)) return bits;
  return bits & ~((int32_t{1} << (kFloatPrecision - precision)) - 1);
}

// The error of a sum in float64 (Knuth's TwoSum); exact, because float32 numbers cannot overflow it.
double ErrorOfSum(double a, double b, double sum) {
  double b_part = sum - a;
  double a_part = sum - b_part;
  return (a - a_part) + (b - b_part);
}

int32_t SumTowardZero(double a, double b, int32_t precision) {
  double sum = a + b;
  return TowardZero(sum, ErrorOfSum(a, b, sum), precision);
}

}  // namespace

int32_t tvm_mutate_begin_executions() {
  executions.store(0, std::memory_order_relaxed);
  return 0;
}

int32_t tvm_mutate_flip_bit_once_32(int32_t value, int32_t bit, int32_t execution) {
  bool flips = IsThisExecution(execution) && bit >= 0 && bit < 32;
  return flips ? BitsAs<int32_t>(BitsAs<uint32_t>(value) ^ (uint32_t{1} << bit)) : value;
}

int64_t tvm_mutate_flip_bit_once_64(int64_t value, int32_t bit, int32_t execution) {
  bool flips = IsThisExecution(execution) && bit >= 0 && bit < 64;
  return flips ? BitsAs<int64_t>(BitsAs<uint64_t>(value) ^ (uint64_t{1} << bit)) : value;
}

int32_t tvm_mutate_add_toward_zero(int32_t a, int32_t b, int32_t precision) {
  return SumTowardZero(BitsAs<float>(a), BitsAs<float>(b), precision);
}

int32_t tvm_mutate_subtract_toward_zero(int32_t a, int32_t b, int32_t precision) {
  return SumTowardZero(BitsAs<float>(a), -static_cast<double>(BitsAs<float>(b)), precision);
}

int32_t tvm_mutate_multiply_toward_zero(int32_t a, int32_t b, int32_t precision) {
  // A product of two float32 numbers is exact in float64.
  return TowardZero(static_cast<double>(BitsAs<float>(a)) * BitsAs<float>(b), 0.0, precision);
}

int32_t tvm_mutate_divide_toward_zero(int32_t a, int32_t b, int32_t precision) {
  // A quotient that is no float32 number is too far from the next one for float64 to round it there.
  return TowardZero(static_cast<double>(BitsAs<float>(a)) / BitsAs<float>(b), 0.0, precision);
}
