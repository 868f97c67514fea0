// Filling, calling and judging by channels.
#include "verify/check/streamed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "cuda/emulator/report.h"
#include "verify/call/call.hpp"
#include "verify/call/float_environment.hpp"
#include "verify/call/guarded.hpp"
#include "verify/call/parallel.hpp"
#include "verify/data/recipes.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/kink.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/worker/pool.hpp"

namespace abn::verify::check {
namespace {

// what the exact values, bounds and terms of one element take while its channel is judged
constexpr double bytes_an_element = 600;
// channels that one thread judges before their records are added to the others
constexpr std::int64_t blocks = 64;

double gibibytes(double bytes) { return bytes / (1 << 30); }

class Streamed {
 public:
  explicit Streamed(const Work& work)
      : work_(work),
        problem_(work.one.problem),
        claims_(work.claims),
        storage_(problem::format_of(problem_.dtype)),
        outer_(problem::format_of(problem::out_type_of(problem_))),
        parameter_(problem::format_of(problem_.param_dtype)),
        elements_(static_cast<std::size_t>(problem::element_count(problem_))),
        channels_(static_cast<std::size_t>(problem_.c)),
        threads_(call::thread_count(work.options.threads)),
        training_(problem_.mode == ABN_TRAINING),
        memory_(*work.subject.device) {}

  std::vector<results::Record> records() {
    if (const std::string why = missing_memory(); !why.empty()) {
      std::vector<results::Record> skipped;
      for (const CheckName& name : work_.wanted)
        if (has_record(name)) skipped.push_back(skip_record(work_.origin, name, why));
      return skipped;
    }
    std::vector<results::Record> records;
    forward();
    judge_operation(records, "forward");
    const bool wants_backward =
        std::any_of(work_.wanted.begin(), work_.wanted.end(),
                    [](const CheckName& name) { return std::string_view(name.op) == "backward"; });
    if (!wants_backward) return records;
    if (!trouble_.empty()) {
      for (const CheckName& name : work_.wanted)
        if (std::string_view(name.op) == "backward" && has_record(name))
          records.push_back(
              skip_record(work_.origin, name,
                          "forward did not come back well, so there is nothing to go back from"));
      return records;
    }
    backward();
    judge_operation(records, "backward");
    return records;
  }

 private:
  static constexpr int none = -1;  // a buffer that is not there: its pointer is NULL

  static bool has_record(const CheckName& name) {
    const std::string_view check = name.check;
    return name.kind == results::CheckKind::numbers || check == "status" || check == "guards" ||
           check == "inputs";
  }
  bool saves(std::uint32_t flag) const { return (claims_.saves & flag) != 0; }
  bool z_on_x() const {
    return claims_.z_may_alias_x == 1 && !saves(ABN_SAVES_X) && storage_.dtype == outer_.dtype;
  }
  bool dx_on_dz() const { return claims_.dx_may_alias_dz == 1 && storage_.dtype == outer_.dtype; }

  /// One sentence where there is not enough memory; empty where there is.
  std::string missing_memory() const {
    const double elements = static_cast<double>(elements_), inner = storage_.bytes * elements,
                 outer = outer_.bytes * elements;
    double tensors = z_on_x() ? outer : inner + outer;
    if (saves(ABN_SAVES_XHAT)) tensors += inner;
    if (problem_.mode != ABN_INFERENCE) tensors += outer + (dx_on_dz() ? 0 : inner);
    const double needed = tensors + threads_ * bytes_an_element *
                                        static_cast<double>(problem::sample_count(problem_)),
                 there = data::available_memory();
    if (needed <= there) return "";
    return fmt::format(
        "a case of {} elements needs {:.1f} GiB here, {:.1f} of them for its tensors, and {:.1f} "
        "are free; take fewer elements, or more channels of fewer samples",
        elements_, gibibytes(needed), gibibytes(tensors), gibibytes(there));
  }

  problem::Inputs channel(std::int64_t c, bool with_dz) const {
    return data::make_channel(problem_, work_.one.data, work_.one.seed, c, with_dz);
  }

