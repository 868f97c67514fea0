// Calls a variant on the emulator with guarded buffers at odd addresses.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "cuda/emulator/half.hpp"
#include "cuda/emulator/report.h"
#include "cuda/registry.h"

namespace abn::tests {

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN(),
                        infinity = std::numeric_limits<double>::infinity();

// ---- storage types

inline std::size_t size_of(int dtype) { return dtype == ABN_F64 ? 8 : dtype == ABN_F32 ? 4 : 2; }
inline double unit_roundoff(int dtype) {
  return dtype == ABN_F64   ? 0x1p-53
         : dtype == ABN_F32 ? 0x1p-24
         : dtype == ABN_F16 ? 0x1p-11
                            : 0x1p-8;
}

inline void encode(int dtype, double value, std::byte* to) {
  const float single = static_cast<float>(value);
  const std::uint16_t bits =
      dtype == ABN_F16 ? emulator::f16_from_double(value) : emulator::bf16_from_double(value);
  if (dtype == ABN_F64) std::memcpy(to, &value, 8);
  if (dtype == ABN_F32) std::memcpy(to, &single, 4);
  if (dtype == ABN_F16 || dtype == ABN_BF16) std::memcpy(to, &bits, 2);
}
inline double decode(int dtype, const std::byte* from) {
  double value = 0;
  float single = 0;
  std::uint16_t bits = 0;
  if (dtype == ABN_F64) return std::memcpy(&value, from, 8), value;
  if (dtype == ABN_F32) return std::memcpy(&single, from, 4), single;
  std::memcpy(&bits, from, 2);
  return dtype == ABN_F16 ? emulator::float_from_f16(bits) : emulator::float_from_bf16(bits);
}
inline double rounded(int dtype, double value) {
  std::byte bytes[8]{};
  encode(dtype, value, bytes);
  return decode(dtype, bytes);
}

// The neighbours of a negative value in a storage type, strictly above it and at or below it, found
// by steps finer than the type's.
inline double next_above(int dtype, double value) {
  if (dtype == ABN_F64) return std::nextafter(value, 0.0);
  const double step = std::fmax(-value * unit_roundoff(dtype) / 8, 0x1p-151);
  double up = value;
  while (rounded(dtype, up) <= value) up += step;
  return rounded(dtype, up);
}
inline double at_or_below(int dtype, double value) {
  const double step = std::fmax(-value * unit_roundoff(dtype) / 8, 0x1p-151);
  double down = value;
  while (rounded(dtype, down) > value) down -= step;
  return rounded(dtype, down);
}

// ---- buffers

// Values of a type behind `offset` elements on a 256-byte boundary, with guards on both sides. The
// guards, and everything that has not been written yet, are NaN in every type.
class Buffer {
 public:
  static constexpr std::size_t guard = 256, boundary = 256;
  static constexpr std::byte poison{0xff};

  Buffer() = default;
  Buffer(Buffer&&) = default;  // a copy would lie elsewhere
  Buffer& operator=(Buffer&&) = default;
  Buffer(int dtype, std::size_t count, std::size_t offset)
      : dtype_(dtype),
        count_(count),
        begin_(guard + offset * size_of(dtype)),
        bytes_(begin_ + count * size_of(dtype) + guard + boundary, poison) {}
  Buffer(int dtype, const std::vector<double>& values, std::size_t offset)
      : Buffer(dtype, values.size(), offset) {
    for (std::size_t i = 0; i < values.size(); ++i) encode(dtype, values[i], at(i));
    original_ = bytes_;
  }

  void* data() { return bytes_.empty() ? nullptr : at(0); }
  void watch(emulator::Session& session, const char* name, bool written, bool writable) {
    const auto bytes = static_cast<unsigned>(size_of(dtype_));
    session.watch({name, data(), count_ * bytes, bytes, written, writable});
  }
  std::vector<double> values() const {
    std::vector<double> out(count_);
    for (std::size_t i = 0; i < count_; ++i)
      out[i] = decode(dtype_, const_cast<Buffer*>(this)->at(i));
    return out;
  }
  // The bits, with every NaN alike.
  std::vector<std::uint64_t> bits() const {
    std::vector<std::uint64_t> out;
    for (const double value : values())
      out.push_back(value != value ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(value));
    return out;
  }
  bool guards_intact() const {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const bool inside = i >= first() && i < first() + count_ * size_of(dtype_);
      if (!inside && bytes_[i] != poison) return false;
    }
    return true;
  }
  bool unwritten() const {
    return original_.empty() ? std::vector<std::byte>(bytes_.size(), poison) == bytes_
                             : original_ == bytes_;
  }

