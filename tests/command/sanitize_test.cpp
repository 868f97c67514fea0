// The sanitiser and traffic from outside: planted defects fail their checks at their lines, kernels
// of other projects are seen like any other.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Ended {
  int code;
  std::string output;  // stdout and stderr together
};

fs::path bin() { return fs::read_symlink("/proc/self/exe").parent_path(); }

Ended abn(const std::string& arguments) {
  FILE* pipe =
      popen(("cd '" + bin().string() + "' && ./abn-verify " + arguments + " 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> chunk;
  while (const std::size_t got = fread(chunk.data(), 1, chunk.size(), pipe))
    output.append(chunk.data(), got);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), output};
}

struct Scratch {
  fs::path path = fs::temp_directory_path() / ("abn-sanitize-" + std::to_string(getpid()));
  Scratch() { fs::create_directories(path); }
  ~Scratch() { fs::remove_all(path); }
  std::string file(const std::string& name) const { return (path / name).string(); }
};

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The number of the line of planted.cu that ends in this comment.
int line_of(const std::string& comment) {
  std::ifstream in(bin() / "plugins/planted.cu");
  std::string line;
  for (int number = 1; std::getline(in, line); ++number)
    if (line.ends_with("// " + comment)) return number;
  return -1;
}

/// One of the failure texts that `run` prints.
std::string failure_of(const std::string& output, const std::string& id) {
  const auto at = output.find("FAIL " + id);
  return at == std::string::npos ? "" : output.substr(at, output.find("\n\n", at) - at);
}

const std::string planted = "--plugin plugins/planted.so --only-plugins --seed 1 --device emulator";

}  // namespace

struct SeenDefect {
  // line: the comment at its end; null where the finding has none
  const char *variant, *check, *line, *says;
};
void PrintTo(const SeenDefect& one, std::ostream* out) { *out << one.variant; }

class SanitizedDefect : public testing::TestWithParam<SeenDefect> {};

TEST_P(SanitizedDefect, FailsItsCheckAtItsLineAndThePrintedCommandReplaysIt) {
  const SeenDefect& one = GetParam();
  const std::string id = std::string(one.variant) + "/forward/f32/nchw/" + one.check;
  const Ended ran = abn(std::string("run ") + one.variant + " " + planted + " --only-sanitize");
  EXPECT_EQ(ran.code, 1) << ran.output;
  const std::string text = failure_of(ran.output, id);
  ASSERT_FALSE(text.empty()) << ran.output;
  EXPECT_TRUE(has(text, one.says)) << text;
  if (one.line != nullptr) {
    EXPECT_TRUE(has(text, "planted.cu:" + std::to_string(line_of(one.line)))) << text;
    EXPECT_TRUE(has(text, "block (") && has(text, "thread")) << text;
  }
  const std::string head = "reproduce abn-verify ";
  const auto at = text.find(head);
  ASSERT_NE(at, std::string::npos) << text;
  const std::string command = text.substr(at + head.size(), text.find('\n', at) - at - head.size());
  const Ended again = abn(command);
  EXPECT_EQ(again.code, 1) << command << "\n" << again.output;
  EXPECT_EQ(failure_of(again.output, id).substr(0, at), text.substr(0, at)) << again.output;
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, SanitizedDefect,
    testing::Values(SeenDefect{"planted_race", "races", "races", "shared memory["},
                    SeenDefect{"planted_unwritten", "unwritten_reads", "unwritten_reads",
                               "workspace["},
                    SeenDefect{"planted_overrun", "bounds", "bounds", "x["},
                    SeenDefect{"planted_input_written", "bounds", "bounds too", "x[0]"},
                    SeenDefect{"planted_divergence", "barriers", "barriers", "normalise"},
                    SeenDefect{"planted_traffic", "traffic", nullptr, "x was loaded 2 times"},
                    SeenDefect{"planted_scattered", "traffic", nullptr, "sectors"}),
    [](const auto& planted_kind) { return std::string(planted_kind.param.variant); });

TEST(Sanitize, TheSameKernelWithoutADefectPasses) {
  const Ended ran = abn("run planted_none " + planted + " --only-sanitize --tier full");
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_EQ(abn("run planted_none " + planted + " --sanitize --quiet").code, 0);
}