  // A channel's samples, out of a tensor and into it.
  void scatter(int tensor, const problem::Format& format, std::int64_t c,
               const std::vector<double>& values) {
    const auto size = static_cast<std::size_t>(format.bytes);
    std::vector<std::byte> packed(values.size() * size);
    problem::pack(format, values, packed.data());
    problem::for_each_sample(problem_, c, [&](std::size_t i, std::size_t at) {
      std::copy_n(packed.data() + i * size, size, memory_.host(tensor) + at * size);
    });
  }
  std::vector<double> gather(int tensor, const problem::Format& format, std::int64_t c) {
    const auto size = static_cast<std::size_t>(format.bytes);
    std::vector<double> values(static_cast<std::size_t>(problem::sample_count(problem_)));
    std::vector<std::byte> packed(values.size() * size);
    problem::for_each_sample(problem_, c, [&](std::size_t i, std::size_t at) {
      std::copy_n(memory_.host(tensor) + at * size, size, packed.data() + i * size);
    });
    problem::unpack(format, packed.data(), values);
    return values;
  }
  void put(int vector, std::int64_t c, double value) {
    problem::pack(parameter_, std::span(&value, 1),
                  memory_.host(vector) + static_cast<std::size_t>(c * parameter_.bytes));
  }
  double get(int vector, std::int64_t c) {
    double value = 0;
    problem::unpack(parameter_,
                    memory_.host(vector) + static_cast<std::size_t>(c * parameter_.bytes),
                    std::span(&value, 1));
    return value;
  }

  /// All buffers of both calls: those of one call have to lie in one allocation.
  void allocate() {
    const auto tensor = [&](const char* name, const problem::Format& format) {
      return memory_.add(name, elements_ * static_cast<std::size_t>(format.bytes));
    };
    const auto vector = [&](const char* name) {
      return memory_.add(name, channels_ * static_cast<std::size_t>(parameter_.bytes));
    };
    const bool with_backward = problem_.mode != ABN_INFERENCE;
    x_ = tensor("x", storage_);
    z_ = z_on_x() ? x_ : tensor("z", outer_);
    if (saves(ABN_SAVES_XHAT)) xhat_ = tensor("xhat", storage_);
    if (affine_) gamma_ = vector("gamma"), beta_ = vector("beta");
    running_mean_ = vector("running_mean"), running_var_ = vector("running_var");
    if (training_) mean_ = vector("mean"), var_ = vector("var");
    if (with_backward) {
      dz_ = tensor("dz", outer_);
      dx_ = dx_on_dz() ? dz_ : tensor("dx", storage_);
      if (affine_) dgamma_ = vector("dgamma"), dbeta_ = vector("dbeta");
    }
    for (const int direction : {ABN_FORWARD, ABN_BACKWARD}) {
      if (direction == ABN_BACKWARD && !with_backward) continue;
      const std::size_t bytes = work_.subject.variant->workspace_bytes(&problem_, direction);
      workspace_bytes_[direction] = bytes;
      if (bytes > 0) workspace_[direction] = memory_.add("workspace", bytes);
    }
    memory_.allocate();
    for (const int output : {z_, dx_, xhat_, mean_, var_, dgamma_, dbeta_})
      if (output != none) poison(output);
  }

  /// A NaN in every type.
  void poison(int buffer) {
    constexpr std::size_t piece = std::size_t{1} << 24;
    const std::size_t all = memory_.bytes(buffer);
    call::in_parallel((all + piece - 1) / piece, threads_, [&](std::size_t i, int) {
      std::memset(memory_.host(buffer) + i * piece, 0xFF, std::min(piece, all - i * piece));
    });
  }

  template <class Entry>
  void call_entry(const Entry& entry) {
    memory_.upload();
    int status = ABN_OK;
    const auto invoke = [&] {
      const call::FloatEnvironment ours;
      return entry();
    };
    if (work_.subject.emulated) {
      emulator::Report report;
      status = call::in_session(work_.subject, emulator::Settings{}, {}, report, invoke);
      if (!report.findings.empty()) trouble_ = report.findings.front().text;
    } else {
      status = invoke();
    }
    memory_.download();
    if (trouble_.empty()) trouble_ = worker::take_trouble();
    if (status != ABN_OK && trouble_.empty())
      trouble_ = fmt::format("returned {} for a problem that claims() accepts", status);
    broken_ = memory_.broken_guard();
  }

  void forward() {
    affine_ = channel(0, false).affine;
    allocate();
    call::in_parallel(channels_, threads_, [&](std::size_t index, int) {
      const auto c = static_cast<std::int64_t>(index);
      const problem::Inputs in = channel(c, false);
      scatter(x_, storage_, c, in.x);
      if (affine_) put(gamma_, c, in.gamma[0]), put(beta_, c, in.beta[0]);
      put(running_mean_, c, in.running_mean[0]), put(running_var_, c, in.running_var[0]);
    });
    const std::uint64_t before = z_on_x() ? 0 : memory_.fingerprint(x_, threads_);
    abn_forward_args args{};
    args.struct_size = sizeof args;
    args.x = at(x_), args.z = at(z_), args.xhat = at(xhat_);
    args.gamma = at(gamma_), args.beta = at(beta_);
    args.running_mean = at(running_mean_), args.running_var = at(running_var_);
    args.mean = at(mean_), args.var = at(var_);
    args.workspace = at(workspace_[ABN_FORWARD]);
    args.workspace_bytes = workspace_bytes_[ABN_FORWARD];
    args.stream = work_.subject.device->stream();
    call_entry([&] { return work_.subject.variant->forward(&problem_, &args); });
    changed_ = !z_on_x() && memory_.fingerprint(x_, threads_) != before ? "x" : "";
  }

