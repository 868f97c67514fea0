// Judging tensor files: the real ones pass, a wrong element fails, and everything malformed is
// refused with a sentence.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>

#include "verify/check/outputs.hpp"
#include "verify/data/safetensors.hpp"
#include "verify/judge/tensor_file_records.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

using namespace abn::verify;
using namespace abn::verify::judge;

namespace {

std::string real_folder() {
  const char* const folder = std::getenv("ABN_SOURCE_DIR");
#ifdef ABN_SOURCE_DIR
  return std::string(folder != nullptr ? folder : ABN_SOURCE_DIR) + "/fixtures/real/";
#else
  return std::string(folder != nullptr ? folder : ".") + "/fixtures/real/";
#endif
}

std::vector<std::string> real_files() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(real_folder()))
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

/// A changed copy of a file, gone after the test.
class Changed {
 public:
  Changed(const std::string& from, const std::function<void(data::SafetensorsFile&)>& change) {
    data::SafetensorsFile file = data::read_safetensors(real_folder() + from);
    change(file);
    data::write_safetensors(path_, file);
  }
  ~Changed() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() /
                       ("abn check-" + std::to_string(getpid()) + ".safetensors"))
                          .string();
};

std::string refusal(const std::function<void(data::SafetensorsFile&)>& change,
                    const std::string& from = "head_early_f32.safetensors") {
  const Changed file(from, change);
  try {
    check_file(file.path());
  } catch (const problem::UsageError& refused) {
    EXPECT_NE(std::string(refused.what()).find("; "), std::string::npos)
        << "says what to do: " << refused.what();
    EXPECT_EQ(std::string(refused.what()).find('\n'), std::string::npos);
    return refused.what();
  }
  return "";
}

const results::Record& record_of(const std::vector<results::Record>& records,
                                 const std::string& check) {
  for (const results::Record& record : records)
    if (record.check == check) return record;
  throw std::logic_error("no record of " + check);
}

void rename(data::SafetensorsFile& file, const std::string& from, const std::string& to) {
  data::Tensor tensor = file.tensors.at(from);
  file.tensors.erase(from);
  tensor.name = to;
  file.tensors[to] = tensor;
}

}  // namespace

TEST(TensorFileCheck, TheRealFilesPassAsWhatTheyDeclare) {
  int judged = 0, inputs_only = 0;
  for (const std::string& path : real_files()) {
    if (data::read_tensor_file(path).outputs.empty()) {
      ++inputs_only;
      EXPECT_THROW(check_file(path), problem::UsageError) << path;
      continue;
    }
    ++judged;
    const auto records = check_file(path);
    EXPECT_EQ(records.size(), 7u) << path;
    for (const results::Record& record : records) {
      EXPECT_NE(record.verdict, results::Verdict::fail) << results::failure_text(record);
      EXPECT_NE(record.verdict, results::Verdict::error) << results::failure_text(record);
      EXPECT_GT(record.tally.elements, 0u);
      EXPECT_EQ(record.id, record.variant + "/" + record.op + "/" + record.dtype + "/" +
                               record.layout + "/" + record.check);
    }
  }
  EXPECT_EQ(judged, 30);
  EXPECT_EQ(inputs_only, 15);
}

TEST(TensorFileCheck, OneElementOfDxThatIsOffByFourBoundsFails) {
  for (const char* name : {"stem_middle_f32.safetensors", "deep_early_bf16.safetensors"}) {
    const auto before = check_file(real_folder() + name);
    const results::Witness& witness = record_of(before, "dx").witnesses.front();
    ASSERT_LE(witness.ratio, 1) << name;
    const int dtype = record_of(before, "dx").dtype == "f32" ? ABN_F32 : ABN_BF16;
    const problem::Format& format = problem::format_of(dtype);
    const Changed file(name, [&](data::SafetensorsFile& changed) {
      data::Tensor& dx = changed.tensors.at("dx");
      std::vector<double> values(dx.bytes.size() / static_cast<std::size_t>(format.bytes));
      problem::unpack(format, dx.bytes.data(), values);
      const auto at = std::find(values.begin(), values.end(), witness.got);
      ASSERT_NE(at, values.end());
      *at = problem::round_to(format,
                              witness.expected + std::copysign(4 * witness.bound, witness.error));
      problem::pack(format, values, dx.bytes.data());
    });
    const auto after = check_file(file.path());
    const results::Record& dx = record_of(after, "dx");
    EXPECT_EQ(dx.verdict, results::Verdict::fail) << name;
    EXPECT_EQ(dx.tally.failed, 1u);
    EXPECT_NEAR(dx.tally.max_ratio, 4, 0.5);
    EXPECT_EQ(dx.witnesses.front().where, witness.where);
    EXPECT_EQ(dx.witnesses.front().reproduce, "abn-verify check '" + file.path() + "'")
        << "the path has a blank in it";
    for (const results::Record& record : after)
      EXPECT_TRUE(record.check == "dx" || record.verdict != results::Verdict::fail) << record.id;
  }
}

