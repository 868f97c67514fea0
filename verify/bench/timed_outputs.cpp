// One channel of a set against the oracle, and windows of two sets against each other.
#include "verify/bench/timed_outputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/data/random.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/judge.hpp"
#include "verify/judge/kink.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::bench {
namespace {

// samples of a channel
constexpr std::int64_t most_judged = std::int64_t{1} << 20;
constexpr std::int64_t most_judged_each_round = std::int64_t{1} << 14;
constexpr const char* others =
    "the timed calls write other numbers than a call of the same data that nobody times";
constexpr std::size_t window = std::size_t{1} << 16, windows = 8;

/// The numbers of one channel, from the device.
class Channel {
 public:
  Channel(TimingDevice& device, const abn_problem& problem, std::int64_t c)
      : device_(device), problem_(problem), c_(static_cast<std::size_t>(c)) {}

  std::vector<double> tensor(const void* from) const {
    if (from == nullptr) return {};
    const problem::Format& format = problem::format_of(problem_.dtype);
    const auto bytes = static_cast<std::size_t>(format.bytes);
    const auto n = static_cast<std::size_t>(problem_.n),
               channels = static_cast<std::size_t>(problem_.c),
               s = static_cast<std::size_t>(problem_.s);
    const bool nchw = problem_.layout == ABN_NCHW;
    const std::size_t run = nchw ? s : 1, rows = nchw ? n : n * s;
    std::vector<std::byte> packed(n * s * bytes);
    device_.download(packed.data(), static_cast<const std::byte*>(from) + c_ * run * bytes,
                     run * bytes, channels * run * bytes, rows);
    std::vector<double> values(n * s);
    problem::unpack(format, packed.data(), values);
    return values;
  }
  std::vector<double> value(const void* from) const {
    if (from == nullptr) return {};
    const problem::Format& format = problem::format_of(problem_.param_dtype);
    const auto bytes = static_cast<std::size_t>(format.bytes);
    std::vector<std::byte> packed(bytes);
    device_.download(packed.data(), static_cast<const std::byte*>(from) + c_ * bytes, bytes, bytes,
                     1);
    std::vector<double> values(1);
    problem::unpack(format, packed.data(), values);
    return values;
  }

