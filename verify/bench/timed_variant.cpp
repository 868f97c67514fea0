// Random tensors on a device, and the calls of a variant.
#include "verify/bench/timed_variant.hpp"

#include <cmath>
#include <vector>

#include "verify/data/random.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::bench {
namespace {

// elements that are drawn; the rest of a tensor repeats them
constexpr std::size_t boundary = 256, tile = (std::size_t{1} << 20) + 7;

/// The slots of a set, one after the other.
class Slots {
 public:
  Slots(std::byte* pool, std::size_t bytes) : next_(pool), bytes_(bytes) {}
  std::byte* take() {
    std::byte* const slot = next_;
    next_ += bytes_;
    return slot;
  }

 private:
  std::byte* next_;
  std::size_t bytes_;
};

bool kept(const abn_claims& claims, std::uint32_t what) { return (claims.saves & what) != 0; }

/// `count` values mean + deviation * (a nearly normal number), rounded to the format.
std::vector<double> drawn(const problem::Format& format, std::size_t count, double mean,
                          double deviation, const data::Stream& stream) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = problem::round_to(format, mean + deviation * stream.normal(i));
  return values;
}

std::vector<std::byte> packed(const problem::Format& format, const std::vector<double>& values) {
  std::vector<std::byte> bytes(values.size() * static_cast<std::size_t>(format.bytes));
  problem::pack(format, values, bytes.data());
  return bytes;
}

/// What its values are, which repeat.
std::vector<double> fill_tensor(TimingDevice& device, const DeviceBuffer& buffer,
                                const problem::Format& format, std::size_t bytes, double mean,
                                double deviation, const data::Stream& stream) {
  std::vector<double> values =
      drawn(format, std::min(tile, bytes / static_cast<std::size_t>(format.bytes)), mean, deviation,
            stream);
  const std::vector<std::byte> first = packed(format, values);
  device.upload(buffer.data(), first.data(), first.size());
  if (first.size() < bytes)
    device.run([&](void* queue) {
      int code = 0;
      for (std::size_t filled = first.size(); code == 0 && filled < bytes; filled *= 2)
        code =
            device.copy(buffer.at(filled), buffer.data(), std::min(filled, bytes - filled), queue);
      return code;
    });
  return values;
}

}  // namespace

SpeedData make_speed_data(TimingDevice& device, const abn_problem& problem, bool backward,
                          std::uint64_t seed) {
  const problem::Format &storage = problem::format_of(problem.dtype),
                        &parameter = problem::format_of(problem.param_dtype);
  const auto channels = static_cast<std::size_t>(problem.c);
  SpeedData data;
  data.problem = problem;
  data.tensor_bytes = static_cast<std::size_t>(problem::element_count(problem)) *
                      static_cast<std::size_t>(storage.bytes);
  data.slot_bytes = (data.tensor_bytes + boundary - 1) / boundary * boundary;
  data.channel_bytes = channels * static_cast<std::size_t>(parameter.bytes);
  data.x = DeviceBuffer(device, data.tensor_bytes);
  if (backward) data.dz = DeviceBuffer(device, data.tensor_bytes);
  for (DeviceBuffer* const vector :
       {&data.gamma, &data.beta, &data.running_mean, &data.running_var})
    *vector = DeviceBuffer(device, data.channel_bytes);
  draw_speed_data(device, data, seed);
  return data;
}

void draw_speed_data(TimingDevice& device, SpeedData& data, std::uint64_t seed) {
  const problem::Format &storage = problem::format_of(data.problem.dtype),
                        &parameter = problem::format_of(data.problem.param_dtype);
  const data::Stream draw(seed);
  Drawn& keep = data.drawn;
  keep.x = fill_tensor(device, data.x, storage, data.tensor_bytes, 0.5, 2, draw.fork(0));
  if (data.dz.data() != nullptr)
    keep.dz = fill_tensor(device, data.dz, storage, data.tensor_bytes, 0, 1, draw.fork(1));
  const auto fill_vector = [&](const DeviceBuffer& vector, double mean, double deviation,
                               const data::Stream& stream) {
    std::vector<double> values =
        drawn(parameter, static_cast<std::size_t>(data.problem.c), mean, deviation, stream);
    const std::vector<std::byte> bytes = packed(parameter, values);
    device.upload(vector.data(), bytes.data(), bytes.size());
    return values;
  };
  keep.gamma = fill_vector(data.gamma, 1, 0.1, draw.fork(2));
  keep.beta = fill_vector(data.beta, 0, 0.5, draw.fork(3));
  keep.running_mean = fill_vector(data.running_mean, 0.5, 0, draw);
  keep.running_var = fill_vector(data.running_var, 4, 0, draw);
}

