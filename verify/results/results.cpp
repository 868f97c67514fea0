// Records add up, come to a verdict, and sum up to one sentence, one table and one exit code.
#include "verify/results/results.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>

#include "verify/problem/error.hpp"
#include "verify/results/witnesses_kept.hpp"

namespace abn::verify::results {
namespace {

bool worse(const Witness& a, const Witness& b) {
  const bool a_failed = !a.reason.empty(), b_failed = !b.reason.empty();
  if (a_failed != b_failed) return a_failed;
  if (a.ratio != b.ratio) return a.ratio > b.ratio;
  return std::fabs(a.ulp) > std::fabs(b.ulp);
}

std::string plural(std::uint64_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// Errors beyond the last bins saturate there: they are no measurement, and their number must not
/// look like one.
std::string show_ulp(double ulp) {
  const int bin = compare::ulp_bin(ulp);
  return bin == 0                              ? "< -2^20"
         : bin == compare::Tally::ulp_bins - 1 ? "> 2^20"
                                               : fmt::format("{:.3g}", ulp);
}

/// How many cases a verdict rests on, and how many it says nothing of.
std::string scope(const Record& record) {
  const std::string ran = plural(record.cases - record.skipped_cases, "case");
  return record.skipped_cases > 0 ? fmt::format("{}, {} skipped", ran, record.skipped_cases) : ran;
}

/// Adds up the kinds of two records, each in the order of their keys.
void merge_kinds(std::vector<CaseKind>& into, const std::vector<CaseKind>& from) {
  for (const CaseKind& one : from) {
    const auto at =
        std::lower_bound(into.begin(), into.end(), one,
                         [](const CaseKind& a, const CaseKind& b) { return a.key() < b.key(); });
    if (at == into.end() || at->key() != one.key()) {
      into.insert(at, one);
      continue;
    }
    at->cases += one.cases, at->telling += one.telling, at->empty += one.empty;
    at->least_m = std::min(at->least_m, one.least_m);
    at->most_m = std::max(at->most_m, one.most_m);
    at->least_c = std::min(at->least_c, one.least_c);
    at->most_c = std::max(at->most_c, one.most_c);
    if (at->claims.empty()) at->claims = one.claims;
  }
}

/// Where a record's claims leave nothing to judge: "training with m from 1024 to 8198 (leaky_relu,
/// elu)", mode by mode.
std::string empty_kinds_text(const std::vector<CaseKind>& kinds) {
  std::string text;
  for (auto first = kinds.begin(); first != kinds.end();) {
    const auto last = std::find_if(first, kinds.end(),
                                   [&](const CaseKind& one) { return one.mode != first->mode; });
    std::int64_t least = first->least_m, most = first->most_m;
    std::vector<std::string> activations;
    for (auto at = first; at != last; ++at) {
      least = std::min(least, at->least_m), most = std::max(most, at->most_m);
      if (activations.empty() || activations.back() != at->activation)
        activations.push_back(at->activation);
    }
    text += fmt::format(
        "{}{} with m {} ({})", text.empty() ? "" : ", ", first->mode,
        least == most ? fmt::format("{}", least) : fmt::format("from {} to {}", least, most),
        fmt::join(activations, ", "));
    first = last;
  }
  return text;
}

std::string work(const Record& record) {
  const call::Evaluations& calls = record.evaluations;
  return calls.forward + calls.backward == 0
             ? ""
             : fmt::format("; {} forward and {} backward evaluations", calls.forward,
                           calls.backward);
}

}  // namespace

std::span<const problem::Word> verdict_words() {
  static constexpr problem::Word words[] = {
      {"pass", "Every element is within its bound, or what was demanded of the calls held."},
      {"fail",
       "An element is above its bound or of the wrong class (NaN, an infinity, the sign of a "
       "zero), or a demand on the calls was broken."},
      {"inconclusive",
       "The data or the claims cannot tell a right kernel from one that computes nothing, at least "
       "for one mode, activation or size. Use other data or a larger problem, or narrow the "
       "claims."},
      {"skip", "The check did not run here; its reason says why. A skip is not a pass."},
      {"error", "The check broke off before it came to a result; its reason says why."},
  };
  return words;
}

const char* verdict_name(Verdict verdict) {
  return verdict_words()[static_cast<std::size_t>(verdict)].name;
}

namespace {
constexpr const char* kind_names[] = {"numbers", "property", "contract"};
}  // namespace

const char* kind_name(CheckKind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

bool is_kind_name(std::string_view name) {
  return std::find(std::begin(kind_names), std::end(kind_names), name) != std::end(kind_names);
}

CheckKind kind_from_name(std::string_view name) {
  const auto at = std::find(std::begin(kind_names), std::end(kind_names), name);
  return static_cast<CheckKind>(at - std::begin(kind_names));
}

int severity(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass:
      return 0;
    case Verdict::skip:
      return 1;
    case Verdict::inconclusive:
      return 2;
    case Verdict::fail:
      return 3;
    case Verdict::error:
      return 4;
  }
  return 4;
}

void merge(Record& into, const Record& from) {
  // a sum is as bad as its worst part, and a skip never hides what did run
  if (from.verdict != Verdict::skip &&
      (into.verdict == Verdict::skip || severity(from.verdict) > severity(into.verdict)))
    into.verdict = from.verdict, into.reason = from.reason;
  into.cases += from.cases;
  into.failed_cases += from.failed_cases;
  into.skipped_cases += from.skipped_cases;
  into.discriminating_cases += from.discriminating_cases;
  into.method_limited_cases += from.method_limited_cases;
  into.cancelled_cases += from.cancelled_cases;
  into.constant_dz_cases += from.constant_dz_cases;
  into.evaluations += from.evaluations;
  into.tally += from.tally;
  into.bias += from.bias;
  into.diagnosis += from.diagnosis;
  into.witnesses.insert(into.witnesses.end(), from.witnesses.begin(), from.witnesses.end());
  std::stable_sort(into.witnesses.begin(), into.witnesses.end(), worse);
  if (into.witnesses.size() > witnesses_kept) into.witnesses.resize(witnesses_kept);
  into.has_end_to_end |= from.has_end_to_end;
  into.end_to_end += from.end_to_end;
  into.end_to_end_cost = std::max(into.end_to_end_cost, from.end_to_end_cost);
  into.unsafe_cases += from.unsafe_cases;
  into.open_branches += from.open_branches;
  into.sampled_cases += from.sampled_cases;
  if (into.sampled.empty()) into.sampled = from.sampled;
  merge_kinds(into.kinds, from.kinds);
  for (const CallTraffic& call : from.traffic) {
    const auto at = std::lower_bound(
        into.traffic.begin(), into.traffic.end(), call,
        [](const CallTraffic& a, const CallTraffic& b) { return a.mode < b.mode; });
    if (at == into.traffic.end() || at->mode != call.mode)
      into.traffic.insert(at, call);
    else if (call.elements > at->elements)
      *at = call;
  }
}

void conclude(Record& record) {
  std::erase_if(record.kinds, [](const CaseKind& one) { return !one.is_empty(); });
  if (record.verdict == Verdict::error) return;
  const std::uint64_t ran = record.cases - record.skipped_cases;
  if (record.tally.failed > 0 || record.failed_cases > 0) {
    record.verdict = Verdict::fail;
    const bool one = record.tally.failed == 1;
    if (record.tally.failed > 0)
      record.reason = fmt::format(
          "{} of {} {} {}, in {} of {}", record.tally.failed,
          plural(record.tally.elements, "element"),
          record.kind == CheckKind::property ? (one ? "breaks" : "break") : (one ? "is" : "are"),
          record.op == "exact"                 ? "not right to the last bit"
          : record.kind == CheckKind::property ? "the property"
                                               : "above the bound or of the wrong class",
          record.failed_cases, plural(ran, "case"));
    return;
  }
  if (ran == 0) {
    record.verdict = Verdict::skip;
    if (record.reason.empty()) record.reason = "every case was skipped";
    return;
  }
  if (record.kind == CheckKind::contract) {
    record.verdict = Verdict::pass;
    record.reason = fmt::format("held in {}", scope(record));
    return;
  }
  if (record.kind == CheckKind::property) {
    const bool compared = record.tally.elements > 0;
    record.verdict = compared ? Verdict::pass : Verdict::inconclusive;
    record.reason =
        compared ? fmt::format("held in {}, the largest difference is {:.3g} of what it may be",
                               scope(record), record.tally.max_ratio)
                 : std::string("nothing was compared; use other data or a larger problem");
    return;
  }
  if (record.discriminating_cases == 0 && record.kinds.empty()) {
    if (record.cancelled_cases >= ran) {
      record.verdict = Verdict::pass;
      record.reason = fmt::format(
          "largest error {:.3g} of its bound; the exact sums cancel to 0, so zeros are right here",
          record.tally.max_ratio);
      return;
    }
    if (record.constant_dz_cases >= ran) {
      record.verdict = Verdict::inconclusive;
      record.reason =
          "within the bound, but dz is the same for all samples of every channel, so dx is 0 by "
          "its "
          "formula and any small dx passes; use data whose dz varies";
      return;
    }
    const bool by_method = record.method_limited_cases >= ran;
    record.verdict = by_method ? Verdict::pass : Verdict::inconclusive;
    record.reason = by_method
                        ? fmt::format(
                              "within the bound, but in all {} the in-place method itself leaves "
                              "no signal to judge",
                              plural(ran, "case"))
                        : fmt::format(
                              "within the bound, but {} could tell a right kernel from one that "
                              "computes nothing; use other data or a larger problem",
                              ran == 1 ? std::string("the one case that ran did not show data that")
                                       : fmt::format("none of {}", plural(ran, "case")));
    return;
  }
  if (!record.kinds.empty()) {
    std::uint64_t cases = 0;
    for (const CaseKind& one : record.kinds) cases += one.cases;
    record.verdict = Verdict::inconclusive;
    record.reason = fmt::format(
        "nothing is judged in {} of {}: {}. What is claimed there ({}) allows errors as large as "
        "the results, so a kernel that computes nothing would pass; such a claim is implausible, "
        "narrow it",
        cases, plural(ran, "case"), empty_kinds_text(record.kinds), record.kinds.back().claims);
    return;
  }
  record.verdict = Verdict::pass;
  if (record.op == "exact" && record.tally.max_ratio == 0) {
    record.reason = fmt::format("right to the last bit in {}", scope(record));
    return;
  }
  record.reason = fmt::format("largest error {:.3g} of its bound over {}{}", record.tally.max_ratio,
                              scope(record), work(record));
  if (record.sampled_cases > 0)
    record.reason +=
        fmt::format("; in {} a sample is judged ({}), and of the rest that it was written",
                    plural(record.sampled_cases, "case"), record.sampled);
  if (const std::string bias = compare::bias_text(record.bias); !bias.empty())
    record.reason += "; " + bias;
}

bool is_unfit(const Record& record) {
  return record.kind == CheckKind::numbers && !(record.tally.max_fit_ratio <= 1);
}

Summary summarise(const Results& results) {
  Summary sum;
  for (const auto& record : results.records) {
    switch (record.verdict) {
      case Verdict::pass:
        ++sum.pass;
        break;
      case Verdict::fail:
        ++sum.fail;
        break;
      case Verdict::inconclusive:
        ++sum.inconclusive;
        break;
      case Verdict::skip:
        ++sum.skip;
        break;
      case Verdict::error:
        ++sum.error;
        break;
    }
    sum.cases += record.cases - record.skipped_cases;
    sum.elements += record.tally.elements;
    if (is_unfit(record)) ++sum.unfit;
    if (record.has_end_to_end && record.unsafe_cases > 0) ++sum.unsafe;
  }
  return sum;
}

int exit_code(const Results& results) {
  constexpr int nothing_ran = 77;
  const Summary sum = summarise(results);
  if (sum.fail + sum.inconclusive + sum.error > 0 || !results.unfinished.empty()) return 1;
  return sum.pass == 0 ? nothing_ran : 0;
}

namespace {

std::string headline_of_what_ran(const Results& results) {
  const Summary sum = summarise(results);
  const std::uint64_t all = results.records.size();
  if (all == 0)
    return "Nothing was checked. No check that was asked for belongs to this problem (its type, "
           "layout, mode and tier) and to a variant that supports it; abn-verify list has the "
           "checks.";
  if (sum.skip == all)
    return fmt::format(
        "Nothing could run: {} skipped, {}.",
        all == 1 ? "the only check was" : fmt::format("all {} were", plural(all, "check")),
        results.records.front().reason);
  struct Bad {
    std::uint64_t count;
    const char *of_one, *of_more;
  };
  std::string bad;
  for (const Bad& one : {Bad{sum.fail, "fails", "fail"},
                         {sum.error, "could not be made", "could not be made"},
                         {sum.inconclusive, "is inconclusive", "are inconclusive"}})
    if (one.count > 0)
      bad += fmt::format("{}{} {}", bad.empty() ? "" : ", ", one.count,
                         one.count == 1 ? one.of_one : one.of_more);
  const auto in_part = static_cast<std::uint64_t>(
      std::count_if(results.records.begin(), results.records.end(), [](const Record& record) {
        return record.verdict != Verdict::skip && record.skipped_cases > 0;
      }));
  std::string skipped = sum.skip > 0 ? fmt::format("; {} skipped", sum.skip) : "";
  if (in_part > 0) skipped += fmt::format("; {} skipped some of their cases", in_part);
  if (!bad.empty()) {
    const auto first =
        std::find_if(results.records.begin(), results.records.end(), [](const Record& r) {
          return r.verdict == Verdict::fail || r.verdict == Verdict::error ||
                 r.verdict == Verdict::inconclusive;
        });
    return fmt::format("Of {}, {}{}; the first is {}.", plural(all, "check"), bad, skipped,
                       first->id);
  }
  double worst = 0;
  for (const auto& record : results.records) worst = std::max(worst, record.tally.max_ratio);
  const std::string passed =
      skipped.empty() ? (all == 1 ? std::string("The only check passes")
                                  : fmt::format("All {} pass", plural(all, "check")))
                      : fmt::format("All {} that ran pass{}", plural(sum.pass, "check"), skipped);
  if (sum.elements == 0)
    return fmt::format("{}: {}, no numbers among them.", passed, plural(sum.cases, "case"));
  const auto first_unfit = std::find_if(
      results.records.begin(), results.records.end(),
      [](const Record& record) { return record.verdict == Verdict::pass && is_unfit(record); });
  const std::string unfit = sum.unfit > 0 && first_unfit != results.records.end()
                                ? fmt::format(
                                      " {} not competitive, with errors above twice the bound of "
                                      "the recommended class: {}{}.",
                                      sum.unfit == 1 ? "1 is" : fmt::format("{} are", sum.unfit),
                                      sum.unfit == 1 ? "" : "first ", first_unfit->id)
                                : "";
  const auto biased =
      std::count_if(results.records.begin(), results.records.end(),
                    [](const Record& record) { return !compare::bias_text(record.bias).empty(); });
  const std::string leaning =
      biased > 0 ? fmt::format(" {} biased: the errors lean to one side.",
                               biased == 1 ? "1 is" : fmt::format("{} are", biased))
                 : "";
  const auto most = std::max_element(
      results.records.begin(), results.records.end(),
      [](const Record& a, const Record& b) { return a.sampled_cases < b.sampled_cases; });
  const std::string sampled =
      most->sampled_cases == 0
          ? ""
          : fmt::format(" Of {} a sample was judged, as {} of one.",
                        plural(most->sampled_cases, "large case"), most->sampled);
  return fmt::format("{}: {} compared, the largest error is {:.2f} of its bound.{}{}{}", passed,
                     plural(sum.elements, "element"), worst, unfit, leaning, sampled);
}

}  // namespace

std::string headline(const Results& results) {
  if (results.unfinished.empty())
    return headline_of_what_ran(results) + (results.left_out.empty() ? "" : " " + results.left_out);
  return fmt::format("Unfinished: {} Of what ran: {}", results.unfinished,
                     results.records.empty() ? "nothing yet." : headline_of_what_ran(results));
}

std::string summary_table(const Results& results) {
  struct Row {
    std::array<std::uint64_t, 5> verdicts{};
    std::uint64_t checks = 0;
    compare::Tally tally;
    double worst = -1;
    std::string check;
    std::uint64_t unfit = 0, unsafe = 0;
  };
  std::map<std::string, Row> rows;
  std::size_t width = 12;
  for (const auto& record : results.records) {
    Row& row = rows[fmt::format("{} {} {}", record.variant, record.op, record.dtype)];
    ++row.checks;
    ++row.verdicts[static_cast<std::size_t>(record.verdict)];
    row.tally += record.tally;
    row.unfit += record.verdict == Verdict::pass && is_unfit(record) ? 1 : 0;
    row.unsafe += record.unsafe_cases;
    if (record.kind != CheckKind::contract && record.tally.max_ratio > row.worst)
      row.worst = record.tally.max_ratio, row.check = record.layout + "/" + record.check;
  }
  for (const auto& [name, row] : rows) width = std::max(width, name.size());
  // At most 100 columns for the in-tree variants, unless there is bad news.
  std::string text = fmt::format("{:<{}}  {:>5}  {:>9}  {:>7}  {:>8}  {}\n", "", width, "pass",
                                 "elements", "ratio", "ulp", "worst check");
  for (const auto& [name, row] : rows) {
    std::string notes;
    const auto note = [&](std::uint64_t count, const char* what) {
      if (count > 0) notes += fmt::format("{}{} {}", notes.empty() ? "" : ", ", count, what);
    };
    for (const Verdict verdict :
         {Verdict::error, Verdict::fail, Verdict::inconclusive, Verdict::skip})
      note(row.verdicts[static_cast<std::size_t>(verdict)], verdict_name(verdict));
    note(row.unfit, "not competitive");
    note(row.unsafe, "unsafe in place");
    std::string line = fmt::format(
        "{:<{}}  {:>5}  {:>9}  {:>7.3g}  {:>8}  {:<17}  {}", name, width,
        fmt::format("{}/{}", row.verdicts[static_cast<std::size_t>(Verdict::pass)], row.checks),
        row.tally.elements, std::max(row.worst, 0.0), show_ulp(row.tally.max_abs_ulp), row.check,
        notes);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

void write_file_atomically(const std::string& path, const std::string& text) {
  namespace fs = std::filesystem;
  const auto refuse = [&](const char* what) {
    throw problem::UsageError(fmt::format("{} {}; choose another --out or make room", path, what));
  };
  const auto write_all = [&](int file) {
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t wrote = write(file, text.data() + done, text.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return false;
      done += static_cast<std::size_t>(wrote);
    }
    return true;
  };
  std::error_code error;
  const fs::file_status there = fs::status(path, error);
  // A terminal, a pipe or a device is written to; a rename would put a file in its place.
  if (fs::exists(there) && !fs::is_regular_file(there)) {
    const int stream = fs::is_character_file(there) || fs::is_fifo(there)
                           ? open(path.c_str(), O_WRONLY | O_CLOEXEC)
                           : -1;
    if (stream < 0) refuse("is not a file that can be written");
    const bool good = write_all(stream);
    if (close(stream) != 0 || !good) refuse("could not be written to its end");
    return;
  }
  // Through a symbolic link the file behind it is replaced, not the link.
  const std::string target = fs::exists(there) ? fs::canonical(path).string() : path;
  const std::string temporary = fmt::format("{}.{}.new", target, getpid());
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) refuse("cannot be written");
  bool good = write_all(file) && fsync(file) == 0;
  good = close(file) == 0 && good;
  if (good) fs::rename(temporary, target, error);
  if (!good || error) {
    fs::remove(temporary, error);
    refuse("could not be written to its end");
  }
}

}  // namespace abn::verify::results
