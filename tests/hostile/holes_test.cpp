// The holes that were seen in other validation harnesses, each with a cheat that goes through it
// there, and what this one says of it. `verify-tests --gtest_filter='Holes.*'` prints the table.
//
// The sources are public reports of 2024 to 2026 on KernelBench, kernelbot, llm.c, RAJAPerf,
// MIOpen, flashinfer-bench and others.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/command/process.hpp"

namespace {

using namespace abn::tests;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string usual = " --problem n2c3s40,f32,leaky_relu";
const std::string tier = " --tier quick --seed 7";

std::string run_aloud(const std::string& pattern, const std::string& plugin,
                      const std::string& rest) {
  return "timeout -k 1 300 ./abn-verify run '" + pattern + "' --plugin ./plugins/" + plugin +
         ".so --only-plugins --device emulator" + rest;
}
std::string run(const std::string& pattern, const std::string& plugin, const std::string& rest) {
  return run_aloud(pattern, plugin, rest + " --quiet");
}

std::string bench(const std::string& variant) {
  return "timeout -k 1 300 ./abn-verify bench " + variant +
         " --plugin ./plugins/cheats.so --only-plugins --device emulator --seconds 0" + usual;
}

struct Hole {
  const char *what, *cheat;
  std::string command;
  int code;
  const char* says;
};

std::vector<Hole> holes() {
  const std::string few = "/@(forward|backward|calls)/f32/nchw/*";
  const auto cheat = [&](const std::string& name, const std::string& rest) {
    return run("cheat_" + name + few, "cheats", rest);
  };
  const auto deed = [&](const std::string& what) {
    return "HOSTILE=" + what + " " +
           run("hostile/forward/f32/nchw/*", "hostile", usual + " --seed 1 --call-seconds 5");
  };
  return {
      {"reads the reference's result from recycled memory", "copies fresh malloc() memory to z",
       cheat("recycled", tier), 1, "FAIL cheat_recycled/forward/f32/nchw/z"},
      {"output never or partly written", "leaves the last element of z",
       run("last_element_unwritten" + few, "last_element_unwritten", tier), 1,
       "FAIL last_element_unwritten/forward/f32/nchw/unwritten"},
      {"changes its inputs, then returns zeros", "clears x and z", cheat("cleared_input", tier), 1,
       "FAIL cheat_cleared_input/forward/f32/nchw/inputs"},
      {"constants, zeros, identity pass", "z = 0", cheat("zeros", tier), 1,
       "FAIL cheat_zeros/forward/f32/nchw/z"},
      {"constants, zeros, identity pass", "z = x", cheat("copies", tier), 1,
       "FAIL cheat_copies/forward/f32/nchw/z"},
      {"cache keyed by address or size", "serves what it computed at that address",
       cheat("cached_by_address", tier), 1, "FAIL cheat_cached_by_address/"},
      {"many calls made into one", "computes every second call", bench("cheat_every_second_call"),
       1, "its time is no time"},
      {"only the last output is compared", "wrong in the seventh call",
       cheat("wrong_in_the_seventh", tier), 1, "FAIL cheat_wrong_in_the_seventh/"},
      {"right in the first calls, wrong later", "zeros after 40 calls",
       cheat("right_in_the_first", tier), 1, "FAIL cheat_right_in_the_first/"},
      {"warm-up is told from timing", "zeros after 40 calls", bench("cheat_right_in_the_first"), 1,
       "its time is no time"},
      {"only calls that nobody times are made", "computes data twice, then knows them",
       bench("cheat_seen_data"), 1, "its time is no time"},
      {"the clock is patched", "the worker's clock goes 1000 times slower",
       "timeout -k 1 300 ./abn-verify bench slow_clock --plugin ./plugins/slow_clock.so "
       "--only-plugins --device emulator --seconds 0 --problem n16c16s256,f32,leaky_relu,inference",
       1, "by the judge's clock it took"},
      {"work on another thread, late", "a thread writes after the call",
       deed("forward:late_thread"), 1, "a thread of it wrote into the buffers"},
      {"results forged through what the harness holds open", "sends packets of its own",
       deed("forward:forge"), 1, "sent a packet that answers no question"},
      {"NaN is equal to anything", "one NaN in z", run("nan_in_one" + few, "nan_in_one", tier), 1,
       "FAIL nan_in_one/forward/f32/nchw/z"},
      {"accumulates in a narrower type", "sums in f16, claims f32",
       run("accumulate_f16/forward/f32/nchw/*", "mutants", " --tier quick --seed 1"), 1,
       "FAIL accumulate_f16/forward/f32/nchw/"},
      {"95 of 100 elements are enough", "one element of all 0.1 % too large",
       cheat("one_element", tier), 1, "FAIL cheat_one_element/forward/f32/nchw/z"},
      {"the tolerance is the candidate's to choose", "claims accumulate bf16 for f32",
       "HOSTILE=claims:bf16 " + run("hostile/forward/f32/nchw/*", "hostile", usual + " --seed 1"),
       1, "implausible claim accumulate bf16"},
      {"out of bounds, hidden by luck", "writes far behind its buffers", deed("forward:far_write"),
       1, "crashed with signal 11"},
      {"races, hidden by luck", "a barrier left out",
       run("planted_race/*", "planted",
           " --only-sanitize --seed 1 --problem "
           "n2c32s16,f32,leaky_relu,inference"),
       1, "FAIL planted_race/forward/f32/nchw/races"},
      {"the candidate edits the harness' files", "writes into every file that is open",
       deed("forward:write_files"), 1, "sent something else than an answer"},
      // Right numbers are right whoever computed them; the reader is told who did.
      {"another library computes", "loads one in its first call",
       run_aloud("borrows/*", "borrows", tier), 0, "the plug-in of borrows brought correct.so"},
      {"another library computes", "loads and unloads one in each call",
       "BORROWS=unloads " + run_aloud("borrows/*", "borrows", tier), 0,
       "the plug-in of borrows brought libraries that it unloaded again"},
      {"the candidate ends the harness", "exit(0) in a call", deed("forward:exit0"), 1,
       "ended the process with exit code 0"},
  };
}

TEST(Holes, EachIsClosed) {
  std::string table;
  for (const Hole& hole : holes()) {
    const EndedShell ended = in_shell(hole.command);
    EXPECT_EQ(ended.code, hole.code) << hole.what << "\n" << ended.output.substr(0, 3000);
    EXPECT_TRUE(has(ended.output, hole.says)) << hole.what << "\n" << ended.output.substr(0, 3000);
    table += fmt::format("{:<52} {:<44} {}\n", hole.what, hole.cheat,
                         has(ended.output, hole.says) ? hole.says : "NOT FOUND");
  }
  fmt::print("{}", table);
}

// With the seed that everybody knows the cheat passes, which is why the seed of a plug-in is drawn.
TEST(Holes, AnswersThatWereLearnedFailOnADrawnSeed) {
  const Folder folder("learned");
  const std::string judged = run("cheat_known_data/forward/f32/nchw/z", "cheats", " --tier quick");
  const std::string file = folder.file("known");
  ASSERT_EQ(in_shell("CHEATS_LEARN=" + file + " " + judged + " --seed 1").code, 0);
  const EndedShell known = in_shell("CHEATS_KNOWN=" + file + " " + judged + " --seed 1");
  EXPECT_EQ(known.code, 0) << "the cheat works: " << known.output;
  const EndedShell drawn = in_shell("CHEATS_KNOWN=" + file + " " + judged);
  EXPECT_EQ(drawn.code, 1) << drawn.output;
  EXPECT_TRUE(has(drawn.output, "FAIL cheat_known_data/forward/f32/nchw/z")) << drawn.output;
  fmt::print("{:<52} {:<44} {}\n", "a fixed seed, answers by a hash of the data",
             "computes only what it has seen", "FAIL cheat_known_data/forward/f32/nchw/z");
}

// A time below what the bytes allow, and a cache that is kept warm, are tests of SpeedMeasure and
// SpeedCourse.

}  // namespace
