// Buffers and arguments of forward and backward, and what the seed decides of them.
#include "verify/call/call.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cuda/emulator/report.h"
#include "verify/call/float_environment.hpp"
#include "verify/data/random.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::call {
namespace {

constexpr int none = -1;  // a buffer that is not there: its pointer is NULL

std::string status_text(int status) {
  constexpr const char* names[] = {"ABN_OK", "ABN_ERROR_UNSUPPORTED", "ABN_ERROR_ARGUMENT",
                                   "ABN_ERROR_WORKSPACE", "ABN_ERROR_LAUNCH"};
  return status >= 0 && status < 5 ? names[status] : fmt::format("{}", status);
}

/// What the sanitiser is told of the buffers, by the names of kernel.h. What is written in place is
/// watched as its input and as its output, which makes it one buffer "x = z".
std::vector<emulator::WatchedBuffer> watched_buffers(const Arena& arena) {
  std::vector<emulator::WatchedBuffer> watched;
  for (const Arena::View& view : arena.views()) {
    const bool workspace = view.role == Role::workspace;
    const std::size_t element = !workspace            ? static_cast<std::size_t>(view.format.bytes)
                                : view.bytes % 4 == 0 ? 4
                                                      : 1;
    const auto add = [&](const char* name, bool written, bool writable) {
      watched.push_back(
          {name, view.address, view.bytes, static_cast<unsigned>(element), written, writable});
    };
    const bool given = view.role == Role::input || view.role == Role::updated,
               in_place = view.role == Role::updated;
    if (in_place && view.name == "z") add("x", true, false);
    if (in_place && view.name == "dx") add("dz", true, false);
    add(view.name == "variance" ? "var" : view.name.c_str(), given, view.role != Role::input);
  }
  return watched;
}

std::size_t given_bytes(WorkspaceGiven given, std::size_t asked) {
  return given == WorkspaceGiven::none            ? 0
         : given == WorkspaceGiven::one_byte_less ? asked - 1
                                                  : asked;
}

/// What is asked for of a variant that leaves something out.
Asked given(Asked asked, std::uint32_t leaves_out) {
  if ((leaves_out & worker::leaves_out_mean) != 0) asked.mean = false;
  if ((leaves_out & worker::leaves_out_variance) != 0) asked.variance = false;
  if ((leaves_out & worker::leaves_out_running) != 0)
    asked.running_mean = asked.running_var = false;
  return asked;
}

/// Makes the call and reads everything back. `invoke` returns the variant's status.
template <class Invoke>
void make(Call& call, const Subject& subject, const CallSettings& wanted, Invoke&& invoke) {
  int status = ABN_OK;
  if (wanted.before != nullptr) (*wanted.before)();
  std::optional<worker::Closed> closed;
  if (subject.workers != nullptr && subject.device->memory() == ABN_MEMORY_HOST)
    closed.emplace(call.arena->closed_pages());
  if (subject.emulated) {
    emulator::Settings settings;
    settings.schedule_seed = wanted.schedule;
    settings.sanitize = wanted.sanitize.has_value();
    if (settings.sanitize) settings.schedule = *wanted.sanitize;
    std::vector<emulator::WatchedBuffer> watched;
    if (settings.sanitize) watched = watched_buffers(*call.arena);
    emulator::Report& report = call.report;
    status = in_session(subject, settings, watched, report, invoke);
    if (!report.findings.empty()) {
      const emulator::Finding& finding = report.findings.front();
      // the text names the block and the thread
      call.trouble = fmt::format("{} in {}: {}", finding.kind, finding.kernel, finding.text);
    }
  } else {
    status = invoke();
  }
  closed.reset();
  call.arena->download();
  if (const std::optional<worker::Touch> touch = worker::take_touch()) {
    constexpr const char* verbs[] = {"reads or writes", "reads", "writes"};
    const Arena::Beside place = call.arena->beside(touch->address);
    call.touched = fmt::format("{}[{}]", place.buffer, place.element);
    call.trouble = fmt::format("{} {} {}: {}", verbs[static_cast<std::size_t>(touch->access) % 3],
                               place.element < 0 ? "before the beginning of" : "past the end of",
                               place.buffer, call.touched);
  }
  call.status = status;
  call.beside = worker::take_trouble();
  if (status != ABN_OK && call.trouble.empty())
    call.trouble =
        fmt::format("returned {} for a problem that claims() accepts", status_text(status));
}

}  // namespace

int in_session(const Subject& subject, const emulator::Settings& settings,
               const std::vector<emulator::WatchedBuffer>& watched, emulator::Report& report,
               const std::function<int()>& invoke) {
  if (subject.workers != nullptr) {
    worker::RemoteSession session(*subject.workers, settings, watched);
    const int status = invoke();
    report = session.take_report();
    return status;
  }
  emulator::Session session(settings);
  for (const emulator::WatchedBuffer& buffer : watched) session.watch(buffer);
  const int status = invoke();
  report = session.take_report();
  return status;
}

