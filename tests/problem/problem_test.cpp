// Problem strings: what is written is read back, and what no kernel may be asked is refused in a
// sentence.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>

#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/problem/suggest.hpp"

using namespace abn::verify;
using namespace abn::verify::problem;

TEST(Problems, DefaultsAndRounding) {
  const auto p = parse_problem("n2c64s12,nhwc,bf16,leaky_relu:0.01");
  EXPECT_EQ(p.n, 2);
  EXPECT_EQ(p.c, 64);
  EXPECT_EQ(p.s, 12);
  EXPECT_EQ(p.layout, ABN_NHWC);
  EXPECT_EQ(p.dtype, ABN_BF16);
  EXPECT_EQ(p.param_dtype, ABN_F32);
  EXPECT_EQ(p.activation_parameter, static_cast<double>(0.01f))
      << "the slope is rounded once, to the parameter type";
  EXPECT_EQ(p.eps, static_cast<double>(1e-5f));
  EXPECT_EQ(p.struct_size, sizeof p);
  EXPECT_EQ(parse_problem("n1c1s2,f64,identity").eps, 1e-5);
  EXPECT_EQ(to_string(p), "n2c64s12,nhwc,bf16,leaky_relu:0.01");
}

TEST(Problems, PrintedAndParsedAgainIsTheSameProblem) {
  EXPECT_TRUE(rc::check("parse_problem(to_string(p)) == p", [] {
    abn_problem p{};
    p.struct_size = sizeof p;
    p.n = *rc::gen::inRange(0, 50), p.c = *rc::gen::inRange(0, 500),
    p.s = *rc::gen::inRange(0, 5000);
    p.layout = *rc::gen::inRange(0, 2), p.dtype = *rc::gen::inRange(0, 4),
    p.activation = *rc::gen::inRange(0, 3);
    p.param_dtype = *rc::gen::element(static_cast<int>(ABN_F32), static_cast<int>(p.dtype));
    if (p.dtype != ABN_F64) p.out_type = *rc::gen::inRange(0, 4);
    if (out_type_of(p) == p.dtype) p.out_type = 0;
    p.scale = *rc::gen::inRange(0, 2);
    p.mode = p.n * p.s == 1 ? static_cast<int>(ABN_FROZEN) : *rc::gen::inRange(0, 3);
    const Format& format = format_of(scalar_type_of(p));
    const auto number = [&](double low) {
      return round_to(format, low + *rc::gen::inRange(0, 1000000) / 999999.0);
    };
    p.eps = number(0), p.momentum = std::min(number(0), 1.0);
    if (*rc::gen::inRange(0, 2) == 0)
      p.momentum = round_to(format, 1.0 / *rc::gen::inRange(1, 1000));
    p.activation_parameter = p.activation == ABN_IDENTITY ? 0 : number(1e-3);
    const auto q = parse_problem(to_string(p));
    RC_ASSERT(to_string(q) == to_string(p));
    RC_ASSERT(q.n == p.n && q.c == p.c && q.s == p.s && q.layout == p.layout &&
              q.dtype == p.dtype && q.param_dtype == p.param_dtype && q.out_type == p.out_type);
    RC_ASSERT(q.activation == p.activation && q.scale == p.scale && q.mode == p.mode);
    RC_ASSERT(q.eps == p.eps && q.momentum == p.momentum &&
              q.activation_parameter == p.activation_parameter);
  }));
}

TEST(Problems, OffsetsVisitEveryElementOnce) {
  for (const char* text : {"n3c4s5,nchw,identity", "n3c4s5,nhwc,identity"}) {
    const auto p = parse_problem(text);
    std::vector<int> seen(static_cast<std::size_t>(element_count(p)));
    for (std::int64_t c = 0; c < p.c; ++c)
      for (std::int64_t i = 0; i < sample_count(p); ++i)
        ++seen.at(static_cast<std::size_t>(sample_offset(p, c, i)));
    for (const int count : seen) EXPECT_EQ(count, 1);
  }
}