TEST(TensorFileCheck, AMistakeInAStepIsNamed) {
  const std::string name = "stem_middle_f32.safetensors";
  const data::TensorFile file = data::read_tensor_file(real_folder() + name);
  const auto* const dbeta = compare::find_output(file.outputs, compare::Output::dbeta);
  const abn_problem& p = file.inputs.problem;
  const double m = static_cast<double>(problem::sample_count(p));
  ASSERT_NE(dbeta, nullptr);
  const Changed wrong(name, [&](data::SafetensorsFile& changed) {
    data::Tensor& dx = changed.tensors.at("dx");
    std::vector<double> values(static_cast<std::size_t>(problem::element_count(p)));
    problem::unpack(problem::format_of(p.dtype), dx.bytes.data(), values);
    for (std::int64_t c = 0; c < p.c; ++c) {
      const auto channel = static_cast<std::size_t>(c);
      const double gamma = file.inputs.gamma[channel],
                   g = p.scale == ABN_SCALE_ABS_EPS ? std::abs(gamma) + p.eps : gamma;
      double sum = 0, squares = 0;
      problem::for_each_sample(p, c,
                               [&](std::size_t, std::size_t at) { sum += file.inputs.x[at]; });
      problem::for_each_sample(p, c, [&](std::size_t, std::size_t at) {
        squares += std::pow(file.inputs.x[at] - sum / m, 2);
      });
      const double term = g / std::sqrt(squares / m + p.eps) * dbeta->values[channel] / m;
      problem::for_each_sample(p, c, [&](std::size_t, std::size_t at) {
        values[at] = problem::round_to(problem::format_of(p.dtype), values[at] + term);
      });
    }
    problem::pack(problem::format_of(p.dtype), values, dx.bytes.data());
  });
  const auto records = check_file(wrong.path());
  EXPECT_EQ(record_of(records, "dx").verdict, results::Verdict::fail);
  const std::string text = results::failure_text(record_of(records, "dx"));
  EXPECT_NE(text.find("dx_missing_mean_dy"), std::string::npos) << text;
  EXPECT_EQ(results::failure_text(record_of(records, "dgamma")).find("dx_missing_mean_dy"),
            std::string::npos);
}

TEST(TensorFileCheck, AStricterClaimThanTheTruthFails) {
  // bf16 files round y and dy on the way; a file that does not say so is judged by a bound without
  // these terms.
  const Changed file("stem_late_bf16.safetensors", [](data::SafetensorsFile& changed) {
    changed.metadata["abn.materialises"] = "";
  });
  EXPECT_EQ(record_of(check_file(file.path()), "z").verdict, results::Verdict::fail);
}

TEST(TensorFileCheck, NamesAreCleanAndShapesMayBeSpatial) {
  const Changed file("stem_early_f32.safetensors", [](data::SafetensorsFile& changed) {
    for (const char* name : {"x", "dz", "z", "dx"}) changed.tensors.at(name).shape = {24, 16, 8, 8};
  });
  const data::TensorFile read = data::read_tensor_file(file.path());
  EXPECT_EQ(read.name.find(' '), std::string::npos);
  EXPECT_EQ(read.inputs.x,
            data::read_tensor_file(real_folder() + "stem_early_f32.safetensors").inputs.x);
  EXPECT_TRUE(read.declares);
}

