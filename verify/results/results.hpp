// results.json: what one run found, as data. `run` and `check` write it once; reports, diffs and
// Markdown are functions of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "verify/call/evaluations.hpp"
#include "verify/compare/bias.hpp"
#include "verify/compare/channel_lines.hpp"
#include "verify/compare/compare.hpp"
#include "verify/results/explanation.hpp"

namespace abn::verify::results {

inline constexpr const char* results_schema = "abn-verify/1";

enum class Verdict : std::uint8_t { pass, fail, inconclusive, skip, error };
const char* verdict_name(Verdict verdict);
std::span<const problem::Word> verdict_words();  ///< in the order of the enumerators
int severity(Verdict verdict);                   ///< pass < skip < inconclusive < fail < error

/// One element worth showing: the worst of its record, with all that is needed to understand and
/// reproduce it.
struct Witness {
  std::string problem, data;  ///< problem string and recipe (or file) name
  std::uint64_t seed = 0;
  std::string where;  ///< "dx[n 0, c 3, s 17]" or "dgamma[c 3]"
  double expected = 0, expected_low = 0, got = 0, error = 0, bound = 0, ratio = 0, ulp = 0;
  std::string got_bits;  ///< "0xbb15"
  std::string reason;
  std::vector<std::pair<std::string, double>> inputs;  ///< ("z", 0x1.8p-7), ("dz", ...)
  /// largest first, share of the bound, those above 1 %
  std::vector<std::pair<std::string, double>> terms;
  double kappa = 1, beta_over_g = 0;
  std::string reproduce;                       ///< one shell command
  std::vector<compare::ChannelLine> channels;  ///< the worst channels of this case
};

/// What one call moved between one of its buffers and its threads, counted by the emulator
/// (cuda/emulator/report.h).
struct BufferTraffic {
  std::string buffer;                    ///< "x", "x = z" where both are one, "workspace", ...
  bool tensor = false;                   ///< of the problem's N*C*S elements
  std::uint64_t bytes = 0;               ///< its size
  std::uint64_t loaded = 0, stored = 0;  ///< bytes
  std::uint64_t load_requests = 0, store_requests = 0, load_sectors = 0, store_sectors = 0,
                atomics = 0;
  int claimed_loads = -1, claimed_stores = -1;  ///< sweeps; -1: nothing is claimed
};

/// What one call moved in all.
struct CallTraffic {
  std::string mode, problem;
  std::uint64_t elements = 0;
  std::vector<BufferTraffic> buffers;
};

/// What a check looks at.
enum class CheckKind : std::uint8_t {
  numbers,   ///< compared with a bound, on data that can tell
  property,  ///< two results of the kernel compared with each other
  /// guards, unwritten, inputs, alias, schedule, status; and what the emulator's sanitiser sees:
  /// races, unwritten_reads, bounds, barriers, traffic
  contract,
};
const char* kind_name(CheckKind kind);  ///< as results.json has it
bool is_kind_name(std::string_view name);
CheckKind kind_from_name(std::string_view name);  ///< of a name that is_kind_name() knows

/// The cases of one mode, activation and size within a record. Where the claims allow errors as
/// large as the results, a pass there says nothing, whatever other sizes show.
struct CaseKind {
  std::string mode, activation;
  int samples = 0, channels = 0;  ///< the binary logarithm of m and of C, rounded down
  std::uint64_t cases = 0;
  std::uint64_t telling = 0;  ///< of these, cases that tell a right kernel from one of nothing
  /// cases of usual data that tell nothing by the claims, and would by those of the recommended
  /// class
  std::uint64_t empty = 0;
  std::int64_t least_m = 0, most_m = 0, least_c = 0, most_c = 0;
  std::string claims;  ///< of an empty case: what is claimed beyond the recommended class