  void backward() {
    call::in_parallel(channels_, threads_, [&](std::size_t index, int) {
      const auto c = static_cast<std::int64_t>(index);
      scatter(dz_, outer_, c, channel(c, true).dz);
    });
    const std::uint64_t before = memory_.fingerprint(z_, threads_);
    abn_backward_args args{};
    args.struct_size = sizeof args;
    args.dz = at(dz_), args.dx = at(dx_);
    if (saves(ABN_SAVES_X)) args.x = at(x_);
    if (saves(ABN_SAVES_Z)) args.z = at(z_);
    if (saves(ABN_SAVES_XHAT)) args.xhat = at(xhat_);
    args.gamma = at(gamma_), args.beta = at(beta_);
    if (!training_) args.mean = at(running_mean_), args.var = at(running_var_);
    if (training_ && saves(ABN_SAVES_MEAN)) args.mean = at(mean_);
    if (training_ && saves(ABN_SAVES_VAR | ABN_SAVES_INVSTD)) args.var = at(var_);
    args.dgamma = at(dgamma_), args.dbeta = at(dbeta_);
    args.workspace = at(workspace_[ABN_BACKWARD]);
    args.workspace_bytes = workspace_bytes_[ABN_BACKWARD];
    args.stream = work_.subject.device->stream();
    call_entry([&] { return work_.subject.variant->backward(&problem_, &args); });
    changed_ = memory_.fingerprint(z_, threads_) != before ? "z" : "";
  }

  void* at(int buffer) const { return buffer == none ? nullptr : memory_.address(buffer); }

  /// What the kernel left of channel c for its backward.
  problem::Saved saved(std::int64_t c) {
    problem::Saved out;
    if (saves(ABN_SAVES_Z)) out.z = gather(z_, outer_, c);
    if (saves(ABN_SAVES_XHAT)) out.xhat = gather(xhat_, storage_, c);
    if (!training_) return out;
    if (saves(ABN_SAVES_MEAN)) out.mean = {get(mean_, c)};
    if (saves(ABN_SAVES_INVSTD))
      out.invstd = {get(var_, c)};
    else if (saves(ABN_SAVES_VAR))
      out.variance = {get(var_, c)};
    return out;
  }

  std::vector<compare::Stored> outputs(bool backward, std::int64_t c) {
    std::vector<compare::Stored> out;
    const auto tensor = [&](compare::Output which, int buffer, const problem::Format& format) {
      out.push_back({which, gather(buffer, format, c)});
    };
    const auto vector = [&](compare::Output which, int buffer) {
      out.push_back({which, {get(buffer, c)}});
    };
    if (backward) {
      tensor(compare::Output::dx, dx_, storage_);
      if (affine_) vector(compare::Output::dgamma, dgamma_), vector(compare::Output::dbeta, dbeta_);
      return out;
    }
    tensor(compare::Output::z, z_, outer_);
    if (xhat_ != none) tensor(compare::Output::xhat, xhat_, storage_);
    if (!training_) return out;
    vector(compare::Output::mean, mean_);
    vector(saves(ABN_SAVES_INVSTD) ? compare::Output::invstd : compare::Output::variance, var_);
    vector(compare::Output::running_mean, running_mean_);
    vector(compare::Output::running_var, running_var_);
    return out;
  }