 private:
  TimingDevice& device_;
  const abn_problem& problem_;
  std::size_t c_;
};

/// Channel c of a tensor that repeats these values; empty where there are none.
std::vector<double> channel_of(const abn_problem& problem, const std::vector<double>& repeated,
                               std::int64_t c) {
  if (repeated.empty()) return {};
  std::vector<double> values(static_cast<std::size_t>(problem::sample_count(problem)));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = repeated[static_cast<std::size_t>(
                             problem::sample_offset(problem, c, static_cast<std::int64_t>(i))) %
                         repeated.size()];
  return values;
}

/// What is wrong with channel c of the outputs in the set; empty where nothing is.
std::string judged(TimingDevice& device, const SpeedData& data, const TimedVariant& variant,
                   std::byte* set, std::int64_t c) {
  const bool backward = variant.direction() == ABN_BACKWARD;
  const Channel channel(device, data.problem, c);
  problem::Inputs inputs;
  inputs.problem = data.problem, inputs.problem.c = 1;
  // As they were drawn: what lies on the device may have been changed by a call.
  const Drawn& drawn = data.drawn;
  const auto at = static_cast<std::size_t>(c);
  inputs.x = channel_of(data.problem, drawn.x, c),
  inputs.dz = channel_of(data.problem, drawn.dz, c);
  inputs.gamma = {drawn.gamma[at]}, inputs.beta = {drawn.beta[at]};
  inputs.running_mean = {drawn.running_mean[at]}, inputs.running_var = {drawn.running_var[at]};
  const KeptTensors from = variant.kept_tensors();
  problem::Saved kept;
  if (backward) {
    kept.z = channel.tensor(from.z), kept.xhat = channel.tensor(from.xhat);
    kept.mean = channel.value(from.mean);
    ((variant.claims().saves & ABN_SAVES_INVSTD) != 0 ? kept.invstd : kept.variance) =
        channel.value(from.var);
  }
  std::vector<compare::Stored> got;
  for (const TimedOutput& one : variant.outputs(set))
    got.push_back({one.which, one.is_tensor ? channel.tensor(one.at) : channel.value(one.at)});
  const abn_claims claims =
      backward ? judge::with_kink(inputs, kept, variant.claims(), got) : variant.claims();
  const std::vector<compare::Expectation> expected =
      backward ? expect::expect_backward(inputs, kept, claims)
               : expect::expect_forward(inputs, claims);
  const char* const op = backward ? "backward" : "forward";
  judge::Origin origin;
  origin.variant = variant.name(), origin.problem = data.problem;
  origin.element_of = [&](bool tensor, std::int64_t element) {
    return tensor ? problem::sample_offset(data.problem, c, element) : c;
  };
  const auto explain = [&](compare::Output output, std::int64_t element) {
    return expect::shares_of(inputs, backward ? &kept : nullptr, claims, output, element);
  };
  for (const compare::Stored& one : got) {
    const compare::Expectation* const expectation = compare::find_output(expected, one.output);
    if (expectation == nullptr) continue;
    const results::Record record =
        judge::judge(origin, op, inputs, kept, *expectation, one.values, explain);
    if (record.tally.failed == 0) continue;
    const results::Witness& worst = record.witnesses.front();
    return fmt::format("{} is wrong: expected {:.9g}, got {:.9g}, {:.3g} times its bound",
                       worst.where, worst.expected, worst.got, worst.ratio);
  }
  return {};
}

/// The same windows of every output of a set, one after the other.
std::vector<std::byte> drawn_windows(TimingDevice& device, const SpeedData& data,
                                     const TimedVariant& variant, std::byte* set,
                                     const data::Stream& draw) {
  std::vector<std::byte> all;
  std::uint64_t index = 0;
  for (const TimedOutput& one : variant.outputs(set)) {
    const std::size_t bytes = one.is_tensor ? data.tensor_bytes : data.channel_bytes,
                      size = std::min(window, bytes);
    for (std::size_t i = 0; i < (size < bytes ? windows : 1); ++i) {
      // the last of them ends where the output does
      const std::size_t at = i == 0 ? bytes - size : draw.below(bytes - size + 1, index++);
      all.resize(all.size() + size);
      device.download(all.data() + all.size() - size, static_cast<const std::byte*>(one.at) + at,
                      size, size, 1);
    }
  }
  return all;
}

}  // namespace

std::string TimedOutputs::wrong(TimingDevice& device, const SpeedData& data,
                                const TimedVariant& variant, const std::vector<std::byte*>& sets,
                                const std::function<void()>& repeat, std::uint64_t seed) {
  draw_ = data::Stream(seed);
  std::byte* const first = sets.front();
  const std::int64_t c = channel(data);
  const bool by_oracle = problem::sample_count(data.problem) <= most_judged;
  device.run([&](void* stream) {
    const int code = variant.fill(first, stream);
    return code != 0 ? code : variant.call(first, stream);
  });
  if (by_oracle)
    if (const std::string wrong = judged(device, data, variant, first, c); !wrong.empty())
      return wrong;
  windows_ = drawn_windows(device, data, variant, first, draw_.fork(1));
  repeat();
  if (variant.claims().deterministic == 1) {
    for (std::byte* const set : sets)
      if (drawn_windows(device, data, variant, set, draw_.fork(1)) != windows_) return others;
  } else if (by_oracle) {
    std::byte* const set = sets[draw_.below(sets.size(), 1)];
    if (const std::string wrong = judged(device, data, variant, set, c); !wrong.empty())
      return "in a timed call " + wrong;
  }
  return {};
}

std::string TimedOutputs::wrong_in_round(TimingDevice& device, const SpeedData& data,
                                         const TimedVariant& variant,
                                         const std::vector<std::byte*>& sets, int round) const {
  std::byte* const set =
      sets[draw_.fork(2).below(sets.size(), static_cast<std::uint64_t>(std::max(round, 0)))];
  if (variant.claims().deterministic == 1)
    return drawn_windows(device, data, variant, set, draw_.fork(1)) == windows_ ? "" : others;
  if (problem::sample_count(data.problem) > most_judged_each_round) return {};
  const std::string wrong = judged(device, data, variant, set, channel(data));
  return wrong.empty() ? wrong : "in a timed call " + wrong;
}

std::int64_t TimedOutputs::channel(const SpeedData& data) const {
  return static_cast<std::int64_t>(draw_.below(static_cast<std::uint64_t>(data.problem.c), 0));
}

}  // namespace abn::verify::bench
