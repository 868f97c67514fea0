// Kernels of one thread for forms of addresses, copies and mbarriers.
#include "tests/ptx/form_kernels.hpp"

namespace abn::ptx::test {
namespace {

using Words = std::vector<std::uint32_t>;

const char* const head =
    ".reg .pred %p<8>;\n.reg .b16 %h<24>;\n.reg .b32 %r<40>;\n.reg .b64 %d<40>;\n"
    "ld.param.u64 %d0, [out];\nmov.u32 %r0, %tid.x;\n";
const char* const shared =
    ".shared .align 16 .b8 cells[64];\n.shared .align 8 .b8 gate[8];\n.shared .align 8 .b8 "
    "other[8];";

void add(std::vector<FormKernel>& all, const std::string& body, Words before, Words after) {
  FormKernel one;
  one.text = text_of(".param .u64 out", head + body, shared);
  one.before = std::move(before), one.after = std::move(after);
  one.how.block = {1, 1, 1};
  all.push_back(one);
}

void add_packing(std::vector<FormKernel>& all) {
  add(all,
      "ld.global.u64 %d1, [%d0];\nmov.b64 {%r1, %r2}, %d1;\nmov.b64 {%h1, %h2, %h3, %h4}, %d1;\n"
      "mov.b32 {%h5, %h6}, %r1;\nmov.b32 %r3, {%h6, %h5};\nmov.b64 %d2, {%r2, %r1};\n"
      "mov.b64 %d3, {%h4, %h3, %h2, %h1};\nst.global.u32 [%d0], %r3;\nst.global.u64 [%d0+8], "
      "%d2;\nst.global.u64 [%d0+16], %d3;\n",
      {0x11112222, 0x33334444, 0, 0, 0, 0},
      {0x22221111, 0x33334444, 0x33334444, 0x11112222, 0x44443333, 0x22221111});
}

void add_addresses(std::vector<FormKernel>& all) {
  // Each question is a bit of the answer, from the lowest on.
  std::string body =
      "mov.u32 %r1, 0;\n.local .align 8 .b8 depot[8];\nmov.u64 %d1, cells;\n"
      "cvta.shared.u64 %d1, %d1;\nmov.u64 %d2, depot;\ncvta.local.u64 %d2, %d2;\n"
      "mov.u64 %d3, out;\ncvta.param.u64 %d3, %d3;\ncvta.global.u64 %d4, %d0;\n"
      "cvta.const.u64 %d4, %d4;\n";
  std::uint32_t wanted = 0, bit = 0;
  const auto ask = [&](const std::string& question, const std::string& of, bool answer) {
    body +=
        question + " %p1, " + of + ";\n@%p1 or.b32 %r1, %r1, " + std::to_string(1U << bit) + ";\n";
    wanted |= answer ? 1U << bit : 0;
    ++bit;
  };
  for (const std::string of : {"%d1", "%d2", "%d3", "%d4"}) {
    for (const char* const space : {"shared", "shared::cta", "shared::cluster"})
      ask(std::string("isspacep.") + space, of, of == "%d1");
    ask("isspacep.local", of, of == "%d2"), ask("isspacep.param", of, of == "%d3");
    ask("isspacep.global", of, of == "%d4");
  }
  body +=
      "cvta.to.shared.u64 %d5, %d1;\ncvta.shared::cta.u64 %d5, %d5;\n"
      "cvta.to.shared::cta.u64 %d5, %d5;\ncvta.shared::cluster.u64 %d5, %d5;\n"
      "cvta.to.shared::cluster.u64 %d5, %d5;\ncvt.u32.u64 %r5, %d5;\nst.shared.u32 [%r5], "
      "%r1;\nmov.u32 %r6, 0;\nmapa.shared::cluster.u32 %r7, %r5, %r6;\n"
      "ld.shared::cluster.u32 %r8, [%r7];\nmapa.u64 %d6, %d1, %r6;\nld.u32 %r9, [%d6];\n"
      "getctarank.u64 %r10, %d6;\nadd.u32 %r11, %r8, %r10;\n"
      "cvta.to.local.u64 %d7, %d2;\nst.local.u32 [%d7], %r9;\nld.local.u32 %r9, [%d7];\n"
      "cvta.to.param.u64 %d8, %d3;\nld.param.u64 %d9, [%d8];\ncvta.to.global.u64 %d9, %d9;\n"
      "cvta.to.const.u64 %d9, %d9;\nst.global.u32 [%d9], %r11;\nst.global.u32 [%d4+4], %r9;\n";
  add(all, body, {0, 0}, {wanted, wanted});
}

void add_element_copies(std::vector<FormKernel>& all) {
  for (const std::string space : {"shared", "shared::cta"}) {
    add(all,
        "mov.u32 %r1, cells;\ncp.async.ca." + space +
            ".global [%r1], [%d0], 4;\n"
            "cp.async.ca." +
            space +
            ".global [%r1+8], [%d0+8], 8, 4;\ncp.async.commit_group;\n"
            "cp.async.cg." +
            space +
            ".global.L2::128B [%r1+16], [%d0+16], 16;\n"
            "cp.async.wait_group 0;\ncp.async.wait_all;\nld.shared.u32 %r2, [cells];\n"
            "ld.shared.v2.u32 {%r3, %r4}, [cells+8];\nld.shared.u32 %r5, [cells+28];\n"
            "st.global.v4.u32 [%d0+32], {%r2, %r3, %r4, %r5};\n",
        {1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0}, {1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 0, 8});
  }
}

/// Phases by hand: what tests of the barrier say at each step becomes a bit.
void add_mbarriers(std::vector<FormKernel>& all) {
  for (const std::string space : {"", ".shared", ".shared::cta"}) {
    const std::string gate = space.empty() ? "[%d1]" : "[%r1]";
    std::string body =
        "mov.u32 %r1, gate;\nmov.u64 %d1, gate;\ncvta.shared.u64 %d1, %d1;\n"
        "mov.u32 %r9, 0;\nmbarrier.init" +
        space + ".b64 " + gate +
        ", 2;\n"
        "mbarrier.arrive" +
        space + ".b64 %d2, " + gate +
        ";\n"
        "mbarrier.pending_count.b64 %r8, %d2;\n";
    std::uint32_t bit = 0, wanted = 0;
    const auto ask = [&](const std::string& test, const std::string& operand, bool answer) {
      body += "mbarrier." + test + space + ".b64 %p1, " + gate + ", " + operand +
              ";\n@%p1 or.b32 %r9, %r9, " + std::to_string(1U << bit) + ";\n";
      wanted |= answer ? 1U << bit : 0;
      ++bit;
    };
    ask("test_wait", "%d2", false), ask("test_wait.parity", "0", false);
    ask("test_wait.parity", "1", true), ask("try_wait", "%d2, 5", false);
    ask("try_wait.parity.acquire.cta", "0", false);
    body += "mbarrier.arrive.expect_tx" + space + ".b64 _, " + gate + ", 16;\n";
    ask("test_wait", "%d2", false);  // bytes are missing
    body += "mbarrier.complete_tx" + space + ".b64 " + gate + ", 16;\n";
    ask("test_wait", "%d2", true), ask("try_wait.parity", "0", true);
    // The next phase: one leaves for good, bytes are expected apart, and one arrives.
    body += "mbarrier.expect_tx" + space + ".b64 " + gate + ", 8;\nmbarrier.arrive_drop" + space +
            ".b64 _, " + gate + ";\nmbarrier.arrive" + space + ".b64 _, " + gate + ", 1;\n";
    ask("test_wait.parity", "1", false);
    body += "mbarrier.complete_tx" + space + ".b64 " + gate + ", 8;\n";
    ask("test_wait.parity", "1", true);
    body += "mbarrier.arrive" + space + ".b64 _, " + gate + ";\n";  // one is enough now
    ask("test_wait.parity", "0", true);
    body += "mbarrier.inval" + space + ".b64 " + gate +
            ";\nst.global.u32 [%d0], %r9;\n"
            "st.global.u32 [%d0+4], %r8;\n";
    add(all, body, {0, 0}, {wanted, 2});
  }
  // At a peer's, by addresses of the cluster: here the block is its own peer.
  add(all,
      "mov.u32 %r1, gate;\nmbarrier.init.shared::cta.b64 [%r1], 3;\nmov.u32 %r3, 0;\n"
      "mapa.shared::cluster.u32 %r2, %r1, %r3;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r2];\n"
      "mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [%r2], 8;\n"
      "mbarrier.expect_tx.relaxed.cluster.shared::cluster.b64 [%r2], 8;\n"
      "mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 [%r2], 16;\n"
      "mbarrier.arrive_drop.shared::cluster.b64 _, [%r2];\n"
      "mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], 0;\nselp.u32 %r4, 3, 0, %p1;\n"
      "st.global.u32 [%d0], %r4;\n",
      {0}, {3});
}

void add_async_stores(std::vector<FormKernel>& all) {
  const auto store = [&](const std::string& type, const std::string& values, unsigned bytes,
                         Words after) {
    std::string body =
        "mov.u32 %r1, gate;\nmov.u32 %r2, cells;\nmbarrier.init.shared::cta.b64 "
        "[%r1], 1;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [%r1], " +
        std::to_string(bytes) +
        ";\nmov.u32 %r3, 0;\n"
        "mapa.shared::cluster.u32 %r4, %r2, %r3;\n"
        "mapa.shared::cluster.u32 %r5, %r1, %r3;\nmov.b32 %r10, 21;\n"
        "mov.b32 %r11, 22;\nmov.b32 %r12, 23;\nmov.b32 %r13, 24;\nmov.b64 %d10, "
        "31;\nmov.b64 %d11, 32;\n"
        "st.async.shared::cluster.mbarrier::complete_tx::bytes." +
        type + " [%r4], " + values +
        ", [%r5];\nPOLL:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], 0;\n@!%p1 bra POLL;\n";
    for (unsigned at = 0; at < bytes; at += 4)
      body += "ld.shared.u32 %r6, [cells+" + std::to_string(at) + "];\nst.global.u32 [%d0+" +
              std::to_string(at) + "], %r6;\n";
    after.resize(4);
    add(all, body, Words(4), after);
  };
  for (const std::string type : {"b32", "u32", "s32", "f32"}) {
    store(type, "%r10", 4, {21});
    store("v2." + type, "{%r10, %r11}", 8, {21, 22});
    store("v4." + type, "{%r10, %r11, %r12, %r13}", 16, {21, 22, 23, 24});
  }
  for (const std::string type : {"b64", "u64", "s64", "f64"}) {
    store(type, "%d10", 8, {31, 0});
    store("v2." + type, "{%d10, %d11}", 16, {31, 0, 32, 0});
  }
}

void add_bulk(std::vector<FormKernel>& all) {
  for (const std::string to : {"shared::cluster", "shared::cta"})
    add(all,
        "mov.u32 %r1, gate;\nmov.u32 %r2, cells;\nmbarrier.init.shared::cta.b64 [%r1], 1;\n"
        "fence.mbarrier_init.release.cluster;\n"
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r1], 16;\n"
        "cp.async.bulk." +
            to +
            ".global.mbarrier::complete_tx::bytes.L2::cache_hint [%r2], [%d0], "
            "16, [%r1], %d0;\nld.shared.u32 %r6, [cells];\nPOLL:\n"
            "mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], 0;\n@!%p1 bra POLL;\n"
            "mov.u32 %r3, other;\nmbarrier.init.shared::cta.b64 [%r3], 1;\n"
            "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 16;\n"
            "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r2+16], "
            "[%r2], "
            "16, [%r3];\nPOLL2:\nmbarrier.try_wait.parity.shared::cta.b64 %p1, [%r3], 0;\n"
            "@!%p1 bra POLL2;\nfence.proxy.async;\n"
            "cp.async.bulk.global.shared::cta.bulk_group [%d0+16], [%r2+16], 16;\n"
            "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group.read 0;\n"
            "cp.async.bulk.wait_group 0;\nst.global.u32 [%d0+32], %r6;\n",
        {1, 2, 3, 4, 0, 0, 0, 0, 0}, {1, 2, 3, 4, 1, 2, 3, 4, 0xffffffff});
}

}  // namespace

void add_copy_kernels(std::vector<FormKernel>& all) {
  add_packing(all), add_addresses(all), add_element_copies(all);
  add_mbarriers(all), add_async_stores(all), add_bulk(all);
}

}  // namespace abn::ptx::test
