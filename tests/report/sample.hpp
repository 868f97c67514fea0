// Results such as a real run leaves behind, made up from a fixed seed: what the report is tried on
// without running a kernel.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "verify/results/results.hpp"

namespace abn::verify::report::sample {

/// A deterministic source of numbers in [0, 1) (splitmix64).
struct Noise {
  std::uint64_t state;
  double operator()() {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }
};

/// `elements` errors of about the given width in ulp and ratio, rounding to nearest where
/// `rounded`.
inline compare::Tally tally(sample::Noise& noise, std::uint64_t elements, double largest_ratio,
                            double width, bool rounded) {
  compare::Tally out;
  out.elements = elements;
  for (std::uint64_t i = 0; i < elements; ++i) {
    const double bell = (noise() + noise() + noise() + noise() - 2) / 1.2;
    const double ulp =
        (rounded ? noise() - 0.5 : 0) + width * bell * std::exp2(3 * noise() * noise());
    const double ratio = largest_ratio * noise() * noise();
    out.sum_ulp += ulp;
    if (std::fabs(ulp) > std::fabs(out.max_abs_ulp)) out.max_abs_ulp = ulp;
    out.sum_ratio += ratio;
    out.max_ratio = std::max(out.max_ratio, ratio);
    ++out.ulp_histogram[static_cast<std::size_t>(compare::ulp_bin(ulp))];
    const double bin = ratio > 0 ? std::floor(4 * (std::log2(ratio) + 12)) : 0;
    ++out.ratio_histogram[static_cast<std::size_t>(
        std::clamp(bin, 0.0, compare::Tally::ratio_bins - 1.0))];
    if (ratio > 1) ++out.failed;
  }
  out.max_fit_ratio = 0.7 * out.max_ratio;
  out.worst = 17;
  return out;
}

inline results::Witness witness(const results::Record& record, double ratio) {
  results::Witness out;
  out.problem = "n2c64s12," + record.layout + "," + record.dtype + ",leaky_relu:0.01";
  out.data = "spikes";
  out.seed = 17;
  out.where = record.check == "dx" || record.check == "z" ? record.check + "[n 0, c 3, s 17]"
                                                          : record.check + "[c 3]";
  out.expected = -0x1.2ap-9;
  out.expected_low = 0x1.8p-66;
  out.bound = 0x1.8p-13;
  out.error = -ratio * out.bound;
  out.got = out.expected + out.error;
  out.ratio = ratio;
  out.ulp = -3.5 * ratio;
  out.got_bits = "0xbb1c";
  if (record.op == "backward")
    out.inputs = {{"z", 0x1.8p-7}, {"dz", 0x1.04p-9}, {"gamma", -0.25}, {"beta", 3}};
  else
    out.inputs = {{"x", 0x1.8p-7}, {"gamma", -0.25}, {"beta", 3}};
  if (record.op == "backward")
    out.terms = {{"reduction of dy", 0.61}, {"inversion", 0.29}, {"storage", 0.09}};
  else
    out.terms = {{"storage", 0.72}, {"variance", 0.2}, {"mean", 0.06}, {"arithmetic", 0.02}};
  out.kappa = 410;
  out.beta_over_g = 12;
  out.reproduce =
      "abn-verify run " + record.id + " --problem " + out.problem + " --data spikes --seed 17";
  return out;
}

inline results::Record record(const std::string& variant, const std::string& op,
                              const std::string& dtype, const std::string& layout,
                              const std::string& check, bool numbers) {
  results::Record out;
  out.variant = variant;
  out.op = op;
  out.dtype = dtype;
  out.layout = layout;
  out.check = check;
  out.id = variant + "/" + op + "/" + dtype + "/" + layout + "/" + check;
  out.kind = numbers ? results::CheckKind::numbers : results::CheckKind::contract;
  out.cases = 42;
  out.discriminating_cases = numbers ? 42 : 0;
  return out;
}

/// 256 records, all passed: two variants, two ops, four types, two layouts, eight outputs and eight
/// contract checks.
inline results::Results all_pass() {
  results::Results out;
  out.provenance = {"0.1.0",
                    "3f2a91c",
                    "abn-verify run --device emulator --tier smoke --out report/results.json",
                    "GCC 12.2.0",
                    "",
                    "",
                    "emulator, 2 threads",
                    "smoke",
                    "2026-11-23T14:40:00Z",
                    false,
                    1,
                    74.2};
  out.variants = {{"naive",
                   "The readable textbook kernel: one block a channel.",
                   "emulated",
                   {{"scheme", "in_place_1"},
                    {"statistics", "two_pass"},
                    {"normalise", "direct"},
                    {"accumulate", "f32 (f64 for f64)"},
                    {"depth at m = 1024", "12"},
                    {"deterministic", "yes"}}},
                  {"two_sweep",
                   "Several blocks a channel, Chan merges in a fixed order, 16-byte accesses.",
                   "emulated",
                   {{"scheme", "in_place_2"},
                    {"statistics", "welford"},
                    {"normalise", "direct"},
                    {"accumulate", "f32 (f64 for f64)"},
                    {"depth at m = 1024", "20"},
                    {"deterministic", "yes"},
                    {"alignment", "1"}}}};
  sample::Noise noise{1};
  for (const char* variant : {"naive", "two_sweep"})
    for (const char* op : {"backward", "forward"})
      for (const char* dtype : {"bf16", "f16", "f32", "f64"})
        for (const char* layout : {"nchw", "nhwc"}) {
          const bool backward = std::string(op) == "backward",
                     narrow = std::string(dtype) == "bf16" || std::string(dtype) == "f16";
          const auto outputs = backward ? std::vector<std::string>{"dbeta", "dgamma", "dx"}
                                        : std::vector<std::string>{"mean", "running_mean",
                                                                   "running_var", "variance", "z"};
          for (const std::string& check : outputs) {
            const bool tensor = check == "dx" || check == "z";
            results::Record one = sample::record(variant, op, dtype, layout, check, true);
            one.tally = sample::tally(noise, tensor ? 6000 : 1500,
                                      0.02 + 0.95 * noise() * (tensor && narrow ? 1 : noise()),
                                      tensor && narrow ? 0.1 : 1.5, tensor);
            one.witnesses = {sample::witness(one, one.tally.max_ratio)};
            if (backward) {
              one.has_end_to_end = true;
              one.end_to_end = sample::tally(noise, 500, 0.8, 2, false);
              one.end_to_end_cost = narrow ? 0.004 + 0.3 * noise() * noise() : 1e-6 * noise();
              one.unsafe_cases = one.end_to_end_cost > 0.01 ? 3 : 0;
            }
            out.records.push_back(one);
          }
          for (const char* check : {"guards", "inputs", "schedule", "unwritten"})
            out.records.push_back(sample::record(variant, op, dtype, layout, check, false));
        }
  std::sort(out.records.begin(), out.records.end(),
            [](const results::Record& a, const results::Record& b) { return a.id < b.id; });
  return out;
}

inline results::Record& find(results::Results& results, const std::string& id) {
  return *std::find_if(results.records.begin(), results.records.end(),
                       [&](const results::Record& record) { return record.id == id; });
}

/// The same run with one of everything that can go wrong.
inline results::Results mixed() {
  results::Results out = sample::all_pass();
  sample::Noise noise{7};
  const auto fail = [&](const std::string& id, double ratio) {
    results::Record& record = sample::find(out, id);
    record.verdict = results::Verdict::fail;
    record.tally = sample::tally(noise, 6000, ratio, ratio, true);
    record.failed_cases = 2;
    record.witnesses.clear();
    for (const double part : {1.0, 0.7, 0.2})
      record.witnesses.push_back(sample::witness(record, part * record.tally.max_ratio));
    record.witnesses.front().reason = "error above its bound";
    record.reason = "2 of 42 cases have elements whose error is above its bound";
  };
  fail("two_sweep/backward/bf16/nhwc/dx", 7.4);
  fail("two_sweep/backward/f32/nchw/dgamma", 310);
  results::Record& infinite = sample::find(out, "naive/forward/f16/nchw/z");
  fail(infinite.id, 3);
  infinite.tally.max_ratio = INFINITY;
  infinite.tally.nonfinite_got = 1;
  infinite.witnesses.front().got = NAN;
  infinite.witnesses.front().error = NAN;
  infinite.witnesses.front().ratio = INFINITY;
  infinite.witnesses.front().reason = "NaN where a number is expected";
  results::Record& vague = sample::find(out, "naive/backward/f16/nhwc/dgamma");
  vague.verdict = results::Verdict::inconclusive;
  vague.reason = "the bound is wider than the signal in 3 of 42 cases";
  results::Record& guard = sample::find(out, "two_sweep/forward/f32/nhwc/guards");
  guard.verdict = results::Verdict::fail;
  guard.reason = "16 bytes behind z were overwritten";
  guard.failed_cases = 1;
  guard.witnesses = {sample::witness(guard, INFINITY)};
  results::Record& crash = sample::find(out, "two_sweep/backward/f64/nhwc/schedule");
  crash.verdict = results::Verdict::error;
  crash.reason = "deadlock: 32 of 256 threads wait at a barrier that the others have left";
  for (results::Record& record : out.records)
    if (record.variant == "naive" && record.dtype == "f64" && record.layout == "nhwc") {
      record.verdict = results::Verdict::skip;
      record.reason = "naive does not support f64 with nhwc";
      record.skipped_cases = record.cases;
      record.tally = {};
      record.witnesses.clear();
      record.has_end_to_end = false;
    }
  results::Record& unfit = sample::find(out, "naive/forward/f32/nchw/variance");
  unfit.tally.max_fit_ratio = 41;
  results::Record& limited = sample::find(out, "two_sweep/backward/bf16/nchw/dgamma");
  limited.discriminating_cases = 0;
  limited.method_limited_cases = limited.cases;
  limited.reason =
      "within the bound, but in all 42 cases the in-place method itself leaves no signal to judge";
  return out;
}

/// What judging a folder of tensor files leaves: many variants of one type and layout each, one of
/// which fails.
inline results::Results tensor_files() {
  results::Results out;
  out.provenance = {"0.1.0", "3f2a91c", "abn-verify check fixtures/real", "GCC 12.2.0", "", "",
                    "",      "",        "2026-11-23T14:40:00Z",           true,         0,  3.1};
  sample::Noise noise{5};
  for (const char* layer : {"stem", "down", "branch", "deep", "head"})
    for (const char* step : {"early", "middle", "late"})
      for (const char* dtype : {"bf16", "f32"}) {
        const std::string name = std::string(layer) + "_" + step + "_" + dtype;
        out.variants.push_back({name,
                                "torch 1.13.1, native_batch_norm on the CPU",
                                "file",
                                {{"scheme", "standard"},
                                 {"statistics", "welford"},
                                 {"accumulate", "f32"},
                                 {"materialises", "y, dy"}}});
        for (const char* check : {"forward/mean", "forward/variance", "forward/z", "backward/dx",
                                  "backward/dgamma", "backward/dbeta"}) {
          const std::string path = check;
          const std::size_t slash = path.find('/');
          results::Record one = sample::record(name, path.substr(0, slash), dtype, "nchw",
                                               path.substr(slash + 1), true);
          one.cases = one.discriminating_cases = 1;
          one.tally = sample::tally(noise, 800, 0.9 * noise(), 0.4, true);
          one.witnesses = {sample::witness(one, one.tally.max_ratio)};
          out.records.push_back(one);
        }
      }
  results::Record& failed = sample::find(out, "deep_late_bf16/backward/bf16/nchw/dx");
  failed.tally = sample::tally(noise, 800, 4.2, 3, true);
  failed.verdict = results::Verdict::fail;
  failed.reason = "1 of 800 elements above the bound, in 1 of 1 case";
  std::sort(out.records.begin(), out.records.end(),
            [](const results::Record& a, const results::Record& b) { return a.id < b.id; });
  return out;
}

}  // namespace abn::verify::report::sample