TimedVariant::TimedVariant(TimingDevice& device, const SpeedData& data, const abn_variant& variant,
                           const abn_claims& claims, int direction)
    : device_(device),
      data_(data),
      variant_(variant),
      claims_(claims),
      direction_(direction),
      clears_outputs_(!std::isnan(device.seen())) {
  const bool training = data.problem.mode == ABN_TRAINING;
  if (training) {
    mean_ = DeviceBuffer(device, data.channel_bytes);
    var_ = DeviceBuffer(device, data.channel_bytes);
  }
  workspace_ = DeviceBuffer(device, variant.workspace_bytes(&data.problem, direction));
  if (direction == ABN_FORWARD) {
    inputs_.push_back(data.x.data());
    outputs_ = (claims.z_may_alias_x != 0 ? 0 : 1) + (kept(claims, ABN_SAVES_XHAT) ? 1 : 0);
    return;
  }
  dgamma_ = DeviceBuffer(device, data.channel_bytes);
  dbeta_ = DeviceBuffer(device, data.channel_bytes);
  // forward writes it even where backward does not want it
  z_ = DeviceBuffer(device, data.tensor_bytes);
  if (kept(claims, ABN_SAVES_XHAT)) xhat_ = DeviceBuffer(device, data.tensor_bytes);
  workspace_once_ = DeviceBuffer(device, variant.workspace_bytes(&data.problem, ABN_FORWARD));
  prepare();
  inputs_.push_back(data.dz.data());
  if (kept(claims, ABN_SAVES_X)) inputs_.push_back(data.x.data());
  if (kept(claims, ABN_SAVES_Z)) inputs_.push_back(z_.data());
  if (kept(claims, ABN_SAVES_XHAT)) inputs_.push_back(xhat_.data());
  outputs_ = claims.dx_may_alias_dz != 0 ? 0 : 1;
}

void TimedVariant::prepare() {
  if (direction_ == ABN_FORWARD) return;
  device_.run([&](void* stream) {
    return call_forward(data_.x.data(), z_.data(), xhat_.data(), workspace_once_.data(), stream);
  });
}

KeptTensors TimedVariant::kept_tensors() const {
  return {kept(claims_, ABN_SAVES_Z) ? z_.data() : nullptr,
          kept(claims_, ABN_SAVES_XHAT) ? xhat_.data() : nullptr,
          kept(claims_, ABN_SAVES_MEAN) ? mean_.data() : nullptr,
          kept(claims_, ABN_SAVES_VAR) ? var_.data() : nullptr};
}

std::vector<TimedOutput> TimedVariant::outputs(std::byte* pool) const {
  Slots slots(pool, data_.slot_bytes);
  std::byte* const first = slots.take();
  std::vector<TimedOutput> all;
  if (direction_ == ABN_FORWARD) {
    all.push_back({compare::Output::z, claims_.z_may_alias_x != 0 ? first : slots.take(), true});
    if (kept(claims_, ABN_SAVES_XHAT)) all.push_back({compare::Output::xhat, slots.take(), true});
    if (data_.problem.mode != ABN_TRAINING) return all;
    all.push_back({compare::Output::mean, mean_.data(), false});
    all.push_back(
        {kept(claims_, ABN_SAVES_INVSTD) ? compare::Output::invstd : compare::Output::variance,
         var_.data(), false});
    return all;
  }
  for (const std::uint32_t input : {ABN_SAVES_X, ABN_SAVES_Z, ABN_SAVES_XHAT})
    if (kept(claims_, input)) slots.take();
  return {{compare::Output::dx, claims_.dx_may_alias_dz != 0 ? first : slots.take(), true},
          {compare::Output::dgamma, dgamma_.data(), false},
          {compare::Output::dbeta, dbeta_.data(), false}};
}