Draws draw(const problem::Inputs& inputs, const abn_claims& claims, std::uint64_t seed) {
  // "buffers": apart from the streams of data and problem
  const data::Stream random(seed ^ 0x62756666657273U);
  constexpr std::uint64_t one_in = 8;  // how often an optional output is left out
  const auto asked = [&](std::uint64_t index) { return random.below(one_in, index) != 0; };
  Draws draws{};
  draws.placement = static_cast<Placement>(random.below(3, 0));
  // Inference and frozen mode read the running statistics, and backward needs those that the scheme
  // saves.
  draws.asked_less.running_mean = inputs.problem.mode != ABN_TRAINING || asked(1);
  draws.asked_less.running_var = inputs.problem.mode != ABN_TRAINING || asked(7);
  draws.asked_less.mean = (claims.saves & ABN_SAVES_MEAN) != 0 || asked(2);
  draws.asked_less.variance = (claims.saves & ABN_SAVES_VAR) != 0 || asked(6);
  draws.asked_less.dx = asked(3);
  draws.asked_less.dgamma = asked(4);
  draws.asked_less.dbeta = asked(5);
  draws.offsets = random.bits(9);
  for (std::uint64_t i = 0; i < 2; ++i)
    draws.poison[i] = random.bits(10 + i), draws.schedule[i] = random.bits(20 + i);
  return draws;
}

Caller::Caller(const Subject& subject, const problem::Inputs& inputs, const abn_claims& claims,
               std::uint64_t seed)
    : subject_(subject),
      variant_(*subject.variant),
      inputs_(inputs),
      problem_(inputs.problem),
      claims_(claims),
      draws_(draw(inputs, claims, seed)),
      storage_(problem::format_of(problem_.dtype)),
      outer_(problem::format_of(problem::out_type_of(problem_))),
      parameter_(problem::format_of(problem_.param_dtype)),
      elements_(inputs.x.size()),
      channels_(static_cast<std::size_t>(problem_.c)) {}

