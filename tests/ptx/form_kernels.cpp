// Kernels by tables: for each form its lines, and words that are known without running anything.
#include "tests/ptx/form_kernels.hpp"

#include <cstring>

namespace abn::ptx::test {
namespace {

using Words = std::vector<std::uint32_t>;

/// The buffer's address is in %d0, the thread's number in %r0.
const char* const head =
    ".reg .pred %p<8>;\n.reg .b16 %h<24>;\n.reg .b32 %r<40>;\n.reg .b64 %d<40>;\n"
    "ld.param.u64 %d0, [out];\nmov.u32 %r0, %tid.x;\n";

Words ramp(std::size_t count) {
  Words words(count);
  for (std::size_t i = 0; i < count; ++i)
    words[i] = static_cast<std::uint32_t>(0x9e3779b9U * (i + 1)) | 0x80808080U;
  return words;
}

FormKernel kernel(const std::string& body, Words before, Words after,
                  const std::string& module = "", std::uint32_t threads = 1) {
  FormKernel one;
  one.text = text_of(".param .u64 out", head + body, module);
  one.before = std::move(before), one.after = std::move(after);
  one.how.block = {threads, 1, 1};
  return one;
}

struct Type {
  const char* name;
  unsigned bytes;
  bool is_signed;
};
constexpr Type types[] = {{"u8", 1, false},     {"b8", 1, false},  {"s8", 1, true},
                          {"u16", 2, false},    {"b16", 2, false}, {"f16", 2, false},
                          {"bf16", 2, false},   {"s16", 2, true},  {"u32", 4, false},
                          {"b32", 4, false},    {"f32", 4, false}, {"f16x2", 4, false},
                          {"bf16x2", 4, false}, {"s32", 4, true},  {"u64", 8, false},
                          {"b64", 8, false},    {"f64", 8, false}, {"s64", 8, true}};

std::string registers(const std::string& prefix, unsigned first, unsigned count) {
  std::string text;
  for (unsigned i = 0; i < count; ++i)
    text += (i == 0 ? "" : ", ") + prefix + std::to_string(first + i);
  return count == 1 ? text : "{" + text + "}";
}

/// Loads from one space into registers of 64 bits, whose upper parts show how a value is extended,
/// and stores those to global memory.
void add_accesses(std::vector<FormKernel>& all) {
  struct Place {
    const char *word, *base, *before, *module;
    bool stores;
  };
  // Data go to the space through stores of 64 bits and come back as the type that is tried.
  const Place places[] = {
      {"", "%d0", "", "", true},
      {".global", "%d0", "", "", true},
      {".shared", "cells", "", ".shared .align 32 .b8 cells[32];", true},
      {".shared::cluster", "%r30", "mov.u32 %r30, cells;\n", ".shared .align 32 .b8 cells[32];",
       true},
      {".const", "%d0", "", "", false},
      {".local", "%d30", ".local .align 32 .b8 depot[32];\nmov.u64 %d30, depot;\n", "", true}};
  for (const Place& place : places)
    for (const Type& type : types)
      for (const unsigned count : {1U, 2U, 4U}) {
        if (type.bytes * count > 16) continue;
        const std::string vector = count == 1 ? "" : ".v" + std::to_string(count);
        const std::string tail = place.word + vector + "." + type.name;
        std::string body = place.before;
        // Into the space, with st of the type, from words 0 to 3 of the buffer.
        body += "ld.global.u64 %d1, [%d0];\nld.global.u64 %d2, [%d0+8];\n";
        std::string parts;
        for (unsigned i = 0; i < count; ++i) {
          const std::string whole = i * type.bytes < 8 ? "%d1" : "%d2";
          body += "shr.u64 %d" + std::to_string(10 + i) + ", " + whole + ", " +
                  std::to_string(8 * (i * type.bytes % 8)) + ";\n";
        }
        const std::string into =
            std::string(place.base) + (place.base[1] == 'd' && place.base[2] == '0' ? "+16" : "");
        body += "st" + (place.stores ? tail : vector + "." + type.name) + " [" + into + "], " +
                registers("%d", 10, count) + ";\n";
        body += "ld" + tail + " " + registers("%d", 20, count) + ", [" + into + "];\n";
        Words before = ramp(16), after = before;
        std::vector<std::uint8_t> bytes(16 * 4);
        std::memcpy(bytes.data(), before.data(), bytes.size());
        if (into != place.base) {
          std::memcpy(bytes.data() + 16, bytes.data(), type.bytes * count);
          std::memcpy(after.data(), bytes.data(), bytes.size());
        }
        for (unsigned i = 0; i < count; ++i) {
          body += "st.global.u64 [%d0+" + std::to_string(32 + 8 * i) + "], %d" +
                  std::to_string(20 + i) + ";\n";
          std::uint64_t value = 0;
          std::memcpy(&value, bytes.data() + i * type.bytes, type.bytes);
          if (type.is_signed && type.bytes < 8 && (value >> (8 * type.bytes - 1)) != 0)
            value |= ~std::uint64_t{0} << 8 * type.bytes;
          std::memcpy(after.data() + 8 + 2 * i, &value, 8);
        }
        all.push_back(kernel(body, before, after, place.module));
      }
}

/// Parameters and constants are only read: 16 bytes behind a pointer, and as many in .const.
void add_read_only(std::vector<FormKernel>& all) {
  constexpr std::uint8_t content[16] = {0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8,
                                        0x19, 0x2a, 0x3b, 0x4c, 0x5d, 0x6e, 0x7f, 0x80};
  std::string list;
  for (const std::uint8_t byte : content) list += (list.empty() ? "" : ", ") + std::to_string(byte);
  for (const Type& type : types)
    for (const unsigned count : {1U, 2U, 4U}) {
      if (type.bytes * count > 16) continue;
      const std::string vector = count == 1 ? "" : ".v" + std::to_string(count);
      // The parameter is the buffer's address: a word of it is read, and read again as 64 bits.
      if (type.bytes * count <= 8) {
        std::string body =
            "ld.param" + vector + "." + type.name + " " + registers("%d", 20, count) + ", [out];\n";
        body += "mov.u64 %d10, 0;\n";
        for (unsigned i = 0; i < count; ++i) {
          const std::string part = "%d" + std::to_string(20 + i);
          if (type.bytes < 8)
            body +=
                "bfe.u64 " + part + ", " + part + ", 0, " + std::to_string(8 * type.bytes) + ";\n";
          body += "shl.b64 " + part + ", " + part + ", " + std::to_string(8 * type.bytes * i) +
                  ";\nor.b64 %d10, %d10, " + part + ";\n";
        }
        // Equal to as many low bytes of the address itself.
        if (type.bytes * count < 8)
          body += "bfe.u64 %d11, %d0, 0, " + std::to_string(8 * type.bytes * count) + ";\n";
        else
          body += "mov.u64 %d11, %d0;\n";
        body +=
            "setp.eq.u64 %p1, %d10, %d11;\nselp.u32 %r1, 7, 0, %p1;\nst.global.u32 [%d0], "
            "%r1;\n";
        all.push_back(kernel(body, {0}, {7}));
      } else {
        FormKernel one;  // a struct of 16 bytes behind the pointer, all of them 0
        std::string body = std::string(head) + "ld.param" + vector + "." + type.name + " " +
                           registers("%d", 20, count) + ", [s];\nmov.u64 %d10, 0;\n";
        for (unsigned i = 0; i < count; ++i)
          body += "or.b64 %d10, %d10, %d" + std::to_string(20 + i) + ";\n";
        body += "setp.eq.u64 %p1, %d10, 0;\nselp.u32 %r1, 7, 0, %p1;\nst.global.u32 [%d0], %r1;\n";
        one.text = text_of(".param .u64 out, .param .align 16 .b8 s[16]", body);
        one.before = {0}, one.after = {7};
        one.how.block = {1, 1, 1};
        one.how.parameter_padding = 24;
        all.push_back(one);
      }
    }
}

/// atom and red of one operation on words that are known.
void add_atomics(std::vector<FormKernel>& all) {
  struct Operation {
    const char *name, *type;
    std::uint64_t before, operand, second, after;
    bool reduces;
  };
  constexpr std::uint64_t minus = ~std::uint64_t{0};
  const Operation operations[] = {
      {"add", "s32", 5, 0xfffffffe, 0, 3, true},
      {"add", "u32", 0xffffffff, 3, 0, 2, true},
      {"add", "s64", 5, minus, 0, 4, true},
      {"add", "u64", minus, 3, 0, 2, true},
      {"min", "s32", 5, 0xffffffff, 0, 0xffffffff, true},
      {"min", "u32", 0xffffffff, 5, 0, 5, true},
      {"min", "s64", 5, minus, 0, minus, true},
      {"min", "u64", minus, 5, 0, 5, true},
      {"max", "s32", 0xfffffffe, 5, 0, 5, true},
      {"max", "u32", 5, 0xffffffff, 0, 0xffffffff, true},
      {"max", "s64", minus, 5, 0, 5, true},
      {"max", "u64", 5, minus, 0, minus, true},
      {"and", "b32", 0xff0f, 0x0fff, 0, 0x0f0f, true},
      {"or", "b32", 0xf00f, 0x0ff0, 0, 0xffff, true},
      {"xor", "b32", 0xffff, 0x0ff0, 0, 0xf00f, true},
      {"and", "b64", 0xff0f00000001, 0x0fff00000000, 0, 0x0f0f00000000, true},
      {"or", "b64", 0xf00f00000001, 0x0ff000000000, 0, 0xffff00000001, true},
      {"xor", "b64", 0xffff00000001, 0x0ff000000001, 0, 0xf00f00000000, true},
      {"exch", "b32", 5, 9, 0, 9, false},
      {"exch", "b64", 5, minus, 0, minus, false},
      {"cas", "b32", 5, 5, 9, 9, false},
      {"cas", "b64", 5, 6, 9, 5, false},
      {"cas", "b16", 0x70005, 5, 9, 0x70009, false},
      {"inc", "u32", 7, 7, 0, 0, true},
      {"dec", "u32", 0, 7, 0, 7, true},
      {"add", "f32", 0x3f800000, 0x40000000, 0, 0x40400000, true},
      {"add", "f64", 0x3ff0000000000000, 0x4000000000000000, 0, 0x4008000000000000, true},
      {"add.noftz", "f16x2", 0x3c003c00, 0x40003c00, 0, 0x42004000, true},
      {"add.noftz", "bf16x2", 0x3f803f80, 0x40003f80, 0, 0x40404000, true}};
  for (const Operation& one : operations)
    for (const char* const space : {"", ".global", ".shared"}) {
      const std::string type = one.type;
      const bool wide = type.ends_with("64"), narrow = type == "b16";
      const std::string r = wide ? "%d" : narrow ? "%h" : "%r", store = wide ? "u64" : "u32";
      const bool shared = space[0] != '\0' && space[1] == 's';
      const std::string at = shared ? "cell" : "%d0";
      const std::string is_cas = std::string(one.name) == "cas" ? ", " + r + "3" : "";
      std::string body = "mov." +
                         std::string(narrow ? "b16 "
                                     : wide ? "b64 "
                                            : "b32 ") +
                         r + "2, " + std::to_string(one.operand) + ";\n" + "mov." +
                         std::string(narrow ? "b16 "
                                     : wide ? "b64 "
                                            : "b32 ") +
                         r + "3, " + std::to_string(one.second) + ";\n" +
                         "ld.global.u64 %d8, [%d0];\n";
      if (shared) body += "st.shared.u64 [cell], %d8;\n";
      Words before{static_cast<std::uint32_t>(one.before),
                   static_cast<std::uint32_t>(one.before >> 32), 0, 0};
      Words after{static_cast<std::uint32_t>(one.after),
                  static_cast<std::uint32_t>(one.after >> 32), 0, 0};
      for (const bool reduces : {false, true}) {
        if (reduces && !one.reduces) continue;
        std::string text = body;
        const std::string operation = std::string(one.name) + "." + one.type;
        if (reduces)
          text += "red" + std::string(space) + "." + operation + " [" + at + "], " + r + "2;\n";
        else
          text += "atom" + std::string(space) + "." + operation + " " + r + "1, [" + at + "], " +
                  r + "2" + is_cas + ";\n" + (narrow ? "cvt.u32.u16 %r1, %h1;\n" : "") +
                  "st.global." + store + " [%d0+8], " + (wide ? "%d1" : "%r1") + ";\n";
        if (shared) text += "ld.shared.u64 %d9, [cell];\nst.global.u64 [%d0], %d9;\n";
        after[2] =
            reduces ? 0 : static_cast<std::uint32_t>(narrow ? one.before & 0xffff : one.before);
        after[3] = reduces || !wide ? 0 : static_cast<std::uint32_t>(one.before >> 32);
        all.push_back(kernel(text, before, after, ".shared .align 8 .b8 cell[8];"));
      }
    }
}

/// 32 lanes store what an operation of the warp gave them.
void add_warps(std::vector<FormKernel>& all) {
  const auto add = [&](const std::string& body, const auto& rule) {
    Words after(32);
    for (std::uint32_t i = 0; i < 32; ++i) after[i] = rule(i);
    all.push_back(kernel(body + "mul.wide.u32 %d9, %r0, 4;\nadd.s64 %d9, %d0, %d9;\n"
                                "st.global.u32 [%d9], %r1;\n",
                         Words(32), after, "", 32));
  };
  using U = std::uint32_t;
  add("shfl.sync.up.b32 %r1, %r0, 3, 0, -1;\n", [](U i) { return i < 3 ? i : i - 3; });
  add("shfl.sync.up.b32 %r1|%p1, %r0, 1, 0x1800, -1;\n@!%p1 add.u32 %r1, %r1, 50;\n",
      [](U i) { return i % 8 == 0 ? i + 50 : i - 1; });
  add("shfl.sync.down.b32 %r1, %r0, 5, 31, -1;\n", [](U i) { return i + 5 > 31 ? i : i + 5; });
  add("shfl.sync.bfly.b32 %r1, %r0, 1, 31, -1;\n", [](U i) { return i ^ 1; });
  add("shfl.sync.idx.b32 %r1, %r0, 2, 0x181f, -1;\n", [](U i) { return i / 8 * 8 + 2; });
  add("setp.gt.u32 %p1, %r0, 4;\nvote.sync.ballot.b32 %r1, %p1, -1;\n",
      [](U) { return 0xffffffe0U; });
  for (const char* const question : {"all", "any", "uni"})
    add("setp.gt.u32 %p1, %r0, 4;\nvote.sync." + std::string(question) +
            ".pred %p2, %p1, -1;\nselp.u32 %r1, 1, 0, %p2;\n",
        [&](U) { return question[1] == 'n' && question[0] == 'a' ? 1U : 0U; });
  const auto same_rest = [](U i) {
    U mask = 0;
    for (U j = 0; j < 32; ++j) mask |= j % 3 == i % 3 ? 1U << j : 0;
    return mask;
  };
  add("rem.u32 %r2, %r0, 3;\nmatch.any.sync.b32 %r1, %r2, -1;\n", same_rest);
  add("rem.u32 %r2, %r0, 3;\ncvt.u64.u32 %d2, %r2;\nmatch.any.sync.b64 %r1, %d2, -1;\n", same_rest);
  add("mov.u32 %r2, 7;\nmatch.all.sync.b32 %r1|%p1, %r2, -1;\n@!%p1 mov.u32 %r1, 5;\n",
      [](U) { return 0xffffffffU; });
  add("mov.u64 %d2, 7;\nmatch.all.sync.b64 %r1|%p1, %d2, -1;\n@!%p1 mov.u32 %r1, 5;\n",
      [](U) { return 0xffffffffU; });
  add("cvt.u64.u32 %d2, %r0;\nmatch.all.sync.b64 %r1|%p1, %d2, -1;\n@!%p1 mov.u32 %r1, 5;\n",
      [](U) { return 5U; });
  const auto reduce = [&](const std::string& operation, U result) {
    add("sub.u32 %r2, %r0, 9;\nredux.sync." + operation + " %r1, %r2, -1;\n",
        [&](U) { return result; });
  };
  reduce("add.s32", 496 - 9 * 32), reduce("add.u32", 496 - 9 * 32);
  reduce("min.s32", 0xfffffff7), reduce("min.u32", 0), reduce("max.s32", 22);
  reduce("max.u32", 0xffffffff), reduce("and.b32", 0), reduce("or.b32", 0xffffffff);
  reduce("xor.b32", [] {
    U all_bits = 0;
    for (U i = 0; i < 32; ++i) all_bits ^= i - 9;
    return all_bits;
  }());
  add("activemask.b32 %r1;\nbar.warp.sync -1;\n", [](U) { return 0xffffffffU; });
  add("elect.sync %r1|%p1, -1;\n@%p1 add.u32 %r1, %r1, 3;\n", [](U i) { return i == 0 ? 3U : 0U; });
}

/// Lines that must be possible and change nothing, in one kernel of one thread.
void add_quiet(std::vector<FormKernel>& all) {
  std::string body = "mov.u32 %r1, 5;\n";
  for (const char* const line : {"membar.cta",
                                 "membar.gl",
                                 "membar.sys",
                                 "fence.sc.cta",
                                 "fence.sc.cluster",
                                 "fence.sc.gpu",
                                 "fence.sc.sys",
                                 "fence.acq_rel.cta",
                                 "fence.acq_rel.cluster",
                                 "fence.acq_rel.gpu",
                                 "fence.acq_rel.sys",
                                 "fence.proxy.async",
                                 "fence.proxy.async.global",
                                 "fence.proxy.async.shared::cta",
                                 "fence.proxy.async.shared::cluster",
                                 "fence.proxy.alias",
                                 "fence.mbarrier_init.release.cluster",
                                 "griddepcontrol.wait",
                                 "griddepcontrol.launch_dependents",
                                 "nanosleep.u32 20",
                                 "discard.global.L2 [%d0], 128",
                                 "prefetch.global.L1 [%d0]",
                                 "prefetch.global.L2 [%d0]",
                                 "prefetch.L1 [%d0]",
                                 "prefetch.L2 [%d0]",
                                 "prefetchu.L1 [%d0]",
                                 "prefetch.global.L2::evict_last [%d0]",
                                 "prefetch.global.L2::evict_first [%d0]",
                                 "prefetch.global.L2::evict_normal [%d0]",
                                 "prefetch.global.L2::evict_unchanged [%d0]",
                                 "createpolicy.fractional.L2::evict_last.b64 %d5, 0f3F800000",
                                 "createpolicy.fractional.L2::evict_first.b64 %d5, 0f3F800000",
                                 "createpolicy.fractional.L2::evict_normal.b64 %d5, 0f3F800000",
                                 "createpolicy.fractional.L2::evict_unchanged.b64 %d5, 0f3F800000",
                                 "createpolicy.fractional.L2::evict_last.L2::evict_first.b64 "
                                 "%d5, 0f3F800000",
                                 "cp.async.bulk.prefetch.L2.global [%d0], 16",
                                 "bar.sync 0",
                                 "barrier.sync 1",
                                 "barrier.sync.aligned 2",
                                 "bar.cta.sync 3",
                                 "barrier.cta.sync 4",
                                 "barrier.cta.sync.aligned 5",
                                 "bar.arrive 6, 64",
                                 "barrier.arrive 7, 64",
                                 "barrier.arrive.aligned 8, 64",
                                 "bar.cta.arrive 9, 64",
                                 "barrier.cta.arrive 10, 64",
                                 "barrier.cta.arrive.aligned 11, 64",
                                 "barrier.cluster.arrive",
                                 "barrier.cluster.wait",
                                 "barrier.cluster.arrive.aligned",
                                 "barrier.cluster.wait.aligned",
                                 "barrier.cluster.arrive.release",
                                 "barrier.cluster.wait.acquire",
                                 "barrier.cluster.arrive.release.aligned",
                                 "barrier.cluster.wait.acquire.aligned",
                                 "barrier.cluster.arrive.relaxed",
                                 "barrier.cluster.wait",
                                 "barrier.cluster.arrive.relaxed.aligned",
                                 "barrier.cluster.wait"})
    body += std::string(line) + ";\n";
  body +=
      "setp.eq.u32 %p1, %r1, 5;\n@%p1 bra GO;\nmov.u32 %r1, 6;\ntrap;\nGO:\nbra.uni ON;\n"
      "mov.u32 %r1, 7;\nON:\nst.global.u32 [%d0], %r1;\n@%p1 exit;\n@%p1 ret.uni;\n"
      "st.global.u32 [%d0], 9;\n";
  all.push_back(kernel(body, {0}, {5}));
}

}  // namespace

std::vector<FormKernel> form_kernels() {
  std::vector<FormKernel> all;
  add_accesses(all), add_read_only(all), add_atomics(all), add_warps(all), add_quiet(all);
  add_copy_kernels(all), add_order_kernels(all);
  return all;
}

}  // namespace abn::ptx::test