double TimedVariant::claimed_bytes() const {
  const auto of = [](const abn_sweeps& sweeps) { return sweeps.loads + sweeps.stores; };
  int sweeps = of(claims_.sweeps_x) + of(claims_.sweeps_z) + of(claims_.sweeps_xhat);
  if (direction_ == ABN_BACKWARD) {
    const int tensors = static_cast<int>(kept(claims_, ABN_SAVES_X)) +
                        static_cast<int>(kept(claims_, ABN_SAVES_Z)) +
                        static_cast<int>(kept(claims_, ABN_SAVES_XHAT));
    sweeps = of(claims_.sweeps_dz) + tensors * of(claims_.sweeps_kept) + of(claims_.sweeps_dx);
  }
  return sweeps * static_cast<double>(data_.tensor_bytes);
}

int TimedVariant::call(std::byte* pool, void* stream) const {
  return direction_ == ABN_FORWARD ? forward(pool, stream) : backward(pool, stream);
}

int TimedVariant::fill(std::byte* pool, void* stream) const {
  int code = 0;
  for (std::size_t i = 0; i < inputs_.size() && code == 0; ++i)
    code = device_.copy(pool + i * data_.slot_bytes, inputs_[i], data_.tensor_bytes, stream);
  for (std::size_t i = inputs_.size(); i < static_cast<std::size_t>(slots()) && code == 0; ++i)
    if (clears_outputs_)
      code = device_.copy(pool + i * data_.slot_bytes, inputs_[0], data_.tensor_bytes, stream);
  return code;
}

int TimedVariant::forward(std::byte* pool, void* stream) const {
  Slots slots(pool, data_.slot_bytes);
  std::byte* const x = slots.take();
  std::byte* const z = claims_.z_may_alias_x != 0 ? x : slots.take();
  return call_forward(x, z, kept(claims_, ABN_SAVES_XHAT) ? slots.take() : nullptr,
                      workspace_.data(), stream);
}

int TimedVariant::call_forward(const void* x, void* z, void* xhat, void* workspace,
                               void* stream) const {
  abn_forward_args args{};
  args.struct_size = sizeof args;
  args.x = x, args.z = z, args.xhat = xhat;
  args.gamma = data_.gamma.data(), args.beta = data_.beta.data();
  args.running_mean = data_.running_mean.data(), args.running_var = data_.running_var.data();
  args.mean = mean_.data(), args.var = var_.data();
  args.workspace = workspace,
  args.workspace_bytes = variant_.workspace_bytes(&data_.problem, ABN_FORWARD);
  args.stream = stream;
  return variant_.forward(&data_.problem, &args);
}

int TimedVariant::backward(std::byte* pool, void* stream) const {
  Slots slots(pool, data_.slot_bytes);
  std::byte* const dz = slots.take();
  const bool training = data_.problem.mode == ABN_TRAINING;
  abn_backward_args args{};
  args.struct_size = sizeof args;
  args.dz = dz;
  args.x = kept(claims_, ABN_SAVES_X) ? slots.take() : nullptr;
  args.z = kept(claims_, ABN_SAVES_Z) ? slots.take() : nullptr;
  args.xhat = kept(claims_, ABN_SAVES_XHAT) ? slots.take() : nullptr;
  args.dx = claims_.dx_may_alias_dz != 0 ? dz : slots.take();
  args.gamma = data_.gamma.data(), args.beta = data_.beta.data();
  args.mean = !training                       ? data_.running_mean.data()
              : kept(claims_, ABN_SAVES_MEAN) ? mean_.data()
                                              : nullptr;
  args.var = !training                      ? data_.running_var.data()
             : kept(claims_, ABN_SAVES_VAR) ? var_.data()
                                            : nullptr;
  args.dgamma = dgamma_.data(), args.dbeta = dbeta_.data();
  args.workspace = workspace_.data(),
  args.workspace_bytes = variant_.workspace_bytes(&data_.problem, ABN_BACKWARD);
  args.stream = stream;
  return variant_.backward(&data_.problem, &args);
}

}  // namespace abn::verify::bench