Call Caller::forward(const CallSettings& settings) const {
  Call call = begin(settings);
  Arena& arena = *call.arena;
  const bool training = problem_.mode == ABN_TRAINING;
  const Asked asked = subject_.workers == nullptr
                          ? settings.asked
                          : given(settings.asked, subject_.workers->leaves_out(*subject_.variant));
  const int x = arena.add(settings.in_place ? "z" : "x",
                          settings.in_place ? Role::updated : Role::input, storage_, inputs_.x);
  const int z = settings.in_place ? x : output(call, compare::Output::z);
  const int xhat =
      (claims_.saves & ABN_SAVES_XHAT) != 0 ? output(call, compare::Output::xhat) : none;
  const auto [gamma, beta] = affine(arena);
  const Role role = training ? Role::updated : Role::input;
  const auto running = [&](bool wanted, const char* name, const std::vector<double>& values) {
    const bool there = (wanted || !training) && !values.empty();
    return there ? arena.add(name, role, parameter_, values) : none;
  };
  const int running_mean = running(asked.running_mean, "running_mean", inputs_.running_mean);
  const int running_var = running(asked.running_var, "running_var", inputs_.running_var);
  const int mean = training && asked.mean ? output(call, compare::Output::mean) : none;
  const int var = training && asked.variance ? output(call, (claims_.saves & ABN_SAVES_INVSTD) != 0
                                                                ? compare::Output::invstd
                                                                : compare::Output::variance)
                                             : none;
  const std::size_t bytes = variant_.workspace_bytes(&problem_, ABN_FORWARD);
  const int workspace = arena.add_workspace(bytes);
  if (settings.in_place) call.outputs.emplace_back(compare::Output::z, x);
  if (training && running_mean != none)
    call.outputs.emplace_back(compare::Output::running_mean, running_mean);
  if (training && running_var != none)
    call.outputs.emplace_back(compare::Output::running_var, running_var);
  arena.upload();
  const auto at = [&](int buffer) { return buffer == none ? nullptr : arena.address(buffer); };
  abn_forward_args args{};
  args.struct_size = sizeof args;
  args.x = at(x), args.z = at(z), args.xhat = at(xhat);
  args.gamma = at(gamma), args.beta = at(beta);
  args.running_mean = at(running_mean), args.running_var = at(running_var);
  args.mean = at(mean), args.var = at(var);
  args.workspace = settings.workspace == WorkspaceGiven::null ? nullptr : at(workspace);
  args.workspace_bytes = given_bytes(settings.workspace, bytes);
  args.stream = subject_.device->stream();
  make(call, subject_, settings, [&] {
    const FloatEnvironment ours;
    return variant_.forward(&problem_, &args);
  });
  std::stable_sort(call.outputs.begin(), call.outputs.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return call;
}

Call Caller::backward(const CallSettings& settings, const problem::Saved& saved) const {
  Call call = begin(settings);
  Arena& arena = *call.arena;
  const bool training = problem_.mode == ABN_TRAINING;
  const auto kept = [&](std::uint32_t flag) { return (claims_.saves & flag) != 0; };
  const auto input = [&](const char* name, const problem::Format& format,
                         const std::vector<double>& values) {
    return arena.add(name, Role::input, format, values);
  };
  const int dz = arena.add(settings.in_place ? "dx" : "dz",
                           settings.in_place ? Role::updated : Role::input, outer_, inputs_.dz);
  const int x = kept(ABN_SAVES_X) ? input("x", storage_, inputs_.x) : none;
  const int z = kept(ABN_SAVES_Z) ? input("z", outer_, saved.z) : none;
  const int xhat = kept(ABN_SAVES_XHAT) ? input("xhat", storage_, saved.xhat) : none;
  int dx = none;
  if (settings.in_place) {
    dx = dz;
    call.outputs.emplace_back(compare::Output::dx, dz);
  } else if (settings.asked.dx) {
    dx = output(call, compare::Output::dx);
  }
  const auto [gamma, beta] = affine(arena);
  const int mean = !training              ? input("mean", parameter_, inputs_.running_mean)
                   : kept(ABN_SAVES_MEAN) ? input("mean", parameter_, saved.mean)
                                          : none;
  const int var = !training                ? input("var", parameter_, inputs_.running_var)
                  : kept(ABN_SAVES_INVSTD) ? input("var", parameter_, saved.invstd)
                  : kept(ABN_SAVES_VAR)    ? input("var", parameter_, saved.variance)
                                           : none;
  const int dgamma =
      gamma != none && settings.asked.dgamma ? output(call, compare::Output::dgamma) : none;
  const int dbeta =
      beta != none && settings.asked.dbeta ? output(call, compare::Output::dbeta) : none;
  const std::size_t bytes = variant_.workspace_bytes(&problem_, ABN_BACKWARD);
  const int workspace = arena.add_workspace(bytes);
  arena.upload();
  const auto at = [&](int buffer) { return buffer == none ? nullptr : arena.address(buffer); };
  abn_backward_args args{};
  args.struct_size = sizeof args;
  args.dz = at(dz), args.x = at(x), args.z = at(z), args.xhat = at(xhat), args.dx = at(dx);
  args.gamma = at(gamma), args.beta = at(beta), args.mean = at(mean), args.var = at(var);
  args.dgamma = at(dgamma), args.dbeta = at(dbeta);
  args.workspace = settings.workspace == WorkspaceGiven::null ? nullptr : at(workspace);
  args.workspace_bytes = given_bytes(settings.workspace, bytes);
  args.stream = subject_.device->stream();
  make(call, subject_, settings, [&] {
    const FloatEnvironment ours;
    return variant_.backward(&problem_, &args);
  });
  return call;
}

Call Caller::begin(const CallSettings& settings) const {
  Call call;
  call.in_place = settings.in_place;
  const Whereabouts where = settings.where.value_or(Whereabouts{draws_.placement, draws_.offsets});
  call.arena =
      std::make_unique<Arena>(*subject_.device, where.placement, settings.poison, claims_.alignment,
                              where.offsets, settings.poison_seed, settings.block);
  if (where.page) call.arena->begin_in_page(*where.page);
  return call;
}

int Caller::output(Call& call, compare::Output which) const {
  const bool tensor = compare::is_tensor(which);
  const problem::Format& format = !tensor                       ? parameter_
                                  : which == compare::Output::z ? outer_
                                                                : storage_;
  const int buffer =
      call.arena->add_output(compare::output_name(which), format, tensor ? elements_ : channels_);
  call.outputs.emplace_back(which, buffer);
  return buffer;
}

std::pair<int, int> Caller::affine(Arena& arena) const {
  if (!inputs_.affine) return {none, none};
  // A variant that knows no such thing is given the ones and zeros that stand for it.
  const bool apart = claims_.affine_apart == 1;
  const int gamma = apart && inputs_.unit_scale
                        ? none
                        : arena.add("gamma", Role::input, parameter_, inputs_.gamma);
  const int beta =
      apart && inputs_.zero_shift ? none : arena.add("beta", Role::input, parameter_, inputs_.beta);
  return {gamma, beta};
}

}  // namespace abn::verify::call
