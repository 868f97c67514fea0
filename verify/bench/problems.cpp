// The layers, and which batches of them.
#include "verify/bench/problems.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>

#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/problem/suggest.hpp"

namespace abn::verify::bench {
namespace {

struct Layer {
  const char* name;
  std::int64_t c, s;
  bool resnet;              ///< one of ResNet-50's
  std::int64_t most = 256;  ///< the largest batch that anybody trains it with on one GPU
};
constexpr Layer layers[] = {
    {"ResNet conv1", 64, 112 * 112, true},
    {"ResNet stage 1", 64, 56 * 56, true},
    {"ResNet stage 1 out, ResNeXt", 256, 56 * 56, true},
    {"ResNet stage 2", 128, 28 * 28, true},
    {"ResNet stage 2 out", 512, 28 * 28, true},
    {"ResNet stage 3", 256, 14 * 14, true},
    {"ResNet stage 3 out", 1024, 14 * 14, true},
    {"ResNet stage 4", 512, 7 * 7, true},
    {"ResNet stage 4 out", 2048, 7 * 7, true},
    {"WideResNet-38 mod1", 64, 224 * 224, false, 32},
    {"WideResNet-38 mod2", 128, 112 * 112, false},
    {"WideResNet-38 segmentation", 2048, 97 * 97, false, 8},
    {"DeepLabV3 map_bn", 1024, 97 * 97, false, 8},
    {"DeepLabV3 red_bn", 256, 97 * 97, false, 8},
    {"DeepLabV3 pooling", 256, 1, false},
};

void add(std::vector<SpeedProblem>& to, const std::string& layer, std::int64_t n, std::int64_t c,
         std::int64_t s, std::initializer_list<const char*> dtypes = {"f32", "f16", "bf16"}) {
  for (const char* const dtype : dtypes)
    for (const char* const layout : {"nchw", "nhwc"})
      to.push_back({layer, problem::parse_problem(fmt::format("n{}c{}s{},{},{},leaky_relu:0.01", n,
                                                              c, s, layout, dtype))});
}

void add_layers(std::vector<SpeedProblem>& to, bool resnet_only,
                std::initializer_list<std::int64_t> batches) {
  for (const Layer& layer : layers)
    for (const std::int64_t n : batches)
      if (n <= layer.most && (layer.resnet || !resnet_only))
        add(to, layer.name, n, layer.c, layer.s);
}

void add_odd(std::vector<SpeedProblem>& to) {
  for (const std::int64_t c : {3, 24, 65, 200})
    for (const std::int64_t s : {1, 49, 13 * 17})
      for (const std::int64_t n : {1, 32})
        if (n * s > 1) add(to, "odd", n, c, s);  // a single sample has no variance to train with
}

void add_large(std::vector<SpeedProblem>& to) {
  add(to, "more than 2^31 elements", 700, 64, 224 * 224, {"bf16"});  // 4.5 GB
}

}  // namespace

const std::vector<SpeedSet>& speed_sets() {
  static const std::vector<SpeedSet> sets = {
      {"resnet50", "the layers of ResNet-50 at 32 and 256 images"},
      {"table",
       "the layers of ResNet, ResNeXt, WideResNet-38 and DeepLabV3 at 2, 8, 32, 64 and 256 images"},
      {"odd", "3, 24, 65 and 200 channels of 1, 49 and 221 samples, 1 and 32 images"},
      {"large", "one tensor of more than 2^31 elements"},
      {"all", "table, odd and large"},
  };
  return sets;
}

std::vector<SpeedProblem> speed_problems(std::string_view set) {
  std::vector<SpeedProblem> all;
  if (set == "resnet50") {
    add_layers(all, true, {32, 256});
  } else if (set == "odd") {
    add_odd(all);
  } else if (set == "large") {
    add_large(all);
  } else if (set == "table" || set == "all") {
    add_layers(all, false, {2, 8, 32, 64, 256});
    if (set == "all") add_odd(all), add_large(all);
  } else {
    std::vector<std::string> names;
    for (const SpeedSet& one : speed_sets()) names.emplace_back(one.name);
    throw problem::UsageError(fmt::format(
        "\"{}\" is not a set of problems; did you mean {}? abn-verify bench --help lists all", set,
        problem::nearest(std::string(set), names)));
  }
  return all;
}

}  // namespace abn::verify::bench