TEST(TensorFileCheck, WhatIsMalformedIsRefused) {
  using File = data::SafetensorsFile;
  const std::vector<std::pair<std::string, std::function<void(File&)>>> wrong = {
      {"abn.format", [](File& f) { f.metadata.erase("abn.format"); }},
      {"abn.format", [](File& f) { f.metadata["abn.format"] = "2"; }},
      {"abn.problem", [](File& f) { f.metadata.erase("abn.problem"); }},
      {"bf17", [](File& f) { f.metadata["abn.problem"] = "n24c10s1,bf17,leaky_relu"; }},
      {"did you mean abn.scheme", [](File& f) { f.metadata["abn.sceme"] = "standard"; }},
      {"abn.scheme", [](File& f) { f.metadata.erase("abn.scheme"); }},
      {"abn.materialises", [](File& f) { f.metadata.erase("abn.materialises"); }},
      {"abn.materialises", [](File& f) { f.metadata["abn.materialises"] = "y,z"; }},
      {"abn.depth_statistics", [](File& f) { f.metadata["abn.depth_statistics"] = "25"; }},
      {"abn.depth_backward", [](File& f) { f.metadata["abn.depth_backward"] = "0"; }},
      {"abn.depth_backward", [](File& f) { f.metadata["abn.depth_backward"] = "ten"; }},
      {"one-pass", [](File& f) { f.metadata["abn.statistics"] = "one-pass"; }},
      {"did you mean dgamma", [](File& f) { rename(f, "dgamma", "dgama"); }},
      {"holds no x", [](File& f) { f.tensors.erase("x"); }},
      {"without dz", [](File& f) { f.tensors.erase("dz"); }},
      {"dgamma without gamma",
       [](File& f) {
         f.tensors.erase("beta"), f.tensors.erase("gamma"), f.tensors.erase("dbeta");
       }},
      {"running_mean without running_var",
       [](File& f) { f.tensors.erase("running_var"), f.tensors.erase("running_var_out"); }},
      {"running_var_out without running_var",
       [](File& f) {
         f.tensors.erase("running_var"), f.tensors.erase("running_mean"),
             f.tensors.erase("running_mean_out");
       }},
      {"needs F64", [](File& f) { f.metadata["abn.problem"] = "n24c10s1,f64,identity"; }},
      {"needs [24, 5, 2]", [](File& f) { f.metadata["abn.problem"] = "n24c5s2,identity"; }},
      {"needs [10]",
       [](File& f) {
         f.tensors.at("gamma").shape = {5, 2};
       }},
      {"inference has no backward",
       [](File& f) {
         f.metadata["abn.problem"] = "n24c10s1,identity,inference";
         for (const char* name : {"saved_mean", "running_mean_out", "running_var_out"})
           f.tensors.erase(name);
       }},
      {"frozen mode does not compute",
       [](File& f) { f.metadata["abn.problem"] = "n24c10s1,identity,frozen"; }},
      {"holds inputs only",
       [](File& f) {
         for (const char* name :
              {"z", "dx", "dgamma", "dbeta", "saved_mean", "running_mean_out", "running_var_out"})
           f.tensors.erase(name);
       }},
  };
  for (const auto& [part, change] : wrong) {
    const std::string text = refusal(change);
    EXPECT_NE(text.find(part), std::string::npos) << "expected \"" << part << "\" in: " << text;
  }
  EXPECT_THROW(check_file("/no/such/file.safetensors"), problem::UsageError);
}

TEST(TensorFileCheck, AVariantRunsOnTheInputsOfAFile) {
  const auto subjects = call::subjects_of(call::choose_device("emulator"), {}, false);
  for (const char* name : {"deep_late_f16.safetensors", "head_middle_bf16.safetensors"}) {
    const std::string path = real_folder() + name;
    const std::vector<data::Case> cases{data::replay("", path, 1)};
    EXPECT_EQ(cases[0].data, path);
    check::RunOptions options;
    options.device = "emulator";
    const auto records = run::run(check::output_checks, subjects, cases, options);
    EXPECT_GT(records.size(), 30u);
    for (const results::Record& record : records) {
      EXPECT_TRUE(record.verdict == results::Verdict::pass ||
                  record.verdict == results::Verdict::inconclusive)
          << results::failure_text(record);
      for (const results::Witness& witness : record.witnesses)
        EXPECT_NE(witness.reproduce.find(path), std::string::npos);
    }
    EXPECT_EQ(data::replay(problem::to_string(cases[0].problem), path, 1).problem.c,
              cases[0].problem.c);
    EXPECT_THROW(data::replay("n2c3s4,leaky_relu", path, 1), problem::UsageError);
  }
}

TEST(TensorFileCheck, WithoutDzForwardRunsAndBackwardSaysWhyNot) {
  const Changed file("head_early_f16.safetensors", [](data::SafetensorsFile& changed) {
    for (const char* name : {"dz", "running_mean", "running_var"}) changed.tensors.erase(name);
  });
  const auto subjects = call::subjects_of(call::choose_device("emulator"), {}, false);
  const auto records = run::run(check::output_checks, std::span(subjects).first(1),
                                std::vector{data::replay("", file.path(), 1)}, {});
  EXPECT_EQ(record_of(records, "z").verdict, results::Verdict::pass);
  EXPECT_EQ(record_of(records, "dx").verdict, results::Verdict::skip);
  EXPECT_NE(record_of(records, "dx").reason.find("no dz"), std::string::npos);
  for (const results::Record& record : records) EXPECT_NE(record.check, "running_mean");
}
