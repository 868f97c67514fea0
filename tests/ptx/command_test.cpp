// --device ptx from outside: kernels from text are judged and sanitised, planted mistakes that the
// emulator cannot see are found, and what cannot be run is refused in one sentence.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "tests/command/process.hpp"

namespace {

using abn::tests::in_shell;

constexpr const char* one_case =
    " --only-plugins --problem n4c3s49,f32,nchw,leaky_relu:0.01 --data standard --quiet";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

TEST(PtxCommand, KernelsFromTextAreJudged) {
  const auto ended = in_shell(std::string("ulimit -v 8000000; timeout 100 ./abn-verify run "
                                          "--plugin plugins/text_kernel.so --device ptx") +
                              one_case);
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_TRUE(contains(ended.output, " pass")) << ended.output;
}

TEST(PtxCommand, TheirAccessesAreSeenAndTheirTrafficIsAsClaimed) {
  const auto ended = in_shell(
      "ulimit -v 8000000; timeout 100 ./abn-verify run 'text_kernel/*/f32/*' --plugin "
      "plugins/text_kernel.so --device ptx --only-plugins --only-sanitize --problem "
      "n4c3s49,f32,nchw,leaky_relu:0.01 --data standard --quiet");
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_TRUE(contains(ended.output, " pass")) << ended.output;
}

TEST(PtxCommand, InstructionsAreCounted) {
  const auto ended = in_shell(
      "timeout 100 ./abn-verify traffic --plugin plugins/text_kernel.so --only-plugins --device "
      "ptx --problem n4c3s49,f32,nchw,leaky_relu:0.01");
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_TRUE(contains(ended.output, "instructions of warps, ")) << ended.output;
  EXPECT_TRUE(contains(ended.output, "the memory's pace on an H100 leaves 306")) << ended.output;
  EXPECT_TRUE(contains(ended.output, "leaves 459")) << ended.output;
  // By launch, with branches and replays: a tree of sums parts its warps and has no conflicts.
  EXPECT_TRUE(contains(ended.output, "forward_kernel: ")) << ended.output;
  EXPECT_TRUE(contains(ended.output, "backward_kernel: ")) << ended.output;
  EXPECT_TRUE(contains(ended.output, ", 0 replays of shared memory")) << ended.output;
  EXPECT_FALSE(contains(ended.output, " 0 branches")) << ended.output;
}

TEST(PtxCommand, PlanCountsWhatAutoExecutes) {
  const auto set = in_shell("timeout 100 ./abn-verify plan --device ptx --shapes large");
  EXPECT_EQ(set.code, 2) << set.output;
  EXPECT_TRUE(contains(set.output, "name one with --problem")) << set.output;
  const auto emulated =
      in_shell("timeout 100 ./abn-verify plan --device emulator --problem n2c3s5,leaky_relu");
  EXPECT_EQ(emulated.code, 2) << emulated.output;
  EXPECT_TRUE(contains(emulated.output, "use --device ptx")) << emulated.output;
  const abn::tests::Folder folder("plan");
  const auto ended = in_shell(
      "ulimit -v 8000000; timeout 300 ./abn-verify plan --device ptx --problem "
      "n8c8s196,nhwc,bf16,leaky_relu:0.01 --out " +
      folder.file("plan.json"));
  if (!std::ifstream("variants.ptx.so")) {
    EXPECT_EQ(ended.code, 2) << ended.output;
    EXPECT_TRUE(contains(ended.output, "build this project where nvcc is on PATH")) << ended.output;
    return;
  }
  EXPECT_EQ(ended.code, 0) << ended.output;
  // The same numbers as traffic counts, beside the prediction of the same kernel.
  const auto traffic = in_shell(
      "ulimit -v 8000000; timeout 300 ./abn-verify traffic auto --device ptx --problem "
      "n8c8s196,nhwc,bf16,leaky_relu:0.01 --out " +
      folder.file("traffic.json"));
  EXPECT_EQ(traffic.code, 0) << traffic.output;
  std::map<std::string, double> counted;
  const auto moved = nlohmann::json::parse(abn::tests::contents(folder.file("traffic.json")));
  for (const auto& call : moved.at("variants").at(0).at("calls"))
    if (!call.at("in_place").get<bool>())
      counted[call.at("op").get<std::string>()] =
          call.at("instructions_per_16_bytes").get<double>();
  const auto plan = nlohmann::json::parse(abn::tests::contents(folder.file("plan.json")));
  int rows = 0;
  for (const auto& table : plan.at("tables")) {
    if (table.at("name") != "choices") continue;
    const auto column = [&](const std::string& name) {
      std::size_t i = 0;
      while (table.at("columns").at(i).at("name") != name) ++i;
      return i;
    };
    for (const auto& row : table.at("rows")) {
      ++rows;
      const auto op = row.at(column("op")).get<std::string>();
      const auto number = [&](const char* name) {
        return row.at(column(name)).at(0).get<double>();
      };
      EXPECT_NEAR(number("instructions for 16 bytes") / counted.at(op), 1, 1e-5)
          << "a study keeps six digits";
      EXPECT_EQ(number("the memory's pace leaves"), op == "forward" ? 306 : 459);
      EXPECT_GT(number("predicted"), 0);
    }
  }
  EXPECT_EQ(rows, 2);
}

TEST(PtxCommand, PlugInsOfOlderToolkitsFindTheirRuntime) {
  for (const std::string toolkit : {"12", "11"}) {
    const auto ended = in_shell(
        "ulimit -v 8000000; timeout 100 ./abn-verify run --plugin "
        "plugins/older_runtime_" +
        toolkit + ".so --device ptx" + one_case);
    EXPECT_EQ(ended.code, 0) << ended.output;
    EXPECT_TRUE(contains(ended.output, " pass")) << ended.output;
    const auto sanitized = in_shell(
        "ulimit -v 8000000; timeout 100 ./abn-verify run 'older_runtime/*/f32/*' --plugin "
        "plugins/older_runtime_" +
        toolkit + ".so --device ptx --only-sanitize" + one_case);
    EXPECT_EQ(sanitized.code, 0) << sanitized.output;
  }
  const auto unknown =
      in_shell("./abn-verify run --plugin plugins/older_runtime_10.so --only-plugins --device ptx");
  EXPECT_EQ(unknown.code, 2) << unknown.output;
  EXPECT_TRUE(contains(unknown.output, "libcudart.so.10.2")) << unknown.output;
}

/// A plug-in that launches its kernels by graphs is judged, and the mistakes of its planted ones
/// show: parameters of an older call, and a kernel that does not wait for its copy.
TEST(PtxCommand, GraphsOfPlugInsAreJudged) {
  const auto judged = [](const std::string& plugin, const std::string& what) {
    return in_shell("ulimit -v 8000000; timeout 100 ./abn-verify run " + what +
                    " --plugin plugins/" + plugin + ".so --device ptx" + one_case);
  };
  for (const std::string how :
       {"'graph_kernel/*/f32/*'", "'graph_kernel/*/f32/*' --only-sanitize"}) {
    const auto right = judged("graph_kernel", how);
    EXPECT_EQ(right.code, 0) << right.output;
    EXPECT_TRUE(contains(right.output, " pass")) << right.output;
  }
  const auto older = judged("graph_kernel_planted_1", "'graph_kernel/*/f32/*'");
  EXPECT_EQ(older.code, 1) << older.output;
  EXPECT_TRUE(contains(older.output, "FAIL graph_kernel/calls/f32/nchw/elsewhere")) << older.output;
  const auto unordered = judged("graph_kernel_planted_2", "'graph_kernel/forward/f32/*/z'");
  EXPECT_EQ(unordered.code, 1) << unordered.output;
  EXPECT_TRUE(contains(unordered.output, "FAIL graph_kernel/forward/f32/nchw/z"))
      << unordered.output;
}

/// The exit code of one case of this plug-in on the device, and what it prints.
abn::tests::EndedShell judged(const std::string& plugin, const std::string& device,
                              const std::string& options = "") {
  return in_shell(
      "ulimit -v 16000000; timeout 200 ./abn-verify run 'text_kernel/forward/*' "
      "--plugin plugins/" +
      plugin + ".so --device " + device + one_case + options);
}

// What the ISA leaves open decides whether these are right.
TEST(PtxCommand, OutputsHaveToBeRightWhateverTheIsaLeavesOpen) {
  for (const char* const device : {"ptx:low", "ptx:high", "ptx:hashed", "ptx:fused", "ptx:all"}) {
    const auto right = judged("text_kernel", device);
    EXPECT_EQ(right.code, 0) << device << "\n" << right.output;
  }
  const std::pair<const char*, const char*> wrong[] = {{"text_kernel_ends", "ptx:high"},
                                                       {"text_kernel_fuses", "ptx:fused"}};
  for (const auto& [plugin, device] : wrong) {
    EXPECT_EQ(judged(plugin, "ptx").code, 0) << plugin;
    EXPECT_EQ(judged(plugin, device).code, 1) << plugin;
    const auto all = judged(plugin, "ptx:all");
    EXPECT_EQ(all.code, 1) << plugin;
    EXPECT_TRUE(contains(all.output, "FAIL text_kernel/forward/f32/nchw/z ")) << all.output;
    // Which end is worse is up to the data.
    EXPECT_TRUE(contains(all.output, std::string(" --device ") + device) ||
                (device == std::string("ptx:high") && contains(all.output, " --device ptx:low")))
        << all.output;
    EXPECT_FALSE(contains(all.output, "--device ptx:all")) << all.output;
  }
}

/// What the records say, by id, without their reproduce lines.
std::map<std::string, nlohmann::json> records_in(const std::string& path) {
  std::map<std::string, nlohmann::json> all;
  const auto results = nlohmann::json::parse(abn::tests::contents(path));
  for (nlohmann::json record : results.at("checks")) {
    for (auto& witness : record["witnesses"]) witness.erase("reproduce");
    all[record.at("id")] = record;
  }
  return all;
}

// Backward of the other one faults where there are five channels, which leaves the context of its
// process in error: the case after it gets another process.
TEST(PtxCommand, AFaultCostsItsOwnRecordAlone) {
  const abn::tests::Folder folder("fault");
  std::ofstream(folder.file("cases")) << "n2c3s5,f32,leaky_relu:0.01\tstandard\t1\n"
                                         "n2c5s5,f32,leaky_relu:0.01\tstandard\t2\n"
                                         "n2c4s5,f32,leaky_relu:0.01\tstandard\t3\n"
                                         "n3c3s7,f32,leaky_relu:0.01\tstandard\t4\n";
  const auto judged = [&](const std::string& plugin) {
    return in_shell("timeout 100 ./abn-verify run '*/@(forward|backward)/*' --plugin plugins/" +
                    plugin + ".so --device ptx --only-plugins --quiet --threads 1 --cases " +
                    folder.file("cases") + " --out " + folder.file(plugin));
  };
  const auto right = judged("text_kernel"), faults = judged("text_kernel_faults");
  EXPECT_EQ(right.code, 0) << right.output;
  EXPECT_EQ(faults.code, 1) << faults.output;
  const auto expected = records_in(folder.file("text_kernel"));
  const auto got = records_in(folder.file("text_kernel_faults"));
  ASSERT_EQ(got.size(), expected.size());
  int forward = 0;
  for (const auto& [id, record] : got) {
    const nlohmann::json& of_right = expected.at(id);
    if (record.at("op") == "forward") {
      ++forward;
      EXPECT_EQ(record, of_right);
    } else if (record.at("check") == "status") {
      EXPECT_EQ(record.at("verdict"), "fail");
      EXPECT_EQ(record.at("cases"), 4);
      EXPECT_EQ(record.at("failed_cases"), 1);
      EXPECT_TRUE(contains(record.at("reason"), "out of bounds in backward_kernel: a load of 4"))
          << record;
    } else {
      EXPECT_EQ(record.at("verdict"), "pass") << record;
      EXPECT_EQ(record.at("failed_cases"), 0) << record;
      // Of a case whose first call failed, only what a call leaves alone is judged.
      EXPECT_GE(record.at("cases"), of_right.at("cases").get<int>() - 1) << record;
    }
  }
  EXPECT_GT(forward, 5);
}

TEST(PtxCommand, AnOperandOfTheWrongWidthIsRefusedByItsLine) {
  const auto ended = in_shell(std::string("timeout 100 ./abn-verify run --plugin "
                                          "plugins/text_kernel_broken.so --device ptx") +
                              one_case);
  EXPECT_EQ(ended.code, 1) << ended.output;
  EXPECT_TRUE(contains(ended.output,
                       "PTX line 247 of kernel forward_kernel: an address of 32 bits "
                       "in register %r1 for memory that has 64"))
      << ended.output;
}

TEST(PtxCommand, FastMathIsSeenInTheNumbers) {
  // Compiled with -use_fast_math, whose instructions flush subnormals; sources do not show that.
  const auto fast = in_shell(
      "timeout 100 ./abn-verify run 'text_kernel/*/f32/nchw/z' --plugin "
      "plugins/text_kernel_fast.so --only-plugins --device ptx --quiet --problem "
      "n8c4s64,f32,nchw,leaky_relu:0.01 --data subnormals");
  EXPECT_EQ(fast.code, 1) << fast.output;
  const auto exact = in_shell(
      "timeout 100 ./abn-verify run 'text_kernel/*/f32/nchw/z' --plugin "
      "plugins/text_kernel.so --only-plugins --device ptx --quiet --problem "
      "n8c4s64,f32,nchw,leaky_relu:0.01 --data subnormals");
  EXPECT_EQ(exact.code, 0) << exact.output;
}

TEST(PtxCommand, WhatCannotRunIsRefusedWithTheRemedy) {
  const auto own =
      in_shell("./abn-verify run --plugin plugins/own_runtime.so --only-plugins --device ptx");
  EXPECT_EQ(own.code, 2) << own.output;
  EXPECT_TRUE(contains(own.output, "link it with nvcc -cudart shared")) << own.output;
  const auto word = in_shell("./abn-verify run naive --device ptx:middle");
  EXPECT_EQ(word.code, 2) << word.output;
  EXPECT_TRUE(contains(word.output, "\"ptx:middle\" is not a device")) << word.output;
  const auto gpu =
      in_shell("./abn-verify traffic naive --device cuda:0 --problem n4c3s49,identity");
  EXPECT_EQ(gpu.code, 2) << gpu.output;
  EXPECT_TRUE(contains(gpu.output, "use --device emulator or ptx")) << gpu.output;
}

}  // namespace