 private:
  std::size_t first() const {
    return begin_ +
           (boundary - reinterpret_cast<std::uintptr_t>(bytes_.data()) % boundary) % boundary;
  }
  std::byte* at(std::size_t i) { return bytes_.data() + first() + i * size_of(dtype_); }

  int dtype_ = ABN_F32;
  std::size_t count_ = 0, begin_ = 0;
  std::vector<std::byte> bytes_, original_;
};

// ---- problems

struct Case {
  abn_problem problem{};
  std::vector<double> x, dz;        // rounded to the storage type
  std::vector<double> gamma, beta;  // rounded to the parameter type; empty: null
  std::vector<double> running_mean, running_var;
  std::size_t elements() const {
    return static_cast<std::size_t>(problem.n * problem.c * problem.s);
  }
  std::size_t channels() const { return static_cast<std::size_t>(problem.c); }
  std::size_t samples() const { return static_cast<std::size_t>(problem.n * problem.s); }
  // Where sample i of channel c lies.
  std::size_t at(std::size_t c, std::size_t i) const {
    const auto s = static_cast<std::size_t>(problem.s);
    return problem.layout == ABN_NCHW ? (i / s * channels() + c) * s + i % s : i * channels() + c;
  }
};

inline abn_problem problem_of(std::int64_t n, std::int64_t c, std::int64_t s, int layout,
                              int dtype) {
  abn_problem p{};
  p.struct_size = sizeof p;
  p.n = n, p.c = c, p.s = s;
  p.layout = layout;
  p.dtype = dtype;
  p.param_dtype = dtype == ABN_F64 ? ABN_F64 : ABN_F32;
  p.activation = ABN_LEAKY_RELU;
  p.activation_parameter = rounded(p.param_dtype, 0.01);
  p.eps = rounded(p.param_dtype, 1e-5);
  p.momentum = rounded(p.param_dtype, 0.1);
  return p;
}
inline void activate(abn_problem& p, int activation, double parameter) {
  p.activation = activation;
  p.activation_parameter = activation == ABN_IDENTITY ? 0 : rounded(p.param_dtype, parameter);
}

