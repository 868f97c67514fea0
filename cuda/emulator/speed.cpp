// The benchmark of the sanitiser: a real kernel on a tensor of 12 MiB, with everything on.
#include <time.h>

#include <cstring>
#include <memory>
#include <vector>

#include "cuda/emulator/report.h"
#include "cuda/registry.h"

namespace abn::emulator {
namespace {

constexpr std::int64_t images = 4, channels = 48, samples = 128 * 128;  // 12 MiB of f32

struct Workload {
  abn_problem problem{};
  std::vector<float> x, gamma, beta, mean, variance, running_mean, running_variance;
  std::vector<unsigned char> workspace;
  void* aligned_workspace = nullptr;
  std::size_t workspace_bytes = 0;

  explicit Workload(const abn_variant& variant) {
    problem.struct_size = sizeof problem;
    problem.layout = ABN_NCHW;
    problem.n = images, problem.c = channels, problem.s = samples;
    problem.dtype = problem.param_dtype = ABN_F32;
    problem.activation = ABN_LEAKY_RELU;
    problem.activation_parameter = 0.01f;
    problem.scale = ABN_SCALE_SIGNED;
    problem.mode = ABN_TRAINING;
    problem.eps = 1e-5f;
    problem.momentum = 0.1f;
    x.resize(static_cast<std::size_t>(images * channels * samples));
    std::uint32_t state = 1;
    for (float& value : x) {
      state = state * 1664525u + 1013904223u;
      value = static_cast<float>(state >> 8) * 0x1p-23f - 1;
    }
    const auto per_channel = static_cast<std::size_t>(channels);
    gamma.assign(per_channel, 1), beta.assign(per_channel, 0.5f);
    mean.resize(per_channel), variance.resize(per_channel);
    running_mean.assign(per_channel, 0), running_variance.assign(per_channel, 1);
    workspace_bytes = variant.workspace_bytes(&problem, ABN_FORWARD);
    workspace.resize(workspace_bytes + 256);
    std::size_t space = workspace.size();
    aligned_workspace = workspace.data();
    std::align(256, workspace_bytes, aligned_workspace, space);
  }

  void watch(Session& session) const {
    const auto array = [&session](const char* name, const std::vector<float>& values, bool written,
                                  bool writable) {
      session.watch(
          {name, values.data(), values.size() * sizeof(float), sizeof(float), written, writable});
    };
    array("x = z", x, true, true);
    array("gamma", gamma, true, false), array("beta", beta, true, false);
    array("mean", mean, false, true), array("var", variance, false, true);
    array("running_mean", running_mean, true, true),
        array("running_var", running_variance, true, true);
    session.watch({"workspace", aligned_workspace, workspace_bytes, 1, false, true});
  }

  int forward(const abn_variant& variant) {
    abn_forward_args args{};
    args.struct_size = sizeof args;
    args.x = args.z = x.data();
    args.gamma = gamma.data(), args.beta = beta.data();
    args.mean = mean.data(), args.var = variance.data();
    args.running_mean = running_mean.data(), args.running_var = running_variance.data();
    args.workspace = aligned_workspace, args.workspace_bytes = workspace_bytes;
    return variant.forward(&problem, &args);
  }
};

double processor_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}
template <class Call>
double seconds_of(Call&& call) {
  const double start = processor_seconds();
  call();
  return processor_seconds() - start;
}

}  // namespace

SanitizerSpeed measure_sanitizer() {
  SanitizerSpeed speed;
  speed.workload = "two_sweep, forward in training, f32 NCHW, n4 c48 s16384 (12 MiB), in place";
  const abn_variant* const instrumented = abn_instrumented_variant("two_sweep");
  const abn_variant* plain = nullptr;
  for (std::uint32_t i = 0; const abn_variant* const variant = abn_in_tree_variant(i); ++i)
    if (std::strcmp(variant->name, "two_sweep") == 0 && variant->memory == ABN_MEMORY_HOST)
      plain = variant;
  if (!instrumented || !plain) {
    speed.trouble = "this program has no two_sweep, or not both builds of it";
    return speed;
  }
  Workload workload(*plain);
  int status = 0;
  {
    Session session;
    speed.plain_seconds = seconds_of([&] { status |= workload.forward(*plain); });
  }
  Session session({.sanitize = true});
  workload.watch(session);
  speed.seconds = seconds_of([&] { status |= workload.forward(*instrumented); });
  const Report report = session.take_report();
  for (const LaunchTraffic& launch : report.traffic) speed.accesses += launch.accesses;
  if (!report.findings.empty())
    speed.trouble = report.findings[0].kind + ": " + report.findings[0].text;
  else if (status != ABN_OK)
    speed.trouble = "the kernel returned an error";
  return speed;
}

}  // namespace abn::emulator
