// Guarded buffers: poison, guards and offsets.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "verify/call/buffer.hpp"

using namespace abn::verify;
using namespace abn::verify::call;

TEST(GuardedBuffers, PoisonIsNaNOrFiniteInEveryType) {
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64})
    for (const Poison poison : {Poison::nan, Poison::finite}) {
      Arena arena(*host_device(), Placement::shifted, poison, 0, 1, 2);
      const int z = arena.add_output("z", problem::format_of(dtype), 500);
      arena.upload();
      arena.download();
      std::set<double> distinct;
      for (const double value : arena.values(z)) {
        EXPECT_EQ(std::isnan(value), poison == Poison::nan) << dtype;
        EXPECT_FALSE(std::isinf(value));
        distinct.insert(value);
      }
      EXPECT_TRUE(poison == Poison::nan || distinct.size() > 50)
          << "poison differs from element to element";
    }
}

TEST(GuardedBuffers, EachByteBesideABufferIsWatched) {
  for (const Placement placement : {Placement::aligned, Placement::shifted, Placement::mixed})
    for (const std::ptrdiff_t where : {-1, -64, -4096, 0, 1, 63}) {
      Arena arena(*host_device(), placement, Poison::nan, 0, 3, 4);
      const std::vector<double> values(10, 1.5);
      const int x = arena.add("x", Role::input, problem::format_of(ABN_F32), values);
      const int z = arena.add_output("z", problem::format_of(ABN_F32), 10);
      arena.upload();
      auto* const bytes = static_cast<unsigned char*>(arena.address(z));
      bytes[where < 0 ? where : where + 40] ^= 1;  // 40: its end
      arena.download();
      const auto changes = arena.broken_guards();
      ASSERT_EQ(changes.size(), 1u) << where;
      EXPECT_EQ(changes.front().bytes, 1);
      if (where > -64) {
        EXPECT_EQ(changes.front().buffer, "z");
        EXPECT_EQ(changes.front().element, where < 0 ? -1 : 10 + where / 4);
      }
      EXPECT_TRUE(arena.changed_inputs().empty());
      static_cast<float*>(arena.address(x))[3] = 2;
      arena.download();
      ASSERT_EQ(arena.changed_inputs().size(), 1u);
      EXPECT_EQ(arena.changed_inputs().front().element, 3);
    }
}

TEST(GuardedBuffers, LieWhereTheClaimAllowsAndNoBetter) {
  const auto address = [](const Arena& arena, int buffer) {
    return reinterpret_cast<std::uintptr_t>(arena.address(buffer));
  };
  for (const int alignment : {0, 1, 8, 16, 128})
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Arena shifted(*host_device(), Placement::shifted, Poison::nan, alignment, seed, 5),
          mixed(*host_device(), Placement::mixed, Poison::nan, alignment, seed, 5);
      const std::vector<double> values(7, 1.0);
      const auto boundary = static_cast<std::uintptr_t>(std::max(alignment, 2));
      std::set<std::uintptr_t> offsets;
      for (Arena* const arena : {&shifted, &mixed}) {
        const int x = arena->add("x", Role::input, problem::format_of(ABN_F16), values),
                  z = arena->add_output("z", problem::format_of(ABN_F16), 7),
                  workspace = arena->add_workspace(10);
        arena->upload();
        for (const int buffer : {x, z}) {
          EXPECT_EQ(address(*arena, buffer) % boundary, 0u);
          EXPECT_NE(address(*arena, buffer) % (2 * boundary), 0u)
              << "no alignment is given for nothing";
        }
        EXPECT_TRUE(arena == &mixed || address(*arena, x) % 256 == address(*arena, z) % 256);
        EXPECT_EQ(address(*arena, workspace) % 256, 0u);
      }
    }
  Arena aligned(*host_device(), Placement::aligned, Poison::nan, 0, 1, 1);
  const int z = aligned.add_output("z", problem::format_of(ABN_F16), 7);
  aligned.upload();
  EXPECT_EQ(address(aligned, z) % 256, 0u);
}
