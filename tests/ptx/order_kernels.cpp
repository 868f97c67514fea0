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
  for (const std::string arrive : {"", ".aligned", ".release", ".release.aligned"})
    add_pair(arrive, ".acquire");
  for (const std::string wait : {"", ".aligned", ".acquire.aligned"}) add_pair(".release", wait);
}

/// An arrival that hands over no access tells that the peer has begun, and may be written.
void add_relaxed_arrivals(std::vector<FormKernel>& all) {
  for (const std::string aligned : {"", ".aligned"}) {
    FormKernel& one =
        add(all,
            "mov.u32 %r2, cells;\nadd.u32 %r3, %r1, 5;\nbarrier.cluster.arrive.relaxed" + aligned +
                ";\nbarrier.cluster.wait.acquire;\nxor.b32 %r4, %r1, 1;\n"
                "mapa.shared::cluster.u32 %r5, %r2, %r4;\nst.shared::cluster.u32 [%r5], %r3;\n"
                "barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;\n"
                "ld.shared.u32 %r6, [%r2];\nmul.wide.u32 %d2, %r1, 4;\nadd.s64 %d2, %d0, %d2;\n"
                "st.global.u32 [%d2], %r6;\n",
            {0, 0}, {6, 5}, 1);
    one.how.grid = one.how.cluster = {2, 1, 1};
  }
}

/// One thread stores, raises a flag, and another one that has seen the flag loads; a fence on both
/// sides orders the two.
void add_fences(std::vector<FormKernel>& all) {
  const auto hand_over = [](const std::string& store, const std::string& flag,
                            const std::string& fence, const std::string& load) {
    return "mov.u32 %r2, 7;\nmov.u32 %r4, 1;\n@%p1 bra READ;\n" + store + fence +
           ";\natom.global.exch.b32 %r5, " + flag +
           ", %r4;\nret;\nREAD:\natom.global.or.b32 %r5, " + flag +
           ", 0;\nsetp.eq.u32 %p2, %r5, 0;\n@%p2 bra READ;\n" + fence + ";\n" + load +
           "st.global.u32 [%d0], %r3;\n";
  };
  for (const std::string fence : {"membar.cta", "fence.sc.cta", "fence.acq_rel.cta"})
    add(all,
        "and.b32 %r6, %r0, 31;\nsetp.ne.u32 %p2, %r6, 0;\n@%p2 ret;\nsetp.ne.u32 %p1, %r0, 0;\n" +
            hand_over("st.shared.u32 [cells], %r2;\n", "[%d0+4]", fence,
                      "ld.shared.u32 %r3, [cells];\n"),
        {0, 0}, {7, 1}, 64);
  for (const std::string fence :
       {"membar.gl", "membar.sys", "fence.sc.cluster", "fence.sc.gpu", "fence.sc.sys",
        "fence.acq_rel.cluster", "fence.acq_rel.gpu", "fence.acq_rel.sys"}) {
    FormKernel& one =
        add(all,
            "setp.eq.u32 %p1, %r1, 1;\n" + hand_over("st.global.u32 [%d0+4], %r2;\n", "[%d0+8]",
                                                     fence, "ld.global.u32 %r3, [%d0+4];\n"),
            {0, 0, 0}, {7, 7, 1}, 1);
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

/// What threads stored is seen by bulk copies behind a fence of their proxy alone, and an mbarrier
/// behind that of its initialisation.
void add_proxy_fences(std::vector<FormKernel>& all) {
  for (const std::string space : {"", ".shared::cta", ".shared::cluster"})
    add(all,
        "mov.u32 %r2, 3;\nst.shared.v4.u32 [cells], {%r2, %r2, %r2, %r2};\nmov.u32 %r3, cells;\n"
        "fence.proxy.async" +
            space +
            ";\ncp.async.bulk.global.shared::cta.bulk_group [%d0], [%r3], 16;\n"
            "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;\n",
        {0, 0, 0, 0}, {3, 3, 3, 3}, 1);
  add(all,
      "mov.u32 %r2, cells;\nadd.u32 %r3, %r2, 64;\nmbarrier.init.shared.b64 [%r3], 1;\n"
      "fence.mbarrier_init.release.cluster;\nmbarrier.arrive.expect_tx.shared.b64 _, [%r3], 16;\n"
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d0], 16, [%r3];\n"
      "POLL:\nmbarrier.test_wait.parity.shared.b64 %p1, [%r3], 0;\n@!%p1 bra POLL;\n"
      "ld.shared.u32 %r4, [%r2+4];\nst.global.u32 [%d0], %r4;\n",
      {0, 8, 0, 0}, {8, 8, 0, 0}, 1);
}

}  // namespace

void add_order_kernels(std::vector<FormKernel>& all) {
  add_block_barriers(all), add_cluster_barriers(all), add_relaxed_arrivals(all), add_fences(all),
      add_proxy_fences(all), add_ends(all);
  add_invalid_mbarriers(all), add_waits(all);
}

}  // namespace abn::ptx::test