TEST(Problems, WhatNoKernelMayBeAskedIsRefusedInOneSentence) {
  const std::vector<std::string> bad{"",
                                     "n",
                                     "n2",
                                     "n2c3",
                                     "n2c3s",
                                     "2c3s4",
                                     "n2c3s4x",
                                     "n-1c3s4",
                                     "n2c3s4,",
                                     "n2c3s4,,f16",
                                     "n2c3s4,bf17",
                                     "n2c3s4,f16,f32",
                                     "n2c3s4,nchw,nhwc",
                                     "n2c3s4,leaky_relu:0",
                                     "n2c3s4,leaky_relu:-0.1",
                                     "n2c3s4,leaky_relu:nan",
                                     "n2c3s4,leaky_relu:inf",
                                     "n2c3s4,leaky_relu:",
                                     "n2c3s4,leaky_relu:x",
                                     "n2c3s4,elu:0",
                                     "n2c3s4,elu:-1",
                                     "n2c3s4,identity:1",
                                     "n2c3s4,eps:-1e-5",
                                     "n2c3s4,eps:nan",
                                     "n2c3s4,eps:1e-60",
                                     "n2c3s4,momentum:1.5",
                                     "n2c3s4,momentum:-0.1",
                                     "n2c3s4,param:f16,identity",
                                     "n2c3s4,identity,out:f64",
                                     "n2c3s4,f64,identity,out:f32",
                                     "n2c3s4,identity,out:f17",
                                     "n2c3s4",
                                     "n2c3s4,f16,momentum:0.2",
                                     "n2c3s4,f16,param:f64",
                                     "n2c3s4,leaky_relu:1e-60",
                                     "n1c3s1",
                                     "n1c3s1,training",
                                     "n99999999999999999999c1s1",
                                     "n4000000000c4000000000s4000000000",
                                     "n3000000000c3000000000s1"};
  for (const auto& text : bad) {
    try {
      parse_problem(text);
      ADD_FAILURE() << "accepted: " << text;
    } catch (const UsageError& refused) {
      EXPECT_EQ(std::string(refused.what()).find('\n'), std::string::npos);
      EXPECT_GT(std::string(refused.what()).size(), 30u) << refused.what();
    }
  }
  for (const char* good :
       {"n1c3s1,inference,identity", "n1c3s1,frozen,identity", "n0c3s4,identity", "n2c0s4,identity",
        "n2c3s0,identity", "n2c3s4,eps:0,identity", "n1c0s1,identity"})
    EXPECT_NO_THROW(parse_problem(good)) << good;
}

TEST(Problems, ARefusalQuotesWhatIsWrongAndEndsInWhatToDo) {
  const std::vector<std::array<std::string, 3>> rows{
      {"n2c3s4,eps:1e39", "eps 1e+39", "beyond the range of f32; use a smaller one"},
      {"n2c3s4,leaky_relu:1e39", "slope 1e+39", "beyond the range of f32; use a smaller one"},
      {"n2c3s4,elu:1e-60", "alpha 1e-60", "rounds to 0 in f32; use a larger one"},
      {"n2c3s4,eps:1e-60", "eps 1e-60", "rounds to 0 in f32; use a larger one"},
      {"n2c3s4,eps:-1", "eps -1", "write for example eps:1e-05"},
      {"n2c3s4,lerky_relu", "\"lerky_relu\"", "did you mean leaky_relu:0.01?"},
      {"n2c3s4,fp16", "\"fp16\"", "did you mean f16?"},
      {"n2c3s4,f16,f32", "\"f32\" sets the storage type a second time", "leave one of them out"},
      {"n2c3s4,param:f16,identity", "type f16", "use param:f32"},
      {"n2c3s4,f16", "names no activation", "for example identity, leaky_relu:0.01 or elu:1"},
      {"n2c3s4,elu:1e400", "\"1e400\"", "write for example n2c64s12,nhwc,bf16,leaky_relu:0.01"},
      {"n3000000000c3000000000s1", "n3000000000c3000000000s1", "use smaller sizes"},
      {"n1c3s1", "one sample", "use n*s of at least 2, or inference or frozen"},
  };
  for (const auto& [text, quoted, next] : rows) {
    try {
      parse_problem(text);
      ADD_FAILURE() << "accepted: " << text;
    } catch (const UsageError& refused) {
      const std::string sentence = refused.what();
      EXPECT_NE(sentence.find(quoted), std::string::npos) << sentence;
      EXPECT_TRUE(sentence.size() >= next.size() &&
                  sentence.substr(sentence.size() - next.size()) == next)
          << sentence;
    }
  }
  EXPECT_NO_THROW(parse_problem("n2c3s4,f64,eps:1e-60,identity")) << "what f32 cannot hold f64 can";
  EXPECT_NO_THROW(parse_problem("n2c3s4,momentum:1e-60,identity")) << "a momentum may round to 0";
}

TEST(Problems, TheLargestSizesAreThoseWhoseBytesFitIntoAnInt64) {
  // 2^60 elements of 8 bytes are 2^63 bytes, one more than an int64 can count.
  EXPECT_THROW(parse_problem("n1048576c1048576s1048576"), UsageError);
  EXPECT_NO_THROW(parse_problem("n1048576c1048576s1048575,identity"));
  EXPECT_THROW(parse_problem("n0c4000000000s4000000000"), UsageError)
      << "an empty tensor hides no overflow of the other sizes";
}

TEST(Suggestions, TheNearestWordWins) {
  EXPECT_EQ(nearest("rnu", {"doctor", "run", "report"}), "run");
  EXPECT_EQ(nearest("lerky_relu", {"leaky_relu", "elu"}), "leaky_relu");
  EXPECT_EQ(nearest("x", {}), "");
}