  /// The records of the numbers of one channel.
  std::vector<results::Record> judge_channel(const char* op, std::int64_t c) {
    const bool backward = std::string_view(op) == "backward";
    const problem::Inputs inputs = channel(c, backward);
    const problem::Saved kept = backward ? saved(c) : problem::Saved{};
    const std::vector<compare::Stored> got = outputs(backward, c);
    const abn_claims claims = backward ? judge::with_kink(inputs, kept, claims_, got) : claims_;
    const std::vector<compare::Expectation> expected =
        backward ? expect::expect_backward(inputs, kept, claims)
                 : expect::expect_forward(inputs, claims);
    judge::Origin origin = work_.origin;
    origin.element_of = [this, c](bool tensor, std::int64_t element) {
      // an element of a problem of one channel is its sample, in both layouts
      return tensor ? problem::sample_offset(problem_, c, element) : c;
    };
    const auto explain = [&](compare::Output output, std::int64_t element) {
      return expect::shares_of(inputs, backward ? &kept : nullptr, claims, output, element);
    };
    std::vector<results::Record> records;
    for (const compare::Stored& one : got) {
      const std::string_view name = compare::output_name(one.output);
      const bool asked =
          std::any_of(work_.wanted.begin(), work_.wanted.end(), [&](const CheckName& wanted) {
            return std::string_view(wanted.op) == op && name == wanted.check;
          });
      const compare::Expectation* const expectation = compare::find_output(expected, one.output);
      if (asked && expectation != nullptr)
        records.push_back(
            judge::judge(origin, op, inputs, kept, *expectation, one.values, explain));
    }
    return records;
  }

  void judge_operation(std::vector<results::Record>& all_records, const char* op) {
    for (const CheckName& name : work_.wanted)
      if (std::string_view(name.op) == op && name.kind != results::CheckKind::numbers)
        add_contract(all_records, name);
    const bool numbers =
        std::any_of(work_.wanted.begin(), work_.wanted.end(), [&](const CheckName& name) {
          return std::string_view(name.op) == op && name.kind == results::CheckKind::numbers;
        });
    if (!numbers || !trouble_.empty()) return;
    std::vector<std::vector<results::Record>> parts(blocks);
    call::in_parallel(blocks, threads_, [&](std::size_t block, int) {
      const auto at = static_cast<std::int64_t>(block);
      const std::int64_t begin = problem_.c * at / blocks, end = problem_.c * (at + 1) / blocks;
      for (std::int64_t c = begin; c < end; ++c) add(parts[block], judge_channel(op, c));
    });
    std::vector<results::Record> whole;
    for (auto& part : parts) add(whole, std::move(part));
    for (results::Record& record : whole) {
      as_one_case(record);
      all_records.push_back(std::move(record));
    }
  }

  /// The channels were records of their own; to a reader they are one case.
  static void as_one_case(results::Record& record) {
    for (std::uint64_t* const count :
         {&record.cases, &record.failed_cases, &record.discriminating_cases,
          &record.method_limited_cases, &record.cancelled_cases, &record.constant_dz_cases})
      *count = std::min<std::uint64_t>(*count, 1);
    for (results::CaseKind& kind : record.kinds)
      for (std::uint64_t* const count : {&kind.cases, &kind.telling, &kind.empty})
        *count = std::min<std::uint64_t>(*count, 1);
  }

  static void add(std::vector<results::Record>& into, std::vector<results::Record>&& more) {
    for (results::Record& record : more) {
      const auto same = std::find_if(into.begin(), into.end(), [&](const results::Record& one) {
        return one.id == record.id;
      });
      if (same == into.end())
        into.push_back(std::move(record));
      else
        results::merge(*same, record);
    }
  }

  void add_contract(std::vector<results::Record>& records, const CheckName& name) const {
    const std::string_view check = name.check;
    if (!has_record(name)) return;
    const std::string reason = check == "status" ? trouble_
                               : check == "guards" && !broken_.empty()
                                   ? "bytes beside " + broken_ + " were written"
                               : check == "inputs" && !changed_.empty() ? changed_ + " was written"
                                                                        : "";
    results::Record record = judge::blank_record(work_.origin, name.op, name.check, name.kind);
    if (!reason.empty()) {
      record.verdict = results::Verdict::fail;
      record.failed_cases = 1;
      record.reason = reason;
      results::Witness witness = judge::blank_witness(work_.origin, record.id);
      witness.where = name.op;
      witness.reason = reason;
      record.witnesses.push_back(std::move(witness));
    }
    records.push_back(std::move(record));
  }

  const Work& work_;
  const abn_problem& problem_;
  const abn_claims& claims_;
  const problem::Format &storage_, &outer_, &parameter_;
  const std::size_t elements_, channels_;
  const int threads_;
  const bool training_;
  bool affine_ = true;
  call::Guarded memory_;
  int x_ = none, z_ = none, xhat_ = none, gamma_ = none, beta_ = none, running_mean_ = none,
      running_var_ = none, mean_ = none, var_ = none;
  int dz_ = none, dx_ = none, dgamma_ = none, dbeta_ = none;
  int workspace_[2] = {none, none};  // by direction
  std::size_t workspace_bytes_[2] = {0, 0};
  std::string trouble_, broken_, changed_;
};

}  // namespace

std::vector<results::Record> streamed_records(const Work& work) { return Streamed(work).records(); }

}  // namespace abn::verify::check