// Numbers in [-1, 1) that depend on the seed and the index only.
inline double noise(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t v = (seed + 1) * 0x9e3779b97f4a7c15 + index * 0xbf58476d1ce4e5b9;
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
  v = (v ^ (v >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((v ^ (v >> 31)) >> 11) * 0x1p-52 - 1;
}

// Moderate data, different in every channel: means up to 2, spreads of about 1, gamma of both
// signs, beta of both signs.
inline Case case_of(const abn_problem& problem, std::uint64_t seed) {
  Case made;
  made.problem = problem;
  made.x.resize(made.elements());
  made.dz.resize(made.elements());
  for (std::size_t c = 0; c < made.channels(); ++c) {
    const double mean = 2 * noise(seed, c), spread = 1 + 0.5 * noise(seed + 1, c);
    made.gamma.push_back(
        rounded(problem.param_dtype, (c % 3 == 1 ? -1 : 1) * (1 + 0.5 * noise(seed + 2, c))));
    made.beta.push_back(rounded(problem.param_dtype, noise(seed + 3, c)));
    made.running_mean.push_back(rounded(problem.param_dtype, mean + 0.2 * noise(seed + 4, c)));
    made.running_var.push_back(
        rounded(problem.param_dtype, spread * spread * (1 + 0.5 * noise(seed + 5, c))));
    for (std::size_t i = 0; i < made.samples(); ++i) {
      const std::size_t at = made.at(c, i);
      made.x[at] = rounded(problem.dtype, mean + 1.7 * spread * noise(seed + 6, at));
      made.dz[at] = rounded(problem.dtype, 0.3 + noise(seed + 7, at));
    }
  }
  return made;
}

// ---- calls

struct Options {
  std::uint64_t schedule = 0;
  emulator::Schedule adversary = emulator::Schedule::random;
  bool sanitize = false;  // with an instrumented variant
  bool in_place = false;  // z = x, or dx = dz
  // elements between a 256-byte boundary and the first tensor; each next buffer is one further
  std::size_t offset = 0;
  // false: mean, var, running buffers, dx, dgamma and dbeta are null where they may be
  bool outputs = true;
};

struct Forward {
  int status = ABN_OK;
  std::vector<emulator::LaunchTraffic> traffic;  // where sanitised
  Buffer x, z, gamma, beta, running_mean, running_var, mean, var;
  const Buffer& result() const { return in_place ? x : z; }
  bool in_place = false;
};
struct Backward {
  int status = ABN_OK;
  std::vector<emulator::LaunchTraffic> traffic;
  Buffer dz, z, dx, gamma, beta, var, dgamma, dbeta;
  const Buffer& result() const { return in_place ? dz : dx; }
  bool in_place = false;
};

inline const abn_variant& variant_named(const std::string& name) {
  for (std::uint32_t i = 0; const abn_variant* variant = abn_in_tree_variant(i); ++i)
    if (variant->name == name && variant->memory == ABN_MEMORY_HOST) return *variant;
  throw std::runtime_error("no variant named " + name);
}

// The names of all emulated variants of InPlace-ABN, I and II.
inline std::vector<std::string> in_place_variants() {
  std::vector<std::string> names;
  const abn_problem probe = problem_of(4, 5, 6, ABN_NCHW, ABN_F32);
  for (std::uint32_t i = 0; const abn_variant* variant = abn_in_tree_variant(i); ++i) {
    abn_claims claims{};
    claims.struct_size = sizeof claims;
    if (variant->memory == ABN_MEMORY_HOST && variant->claims(&probe, &claims) == ABN_OK &&
        claims.scheme >= ABN_IN_PLACE_1)
      names.push_back(variant->name);
  }
  return names;
}

// A workspace of just the size that was asked for, full of NaN, on a 256-byte boundary.
class Workspace {
 public:
  Workspace(const abn_variant& variant, const abn_problem& problem, int direction)
      : bytes_(variant.workspace_bytes(&problem, direction)),
        buffer_(ABN_F64, (bytes_ + 7) / 8, 0) {}
  void* data() { return bytes_ == 0 ? nullptr : buffer_.data(); }
  std::size_t bytes() const { return bytes_; }
  bool guards_intact() const { return buffer_.guards_intact(); }
  void watch(emulator::Session& session) {
    session.watch({"workspace", data(), bytes_, 1, false, true});
  }

 private:
  std::size_t bytes_;
  Buffer buffer_;
};

inline const abn_variant& instrumented_variant_named(const std::string& name) {
  if (const abn_variant* variant = abn_instrumented_variant(name.c_str())) return *variant;
  throw std::runtime_error("no instrumented variant named " + name);
}

inline std::vector<emulator::LaunchTraffic> expect_clean(emulator::Session& session) {
  emulator::Report report = session.take_report();
  for (const emulator::Finding& finding : report.findings)
    ADD_FAILURE() << finding.kind << " in " << finding.kernel << ": " << finding.text;
  return std::move(report.traffic);
}

inline emulator::Settings settings_of(const Options& options) {
  return {.schedule_seed = options.schedule,
          .schedule = options.adversary,
          .sanitize = options.sanitize};
}

inline Forward forward(const abn_variant& variant, const Case& c, const Options& options = {}) {
  const int dtype = c.problem.dtype, parameter = c.problem.param_dtype;
  const bool training = c.problem.mode == ABN_TRAINING, wanted = options.outputs || !training;
  std::size_t offset = options.offset;
  Forward call;
  call.in_place = options.in_place;
  call.x = Buffer(dtype, c.x, offset++);
  if (!options.in_place) call.z = Buffer(dtype, c.elements(), offset);
  if (!c.gamma.empty())
    call.gamma = Buffer(parameter, c.gamma, offset++),
    call.beta = Buffer(parameter, c.beta, offset++);
  if (wanted)
    call.running_mean = Buffer(parameter, c.running_mean, offset++),
    call.running_var = Buffer(parameter, c.running_var, offset++);
  if (training && options.outputs) call.mean = Buffer(parameter, c.channels(), offset++);
  if (training) call.var = Buffer(parameter, c.channels(), offset++);
  Workspace workspace(variant, c.problem, ABN_FORWARD);

  abn_forward_args args{};
  args.struct_size = sizeof args;
  args.x = call.x.data();
  args.z = options.in_place ? call.x.data() : call.z.data();
  args.gamma = call.gamma.data(), args.beta = call.beta.data();
  args.running_mean = call.running_mean.data(), args.running_var = call.running_var.data();
  args.mean = call.mean.data(), args.var = call.var.data();
  args.workspace = workspace.data(), args.workspace_bytes = workspace.bytes();
  emulator::Session session(settings_of(options));
  call.x.watch(session, options.in_place ? "x = z" : "x", true, options.in_place);
  call.z.watch(session, "z", false, true);
  call.gamma.watch(session, "gamma", true, false), call.beta.watch(session, "beta", true, false);
  call.running_mean.watch(session, "running_mean", true, training),
      call.running_var.watch(session, "running_var", true, training);
  call.mean.watch(session, "mean", false, true), call.var.watch(session, "var", false, true);
  workspace.watch(session);
  call.status = variant.forward(&c.problem, &args);
  call.traffic = expect_clean(session);
  for (const Buffer* buffer : {&call.x, &call.z, &call.gamma, &call.beta, &call.running_mean,
                               &call.running_var, &call.mean, &call.var})
    EXPECT_TRUE(buffer->guards_intact());
  EXPECT_TRUE(workspace.guards_intact());
  EXPECT_TRUE(options.in_place || call.x.unwritten());
  EXPECT_TRUE(call.gamma.unwritten() && call.beta.unwritten());
  EXPECT_TRUE(training || (call.running_mean.unwritten() && call.running_var.unwritten()));
  return call;
}

// `z` and `var` as forward left them; in frozen mode var is the running variance.
inline Backward backward(const abn_variant& variant, const Case& c, const std::vector<double>& z,
                         const std::vector<double>& var, const Options& options = {}) {
  const int dtype = c.problem.dtype, parameter = c.problem.param_dtype;
  std::size_t offset = options.offset;
  Backward call;
  call.in_place = options.in_place;
  call.dz = Buffer(dtype, c.dz, offset++);
  call.z = Buffer(dtype, z, offset);
  if (!options.in_place && options.outputs) call.dx = Buffer(dtype, c.elements(), offset++);
  if (!c.gamma.empty())
    call.gamma = Buffer(parameter, c.gamma, offset++),
    call.beta = Buffer(parameter, c.beta, offset++);
  call.var = Buffer(parameter, var, offset++);
  if (options.outputs)
    call.dgamma = Buffer(parameter, c.channels(), offset++),
    call.dbeta = Buffer(parameter, c.channels(), offset++);
  Workspace workspace(variant, c.problem, ABN_BACKWARD);

  abn_backward_args args{};
  args.struct_size = sizeof args;
  args.dz = call.dz.data();
  args.z = call.z.data();
  args.dx = options.in_place ? call.dz.data() : call.dx.data();
  args.gamma = call.gamma.data(), args.beta = call.beta.data();
  args.var = call.var.data();
  args.dgamma = call.dgamma.data(), args.dbeta = call.dbeta.data();
  args.workspace = workspace.data(), args.workspace_bytes = workspace.bytes();
  emulator::Session session(settings_of(options));
  call.dz.watch(session, options.in_place ? "dz = dx" : "dz", true, options.in_place);
  call.z.watch(session, "z", true, false), call.dx.watch(session, "dx", false, true);
  call.gamma.watch(session, "gamma", true, false), call.beta.watch(session, "beta", true, false),
      call.var.watch(session, "var", true, false);
  call.dgamma.watch(session, "dgamma", false, true),
      call.dbeta.watch(session, "dbeta", false, true);
  workspace.watch(session);
  call.status = variant.backward(&c.problem, &args);
  call.traffic = expect_clean(session);
  for (const Buffer* buffer :
       {&call.dz, &call.z, &call.dx, &call.gamma, &call.beta, &call.var, &call.dgamma, &call.dbeta})
    EXPECT_TRUE(buffer->guards_intact());
  EXPECT_TRUE(workspace.guards_intact());
  EXPECT_TRUE(options.in_place || call.dz.unwritten());
  EXPECT_TRUE(call.z.unwritten() && call.gamma.unwritten() && call.beta.unwritten() &&
              call.var.unwritten());
  return call;
}

// Both passes of one case.
struct Both {
  Forward f;
  Backward b;
};
inline Both run(const abn_variant& variant, const Case& c, const Options& options = {}) {
  Both both;
  both.f = forward(variant, c, options);
  EXPECT_EQ(both.f.status, ABN_OK);
  if (c.problem.mode == ABN_INFERENCE) return both;
  both.b = backward(variant, c, both.f.result().values(),
                    c.problem.mode == ABN_TRAINING ? both.f.var.values() : c.running_var, options);
  EXPECT_EQ(both.b.status, ABN_OK);
  return both;
}

}  // namespace abn::tests