TEST(Sanitize, ChecksRunOnlyWhereTheyAreAskedFor) {
  Scratch scratch;
  const std::string one =
      "run naive --device emulator --problem n2c3s5,f32,leaky_relu --quiet --out " +
      scratch.file("one.json");
  ASSERT_EQ(abn(one).code, 0);
  EXPECT_FALSE(has(contents(scratch.file("one.json")), "/races"));
  ASSERT_EQ(abn(one + " --sanitize").code, 0);
  EXPECT_TRUE(has(contents(scratch.file("one.json")), "naive/backward/f32/nchw/races"));
  EXPECT_TRUE(has(contents(scratch.file("one.json")), "naive/forward/f32/nchw/z"));
  ASSERT_EQ(abn(one + " --only-sanitize").code, 0);
  const std::string only = contents(scratch.file("one.json"));
  for (const char* check : {"races", "unwritten_reads", "bounds", "barriers", "traffic"})
    EXPECT_TRUE(has(only, std::string("naive/forward/f32/nchw/") + check)) << check;
  EXPECT_FALSE(has(only, "naive/forward/f32/nchw/z"));

  const Ended unasked = abn("run 'naive/*/races' --device emulator");
  EXPECT_EQ(unasked.code, 2);
  EXPECT_TRUE(has(unasked.output, "--sanitize")) << unasked.output;
  EXPECT_TRUE(has(abn("list 'naive/*/races' --ids").output, "naive/backward/bf16/nhwc/races"));
}

TEST(Sanitize, TheReportHasASectionOfItsOwn) {
  Scratch scratch;
  ASSERT_EQ(
      abn("run " + planted + " --only-sanitize --quiet --out " + scratch.file("all.json")).code, 1);
  ASSERT_EQ(abn("report " + scratch.file("all.json") + " --out " + scratch.file("report")).code, 1);
  const std::string page = contents(scratch.file("report/index.html")),
                    comment = contents(scratch.file("report/report.md"));
  EXPECT_TRUE(has(page, "What every memory access showed"));
  EXPECT_TRUE(has(page, "What the calls moved"));
  EXPECT_TRUE(has(page, "x × 2, z × 1") || (has(page, "x × 2") && has(page, "z × 1")))
      << "planted_traffic loads x twice";
  EXPECT_TRUE(has(comment, "What the calls moved")) << comment;
  EXPECT_TRUE(has(comment, "planted.cu:" + std::to_string(line_of("races")))) << comment;
  const std::string again = contents(scratch.file("report/results.json"));
  EXPECT_EQ(nlohmann::json::parse(again).at("checks"),
            nlohmann::json::parse(contents(scratch.file("all.json"))).at("checks"));
}

TEST(Sanitize, WhatCannotBeSanitisedIsASkipThatSaysWhatToDo) {
  Scratch scratch;
  const Ended host =
      abn("run correct --plugin plugins/correct.so --device emulator --only-sanitize");
  EXPECT_EQ(host.code, 77) << host.output;
  EXPECT_TRUE(has(host.output, "abn_add_kernel()")) << host.output;

  fs::copy(bin() / "plugins/planted.so", scratch.path);
  const Ended alone = abn("run planted_race --plugin " + scratch.file("planted.so") +
                          " --only-plugins --seed 1 --only-sanitize");
  EXPECT_EQ(alone.code, 77) << alone.output;
  EXPECT_TRUE(has(alone.output, "planted.sanitized.so")) << alone.output;
  EXPECT_EQ(abn("traffic planted_race --plugin " + scratch.file("planted.so") +
                " --problem n2c3s5,inference,leaky_relu")
                .code,
            77);
}

TEST(Sanitize, APluginOfAnotherEmulatorIsRefused) {
  Scratch scratch;
  std::string bytes = contents(bin() / "plugins/planted.so");
  const auto at = bytes.find(std::string("\0abn_emulator_", 14));
  ASSERT_NE(at, std::string::npos);
  char& digit = bytes[at + 14];
  digit = digit == '0' ? '1' : '0';
  std::ofstream(scratch.file("old.so"), std::ios::binary) << bytes;
  const Ended refused = abn("run --plugin " + scratch.file("old.so") + " --only-plugins --seed 1");
  EXPECT_EQ(refused.code, 2);
  EXPECT_TRUE(has(refused.output, "another version")) << refused.output;
}

