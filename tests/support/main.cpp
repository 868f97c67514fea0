// The main function of every test binary. Its exit code says what ctest has to see: 0 all ran and
// passed, 1 something failed, 77 something was skipped and nothing failed, 2 the filter left no
// test to run. By output alone a skip would hide the failure beside it.
#include <gtest/gtest.h>

#include <cstdio>

int main(int argc, char** argv) {
  constexpr int nothing_ran = 2, skipped = 77;
  testing::InitGoogleTest(&argc, argv);
  const int code = RUN_ALL_TESTS();
  if (code != 0 || GTEST_FLAG_GET(list_tests)) return code;
  const testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  if (tests.test_to_run_count() == 0) {
    std::fprintf(stderr, "No test matches %s; --gtest_list_tests shows their names.\n",
                 GTEST_FLAG_GET(filter).c_str());
    return nothing_ran;
  }
  return tests.skipped_test_count() > 0 ? skipped : 0;
}
