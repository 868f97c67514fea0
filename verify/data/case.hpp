// A case: one problem with its data, and how one of given sizes is drawn.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "verify/data/random.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::data {

/// One problem with its data. The seed decides the data of a recipe, where buffers lie, their
/// poison and the schedules.
struct Case {
  abn_problem problem{};
  /// name of a recipe, path of a tensor file, or the numbers themselves (verify/data/given.hpp)
  std::string data = "standard";
  std::uint64_t seed = 0;
  std::shared_ptr<const problem::Inputs> given;  ///< inputs that no recipe makes
  /// of its channels a drawn sample is judged element by element (verify/judge/sample.hpp)
  bool sampled = false;
  /// one of many large cases that this project's kernels, on the emulator, leave out of the smoke
  /// tier (verify/data/ranges.hpp)
  bool not_emulated = false;
  /// for kernels on a GPU alone: one case beyond 2^31 elements, for which a host's would need many
  /// minutes
  bool needs_gpu = false;
};

struct Shape {
  std::int64_t n, c, s;
};

/// A training case, signed gamma, f32 parameters (f64 with f64 storage), the rest drawn: slope,
/// alpha, eps and the data's seed.
Case drawn_case(const Shape& shape, int dtype, int layout, int activation, const char* recipe,
                const Stream& draw);

// nine digits are enough and can be typed
inline constexpr std::uint64_t readable_seeds = 1'000'000'000;

}  // namespace abn::verify::data