TEST(Sanitize, MistakesAreOneSentenceAndExitCodeTwo) {
  const std::vector<std::string> bad = {
      "run --sanitize --hunt 1 --device emulator",
      "run --sanitize --device cuda:0",
      "run 'naive/forward/f32/nchw/z' --only-sanitize --device emulator",
      "traffic",
      "traffic --problem n2c3",
      "traffic --problem n0c3s4,leaky_relu",
      "traffic nonesuch --problem n2c3s4,leaky_relu",
      "traffic 'nonesuch/*' --problem n2c3s4,leaky_relu",
      "traffic --problem n2c3s4,leaky_relu --only-plugins --seed 1",
      "traffic --problem n2c3s4,leaky_relu --plugin ./no-such-file.so",
      "traffic --problem n2c3s4,leaky_relu --out /no/such/folder/traffic.json",
      "traffic --problem n2c3s4,leaky_relu --seed -1",
      "bench nonesuch",
  };
  for (const auto& arguments : bad) {
    const Ended refused = abn(arguments);
    EXPECT_EQ(refused.code, 2) << arguments << "\n" << refused.output;
    EXPECT_LT(std::count(refused.output.begin(), refused.output.end(), '\n'), 4)
        << arguments << "\n"
        << refused.output;
  }
  EXPECT_TRUE(has(abn("traffic --help").output, "--problem"));
}

TEST(Sanitize, TrafficPrintsAndWritesWhatWasMoved) {
  Scratch scratch;
  const Ended ran =
      abn("traffic 'two_sweep/backward' --problem n2c32s16,nhwc,bf16,leaky_relu --out " +
          scratch.file("traffic.json"));
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_TRUE(has(
      ran.output,
      "two_sweep/backward, in place: 5.00 tensor sizes moved, the floor is 3.00; 5.00 by sectors"))
      << ran.output;
  EXPECT_FALSE(has(ran.output, "forward")) << ran.output;
  const auto json = nlohmann::json::parse(contents(scratch.file("traffic.json")));
  EXPECT_EQ(json.at("schema"), "abn-verify-traffic/1");
  const auto& calls = json.at("variants").at(0).at("calls");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].at("floor_sweeps"), 3);
  const auto& z = calls[0].at("buffers").at(1);
  EXPECT_EQ(z.at("buffer"), "z");
  EXPECT_EQ(z.at("bytes_loaded"), 2 * 2 * 32 * 16 * 2);
  EXPECT_EQ(z.at("claimed_loads"), 2);
  EXPECT_EQ(z.at("load_sectors"), 2 * 2 * 32 * 16 * 2 / 32);

  const Ended wrong = abn(
      "traffic planted_traffic --problem n2c3s40,inference,leaky_relu --plugin plugins/planted.so");
  EXPECT_EQ(wrong.code, 1) << wrong.output;
  EXPECT_TRUE(has(wrong.output, "not as claimed: x was loaded 2 times")) << wrong.output;
}

// tests/outside: a project of its own that knows this one as a path.
TEST(Outside, AKernelOfAnotherProjectIsRunSanitisedAndCounted) {
  const std::string outside =
      " --plugin plugins/outside.so --only-plugins --seed 1 --device emulator";
  const Ended judged = abn("run outside" + outside + " --sanitize");
  EXPECT_EQ(judged.code, 0) << judged.output;
  Scratch scratch;
  ASSERT_EQ(abn("run 'outside/*/f32/nchw/*'" + outside + " --sanitize --quiet --out " +
                scratch.file("outside.json"))
                .code,
            0);
  const auto json = nlohmann::json::parse(contents(scratch.file("outside.json")));
  std::size_t seen = 0;
  for (const auto& check : json.at("checks"))
    for (const char* name : {"races", "unwritten_reads", "bounds", "barriers", "traffic"})
      if (check.at("check") == name) {
        EXPECT_EQ(check.at("verdict"), "pass") << check.at("id");
        ++seen;
      }
  EXPECT_EQ(seen, 10u);  // five of forward, five of backward
  // Launches of the plug-in follow the schedules of abn-verify's emulator.
  EXPECT_TRUE(has(contents(scratch.file("outside.json")), "outside/forward/f32/nchw/schedule"));
  const Ended counted =
      abn("traffic outside --plugin plugins/outside.so --problem n2c3s40,f32,leaky_relu");
  EXPECT_EQ(counted.code, 0) << counted.output;
  EXPECT_TRUE(has(counted.output, "outside/forward: 4.00 tensor sizes moved, the floor is 2.00"))
      << counted.output;
}
