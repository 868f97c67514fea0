// Kernels for forms whose effect another thread sees, or a later instruction of the same one:
// barriers, fences, ends of threads, and waiting for copies. Each fails where its form is passed
// by.
#include "tests/ptx/form_kernels.hpp"

namespace abn::ptx::test {
namespace {

using Words = std::vector<std::uint32_t>;

/// %r0: the thread's number, %r1: the block's, %d1: the address of out[thread].
const char* const head =
    ".reg .pred %p<8>;\n.reg .b32 %r<16>;\n.reg .b64 %d<8>;\nld.param.u64 %d0, [out];\n"
    "mov.u32 %r0, %tid.x;\nmov.u32 %r1, %ctaid.x;\nmul.wide.u32 %d1, %r0, 4;\n"
    "add.s64 %d1, %d0, %d1;\n";
const char* const shared = ".shared .align 16 .b8 cells[256];";

FormKernel& add(std::vector<FormKernel>& all, const std::string& body, Words before, Words after,
                std::uint32_t threads) {
  FormKernel one;
  one.text = text_of(".param .u64 out", head + body, shared);
  one.before = std::move(before), one.after = std::move(after);
  one.how.block = {threads, 1, 1}, one.how.sanitize = one.how.watched = true;
  all.push_back(one);
  return all.back();
}

/// Every thread stores its number and loads that of another one, with a line between.
void add_exchange(std::vector<FormKernel>& all, const std::string& line, std::uint32_t threads) {
  const std::string last = std::to_string(threads - 1);
  Words after(threads);
  for (std::uint32_t i = 0; i < threads; ++i) after[i] = threads - 1 - i;
  add(all,
      "mov.u32 %r2, cells;\nshl.b32 %r3, %r0, 2;\nadd.u32 %r4, %r2, %r3;\nst.shared.u32 [%r4], "
      "%r0;\n" +
          line + ";\nsub.u32 %r3, " + last +
          ", %r0;\nshl.b32 %r3, %r3, 2;\nadd.u32 %r4, %r2, %r3;\nld.shared.u32 %r5, [%r4];\n"
          "st.global.u32 [%d1], %r5;\n",
      Words(threads), after, threads);
}

void add_block_barriers(std::vector<FormKernel>& all) {
  for (const std::string name : {"bar.sync", "barrier.sync", "barrier.sync.aligned", "bar.cta.sync",
                                 "barrier.cta.sync", "barrier.cta.sync.aligned"})
    add_exchange(all, name + " 3", 64), add_exchange(all, name + " 2, 64", 64);
  add_exchange(all, "bar.warp.sync -1", 32);
  // The first warp stores and arrives, the second one waits and loads.
  for (const std::string name :
       {"bar.arrive", "barrier.arrive", "barrier.arrive.aligned", "bar.cta.arrive",
        "barrier.cta.arrive", "barrier.cta.arrive.aligned"}) {
    Words after(64);
    for (std::uint32_t i = 32; i < 64; ++i) after[i] = i - 32;
    add(all,
        "mov.u32 %r2, cells;\nand.b32 %r3, %r0, 31;\nshl.b32 %r3, %r3, 2;\nadd.u32 %r4, %r2, "
        "%r3;\nsetp.lt.u32 %p1, %r0, 32;\n@!%p1 bra WAIT;\nst.shared.u32 [%r4], %r0;\n" +
            name +
            " 6, 64;\nret;\nWAIT:\nbarrier.sync 6, 64;\nld.shared.u32 %r5, [%r4];\n"
            "st.global.u32 [%d1], %r5;\n",
        Words(64), after, 64);
  }
}

/// Two blocks of a cluster read each other's shared memory between two barriers.
void add_cluster_barriers(std::vector<FormKernel>& all) {
  const auto add_pair = [&](const std::string& arrive, const std::string& wait) {
    const std::string both =
        "barrier.cluster.arrive" + arrive + ";\nbarrier.cluster.wait" + wait + ";\n";
    FormKernel& one =
        add(all,
            "mov.u32 %r2, cells;\nadd.u32 %r3, %r1, 5;\nst.shared.u32 [%r2], %r3;\n" + both +
                "xor.b32 %r4, %r1, 1;\nmapa.shared::cluster.u32 %r5, %r2, %r4;\n"
                "ld.shared::cluster.u32 %r6, [%r5];\nmul.wide.u32 %d2, %r1, 4;\nadd.s64 %d2, %d0, "
                "%d2;\nst.global.u32 [%d2], %r6;\n" +
                both,
            {0, 0}, {6, 5}, 1);
    one.how.grid = one.how.cluster = {2, 1, 1};
  };
  for (const std::string arrive :
       {"", ".aligned", ".release", ".release.aligned", ".relaxed", ".relaxed.aligned"})
    add_pair(arrive, ".acquire");
  for (const std::string wait : {"", ".aligned", ".acquire.aligned"}) add_pair(".release", wait);
}

/// One warp or block stores, the next one loads, and a fence on both sides orders the two.
void add_fences(std::vector<FormKernel>& all) {
  for (const std::string fence : {"membar.cta", "fence.sc.cta", "fence.acq_rel.cta"})
    add(all,
        "setp.eq.u32 %p1, %r0, 0;\nsetp.eq.u32 %p2, %r0, 32;\nmov.u32 %r2, 7;\n"
        "@%p1 st.shared.u32 [cells], %r2;\n" +
            fence + ";\n@%p2 ld.shared.u32 %r3, [cells];\n@%p2 st.global.u32 [%d0], %r3;\n",
        {0}, {7}, 64);
  for (const std::string fence :
       {"membar.gl", "membar.sys", "fence.sc.cluster", "fence.sc.gpu", "fence.sc.sys",
        "fence.acq_rel.cluster", "fence.acq_rel.gpu", "fence.acq_rel.sys"}) {
    FormKernel& one = add(all,
                          "setp.eq.u32 %p1, %r1, 0;\nsetp.eq.u32 %p2, %r1, 1;\nmov.u32 %r2, 7;\n"
                          "@%p1 st.global.u32 [%d0+4], %r2;\n" +
                              fence +
                              ";\n@%p2 ld.global.u32 %r3, [%d0+4];\n"
                              "@%p2 st.global.u32 [%d0], %r3;\n",
                          {0, 0}, {7, 7}, 1);
    one.how.grid = {2, 1, 1};
  }
}

/// What follows an end is not run; that of a trap is a finding.
void add_ends(std::vector<FormKernel>& all) {
  for (const std::string end : {"ret", "ret.uni", "exit", "trap"}) {
    FormKernel& one = add(all,
                          "mov.u32 %r2, 5;\nst.global.u32 [%d0], %r2;\n" + end +
                              ";\nmov.u32 %r2, 9;\nst.global.u32 [%d0], %r2;\n",
                          {0}, {5}, 1);
    if (end == "trap") one.finding = "trap";
  }
}

/// What was an mbarrier is none any more.
void add_invalid_mbarriers(std::vector<FormKernel>& all) {
  for (const std::string space : {"", ".shared"}) {
    const std::string gate = space.empty() ? "[%d2]" : "[%r2]";
    add(all,
        "mov.u32 %r2, cells;\nmov.u64 %d2, cells;\ncvta.shared.u64 %d2, %d2;\n"
        "mbarrier.init.shared.b64 [%r2], 1;\nmbarrier.inval" +
            space + ".b64 " + gate + ";\nmbarrier.test_wait.parity.shared.b64 %p1, [%r2], 0;\n",
        {0}, {0}, 1)
        .finding = "mbarrier";
  }
}

/// Each way to wait for copies, alone.
void add_waits(std::vector<FormKernel>& all) {
  for (const std::string wait :
       {"cp.async.commit_group;\ncp.async.wait_group 0", "cp.async.wait_all"})
    add(all,
        "mov.u32 %r2, cells;\nst.shared.u32 [%r2], %r0;\ncp.async.ca.shared.global [%r2], [%d0], "
        "4;\n" +
            wait + ";\nld.shared.u32 %r3, [cells];\nst.global.u32 [%d0+4], %r3;\n",
        {6, 0}, {6, 6}, 1);
  // What the copy reads may be written again after .read, and what it writes be read after the end.
  for (const std::string wait : {"cp.async.bulk.wait_group 0", "cp.async.bulk.wait_group.read 0"})
    add(all,
        "mov.u32 %r2, 3;\nst.shared.v4.u32 [cells], {%r2, %r2, %r2, %r2};\nmov.u32 %r3, cells;\n"
        "fence.proxy.async;\ncp.async.bulk.global.shared::cta.bulk_group [%d0], [%r3], 16;\n"
        "cp.async.bulk.commit_group;\n" +
            wait + ";\nmov.u32 %r2, 4;\nst.shared.u32 [cells], %r2;\ncp.async.bulk.wait_group 0;\n",
        {0, 0, 0, 0}, {3, 3, 3, 3}, 1);
}

}  // namespace

void add_order_kernels(std::vector<FormKernel>& all) {
  add_block_barriers(all), add_cluster_barriers(all), add_fences(all), add_ends(all);
  add_invalid_mbarriers(all), add_waits(all);
}

}  // namespace abn::ptx::test
