// What nobody can read is no verdict: standard output that is closed, full or without a reader; and
// one bad file among many costs itself.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/command/process.hpp"

namespace {

using namespace abn::tests;

constexpr const char* one = " --problem n2c3s5,f32,leaky_relu --data standard --seed 3";
constexpr const char* right = "./abn-verify run --plugin ./plugins/correct.so --only-plugins";
constexpr const char* wrong = "./abn-verify run --plugin ./plugins/nan_in_one.so --only-plugins";

TEST(StandardOutput, ThatIsLostIsExitCodeTwoAndNeverZero) {
  for (const char* const lost : {" > /dev/full", " >&-"}) {
    for (const std::string& command :
         {right + std::string(one), std::string("./abn-verify --help"),
          std::string("./abn-verify check fixtures/real"), std::string("./abn-verify list"),
          std::string("./abn-verify explain"), std::string("./abn-verify doctor")}) {
      const EndedShell ended = in_shell(command + lost);
      EXPECT_EQ(ended.code, 2) << command << lost;
      EXPECT_EQ(ended.output.find("fault of the tool"), std::string::npos) << ended.output;
    }
    EXPECT_EQ(in_shell(wrong + std::string(one) + lost).code, 1)
        << "a failing kernel keeps its code";
  }
}

TEST(StandardOutput, WithoutAReaderCostsTheTextAndNotTheFile) {
  const Folder folder("no-reader");
  const std::string out = folder.file("results.json");
  // The pipe's reader ends at once; the code is that of abn-verify.
  const EndedShell ended = in_shell("bash -c '" + std::string(wrong) + one + " --out " + out +
                                    " | true; exit ${PIPESTATUS[0]}'");
  EXPECT_EQ(ended.code, 1) << ended.output;
  EXPECT_GT(contents(out).size(), 1000u);
}

TEST(StandardError, ThatIsClosedIsNoReasonToAbort) {
  EXPECT_EQ(in_shell("./abn-verify run nosuch 2>&-").code, 2);
  EXPECT_EQ(in_shell("./abn-verify run nosuch 2>&- >&- <&-").code, 2);
  EXPECT_EQ(in_shell("./abn-verify nosuch 2> /dev/full").code, 2);
  // And what is printed there lands in no file that is opened instead.
  const Folder folder("no-stderr");
  const std::string out = folder.file("results.json");
  EXPECT_EQ(in_shell(right + std::string(one) + " --out " + out + " 2>&- <&-").code, 0);
  EXPECT_EQ(contents(out).rfind("{\n \"schema\": \"abn-verify/1\"", 0), 0u);
  EXPECT_EQ(timeless(out).find("no results"), std::string::npos);
}

TEST(OutFile, ThatIsNoneIsRefusedInOneSentence) {
  const Folder folder("no-file");
  fs::create_symlink("loop", folder.path / "loop");
  fs::create_symlink("nowhere", folder.path / "dangling");
  const std::string same = folder.file("same");
  for (const std::string& out :
       {std::string("''"), std::string("-"), std::string("/dev/stdout"), std::string("/dev/fd/1"),
        std::string("/proc/self/fd/1"), same + " > " + same, folder.file("loop"),
        folder.file("dangling"), folder.file("no/such"), folder.path.string(),
        folder.file(std::string(250, 'x').c_str())}) {
    const EndedShell ended = in_shell(right + std::string(one) + " --quiet --out " + out);
    const std::string text = ended.output + (out.find('>') != std::string::npos ? "\n" : "");
    EXPECT_EQ(ended.code, 2) << out << "\n" << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1 + (out.find('>') != std::string::npos))
        << out << "\n"
        << text;
  }
  EXPECT_EQ(in_shell("./abn-verify check fixtures/real --out ''").code, 2);
  EXPECT_EQ(in_shell(right + std::string(one) + " --quiet --out /dev/null").code, 0);
}

TEST(OneAmongMany, ABrokenTensorFileCostsItself) {
  const Folder folder("broken-file");
  int copied = 0;
  for (const auto& entry :
       fs::recursive_directory_iterator(folder_of_this_binary() / "fixtures/real"))
    if (entry.path().extension() == ".safetensors" && copied < 3 &&
        in_shell("./abn-verify check --quiet " + entry.path().string()).code == 0)
      fs::copy_file(entry.path(), folder.file("good" + std::to_string(copied++) + ".safetensors"));
  ASSERT_EQ(copied, 3);
  const std::string out = folder.file("results.json"), check = "./abn-verify check --quiet --out ";
  ASSERT_EQ(in_shell(check + out + " " + folder.path.string()).code, 0);
  const auto good = nlohmann::json::parse(contents(out)).at("checks");
  std::ofstream(folder.file("broken.safetensors")) << "abc";
  const EndedShell ended = in_shell(check + out + " " + folder.path.string());
  EXPECT_EQ(ended.code, 1) << ended.output;
  EXPECT_NE(ended.output.find("ERROR broken/file/any/any/reads"), std::string::npos);
  auto all = nlohmann::json::parse(contents(out)).at("checks");
  ASSERT_EQ(all.size(), good.size() + 1);
  all.erase(std::find_if(all.begin(), all.end(),
                         [](const auto& record) { return record.at("verdict") == "error"; }));
  EXPECT_EQ(all, good);
  EXPECT_EQ(in_shell("./abn-verify check " + folder.file("broken.safetensors")).code, 2)
      << "alone it is a mistake of the command";
}

TEST(OneAmongMany, ABrokenPluginCostsItself) {
  const Folder folder("broken-plugin");
  const std::string out = folder.file("results.json");
  const EndedShell ended = in_shell(
      "./abn-verify run --only-plugins --plugin ./plugins/no_symbol.so --plugin "
      "./plugins/correct.so --plugin ./nosuch.so --quiet --out " +
      out + one);
  EXPECT_EQ(ended.code, 1) << ended.output;
  for (const char* const id : {"no_symbol/plugin/any/any/loads", "nosuch/plugin/any/any/loads"})
    EXPECT_NE(ended.output.find(std::string("ERROR ") + id), std::string::npos) << ended.output;
  const auto json = nlohmann::json::parse(contents(out));
  EXPECT_GT(json.at("summary").at("pass"), 20);
  EXPECT_EQ(json.at("summary").at("error"), 2);
  const auto& files = json.at("provenance").at("files");
  ASSERT_EQ(files.size(), 5u) << "the tool, the worker and the plug-ins";
  EXPECT_EQ(files[0].at("role"), "tool");
  EXPECT_EQ(files[1].at("role"), "worker");
  EXPECT_EQ(files[3].at("name"), "./plugins/correct.so");
  EXPECT_EQ(files[3].at("sha256").get<std::string>() + "  plugins/correct.so\n",
            in_shell("sha256sum plugins/correct.so").output);
  EXPECT_EQ(files[4].at("sha256"), "unreadable");
}

}  // namespace