  bool is_empty() const { return telling == 0 && empty > 0; }
  auto key() const { return std::tie(mode, activation, samples, channels); }
};

/// The result of one check id over all its cases. Records with equal ids add up; the order of
/// addition decides nothing but ties.
struct Record {
  std::string id, variant, op, dtype, layout, check;
  CheckKind kind = CheckKind::numbers;
  Verdict verdict = Verdict::pass;
  std::string reason;
  std::uint64_t cases = 0, failed_cases = 0, skipped_cases = 0, discriminating_cases = 0,
                method_limited_cases = 0, cancelled_cases = 0, constant_dz_cases = 0;
  call::Evaluations evaluations;
  compare::Tally tally;
  compare::Bias bias;
  Diagnosis diagnosis;  ///< of failures: what would explain them
  /// worst first; at most three; the first is the worst of all
  std::vector<Witness> witnesses;
  /// backward of in-place schemes: against the true gradient at the unrounded x
  bool has_end_to_end = false;
  /// ratios against the bound that includes the cost of storing z
  compare::Tally end_to_end;
  /// largest |error| over ChannelFacts::scale, the size of the gradient before anything cancels:
  /// what in-place costs; a measurement
  double end_to_end_cost = 0;
  std::uint64_t unsafe_cases = 0;  ///< cases in which that cost exceeds 1 %
  /// elements too near the kink for the cost to tell which branch is right; they are left out of it
  std::uint64_t open_branches = 0;
  std::uint64_t sampled_cases = 0;  ///< of which not every element was compared
  std::string sampled;              ///< of such a case: "4 of 65537 channels"
  /// of checks of numbers, in the order of their keys; once concluded, the empty ones alone
  std::vector<CaseKind> kinds;
  /// of `traffic` checks: the largest call of each mode, in the order of the modes' names
  std::vector<CallTraffic> traffic;
};

/// A file that verdicts rest on, as it was when they were made.
struct FileHash {
  std::string role;    ///< "tool", "worker" or "plug-in"
  std::string name;    ///< of the tool's programs without a folder, of others as the user gave it
  std::string sha256;  ///< in hex; "unreadable" where it could not be read
  bool operator==(const FileHash&) const = default;
};

struct Provenance {
  std::string version, git, command, compiler, cuda, driver, device, tier, time;
  bool dirty = false;
  std::uint64_t seed = 0;
  double seconds = 0;
  std::vector<FileHash> files{};
};

/// What a variant says of itself, for the reader of a report.
struct VariantInfo {
  std::string name, summary, memory;  ///< memory: "host", "emulated" or "cuda"
  /// ("scheme", "in_place_1"), ("statistics", "welford"), ("depth at m = 1024", "..."), ...
  std::vector<std::pair<std::string, std::string>> claims;
  /// sentences on claims that are more generous than its errors were; advice, no failure
  std::vector<std::string> unneeded{};
  std::string moved{};    ///< how many cases stand in for ones that it does not do; or empty
  std::string process{};  ///< who calls it, and under which limits
  std::string printed{};  ///< the first lines that its plug-in wrote, in quotes; or empty
  /// the shared libraries that its plug-in brought into its process: what may compute in its place
  std::vector<std::string> libraries{};
};

struct Results {
  Provenance provenance;
  std::vector<VariantInfo> variants;
  std::vector<Record> records;  ///< ordered by id
  /// of a run that was cut off, in sentences: what ran, what is left and how to go on; else empty
  std::string unfinished{};
  /// of a tier that did not run as a whole, because less was asked for: how much is missing
  std::string left_out{};
};

/// Worse than twice the recommended class may be: possibly consistent with what the variant
/// declares, but no better than that.
bool is_unfit(const Record& record);

/// Counts of verdicts, and the exit code that they mean: 0 all passed, 1 a check failed or was
/// inconclusive or errored, or the run was cut off, 77 nothing could run.
struct Summary {
  std::uint64_t pass = 0, fail = 0, inconclusive = 0, skip = 0, error = 0, cases = 0, elements = 0,
                unfit = 0, unsafe = 0;
};
Summary summarise(const Results& results);
int exit_code(const Results& results);

/// Adds `from` to `into` (same id); keeps the worst witnesses and the worst verdict with its
/// reason.
void merge(Record& into, const Record& from);

/// Sets verdict and reason of a record from its counts; called once after the last merge.
void conclude(Record& record);

/// stable key order, NaN and infinities as strings, floats as decimal (17 digits) and witnesses as
/// hex too
std::string to_json(const Results& results);
/// throws UsageError on another schema or malformed text
Results results_from_json(const std::string& text);
/// a file whole or not at all, behind a symbolic link too; pipes and devices are written to; throws
/// UsageError
void write_file_atomically(const std::string& path, const std::string& text);

/// The design's failure text for a failed or inconclusive record (several lines, no colour).
std::string failure_text(const Record& record);

/// One sentence on the whole run, and the summary table for a terminal.
std::string headline(const Results& results);
std::string summary_table(const Results& results);

}  // namespace abn::verify::results
