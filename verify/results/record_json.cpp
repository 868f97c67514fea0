// Records in JSON, both ways. Keys keep their order, NaN and infinities are strings, so the same
// records have the same bytes.
#include "verify/results/record_json.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

#include "verify/problem/foreign_json.hpp"

namespace abn::verify::results {

Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

void refuse(const Json& json, const char* expected) {
  constexpr std::size_t quoted = 40;  // of what may be a whole array
  std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > quoted) text = text.substr(0, quoted) + "...";
  throw problem::UsageError(fmt::format(
      "These results hold {} where {} is expected; write them again with abn-verify run --out",
      text, expected));
}

double number_from(const Json& json) {
  if (!json.is_string()) return json.get<double>();
  const auto text = json.get<std::string>();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (text == "inf") return infinity;
  if (text == "-inf") return -infinity;
  if (text != "nan") refuse(json, "a number");
  return std::numeric_limits<double>::quiet_NaN();
}

namespace {

template <class Integer>
Integer whole_from(const Json& json, const char* expected) {
  const auto value = problem::whole_number<Integer>(json);
  if (!value) refuse(json, expected);
  return *value;
}
std::int64_t index_from(const Json& json) { return whole_from<std::int64_t>(json, "an index"); }

}  // namespace

std::uint64_t count_from(const Json& json) { return whole_from<std::uint64_t>(json, "a count"); }

namespace {

template <std::size_t Size>
std::array<std::uint64_t, Size> counts_from(const Json& json) {
  if (!json.is_array() || json.size() != Size) refuse(json, "a histogram of this version");
  std::array<std::uint64_t, Size> counts;
  for (std::size_t i = 0; i < Size; ++i) counts[i] = count_from(json[i]);
  return counts;
}

/// Witness numbers also as hex floats, for people who paste them into a test.
Json exact(double value) {
  return {{"value", number(value)},
          {"hex", std::isfinite(value) ? Json(fmt::format("{:a}", value)) : number(value)}};
}
double exact_from(const Json& json) { return number_from(json.at("value")); }

Json pairs(const std::vector<std::pair<std::string, double>>& list, bool as_exact) {
  Json json = Json::array();
  for (const auto& [name, value] : list) {
    Json one{{"name", name}};
    one.update(as_exact ? exact(value) : Json{{"share", number(value)}});
    json.push_back(one);
  }
  return json;
}

std::vector<std::pair<std::string, double>> pairs_from(const Json& json, bool as_exact) {
  std::vector<std::pair<std::string, double>> list;
  for (const auto& one : json)
    list.emplace_back(one.at("name"), as_exact ? exact_from(one) : number_from(one.at("share")));
  return list;
}

Json comparison_json(const compare::Comparison& c) {
  return {{"passed", c.passed},
          {"error", number(c.error)},
          {"ratio", number(c.ratio)},
          {"fit_ratio", number(c.fit_ratio)},
          {"ulp", number(c.ulp)}};
}

compare::Comparison comparison_from(const Json& json) {
  compare::Comparison c;
  c.passed = json.at("passed");
  c.error = number_from(json.at("error"));
  c.ratio = number_from(json.at("ratio"));
  c.fit_ratio = number_from(json.at("fit_ratio"));
  c.ulp = number_from(json.at("ulp"));
  return c;
}

Json tally_json(const compare::Tally& t) {
  Json json{{"elements", t.elements},
            {"failed", t.failed},
            {"nonfinite_expected", t.nonfinite_expected},
            {"nonfinite_got", t.nonfinite_got},
            {"max_ratio", number(t.max_ratio)},
            {"p99_ratio", number(t.p99_ratio())},
            {"sum_ratio", number(t.sum_ratio)},
            {"max_fit_ratio", number(t.max_fit_ratio)},
            {"max_abs_ulp", number(t.max_abs_ulp)},
            {"sum_ulp", number(t.sum_ulp)},
            {"worst", t.worst},
            {"worst_comparison", comparison_json(t.worst_comparison)}};
  json["ratio_histogram"] = t.ratio_histogram;
  json["ulp_histogram"] = t.ulp_histogram;
  return json;
}

compare::Tally tally_from(const Json& json) {
  compare::Tally t;
  t.elements = count_from(json.at("elements"));
  t.failed = count_from(json.at("failed"));
  t.nonfinite_expected = count_from(json.at("nonfinite_expected"));
  t.nonfinite_got = count_from(json.at("nonfinite_got"));
  t.max_ratio = number_from(json.at("max_ratio"));
  t.sum_ratio = number_from(json.at("sum_ratio"));
  t.max_fit_ratio = number_from(json.at("max_fit_ratio"));
  t.max_abs_ulp = number_from(json.at("max_abs_ulp"));
  t.sum_ulp = number_from(json.at("sum_ulp"));
  t.worst = index_from(json.at("worst"));
  t.worst_comparison = comparison_from(json.at("worst_comparison"));
  t.ratio_histogram = counts_from<compare::Tally::ratio_bins>(json.at("ratio_histogram"));
  t.ulp_histogram = counts_from<compare::Tally::ulp_bins>(json.at("ulp_histogram"));
  return t;
}

Json channels_json(const std::vector<compare::ChannelLine>& lines) {
  Json json = Json::array();
  for (const compare::ChannelLine& line : lines)
    json.push_back({{"channel", line.channel},
                    {"elements", line.elements},
                    {"failed", line.failed},
                    {"max_ratio", number(line.max_ratio)},
                    {"mean_ratio", number(line.mean_ratio)},
                    {"p99_ratio", number(line.p99_ratio)},
                    {"mean_ulp", number(line.mean_ulp)},
                    {"kappa", number(line.kappa)},
                    {"dominating", line.dominating}});
  return json;
}

std::vector<compare::ChannelLine> channels_from(const Json& json) {
  std::vector<compare::ChannelLine> lines;
  for (const Json& one : json)
    lines.push_back({index_from(one.at("channel")), count_from(one.at("elements")),
                     count_from(one.at("failed")), number_from(one.at("max_ratio")),
                     number_from(one.at("mean_ratio")), number_from(one.at("p99_ratio")),
                     number_from(one.at("mean_ulp")), number_from(one.at("kappa")),
                     one.at("dominating")});
  return lines;
}

Json witness_json(const Witness& w) {
  Json json{{"problem", w.problem},
            {"data", w.data},
            {"seed", w.seed},
            {"where", w.where},
            {"expected", exact(w.expected)},
            {"expected_low", exact(w.expected_low)},
            {"got", exact(w.got)},
            {"got_bits", w.got_bits},
            {"error", number(w.error)},
            {"bound", number(w.bound)},
            {"ratio", number(w.ratio)},
            {"ulp", number(w.ulp)},
            {"reason", w.reason},
            {"inputs", pairs(w.inputs, true)},
            {"terms", pairs(w.terms, false)},
            {"kappa", number(w.kappa)},
            {"beta_over_g", number(w.beta_over_g)},
            {"reproduce", w.reproduce}};
  if (!w.channels.empty()) json["channels"] = channels_json(w.channels);
  return json;
}

Witness witness_from(const Json& json) {
  Witness w;
  w.problem = json.at("problem");
  w.data = json.at("data");
  w.seed = count_from(json.at("seed"));
  w.where = json.at("where");
  w.expected = exact_from(json.at("expected"));
  w.expected_low = exact_from(json.at("expected_low"));
  w.got = exact_from(json.at("got"));
  w.got_bits = json.at("got_bits");
  w.error = number_from(json.at("error"));
  w.bound = number_from(json.at("bound"));
  w.ratio = number_from(json.at("ratio"));
  w.ulp = number_from(json.at("ulp"));
  w.reason = json.at("reason");
  w.inputs = pairs_from(json.at("inputs"), true);
  w.terms = pairs_from(json.at("terms"), false);
  w.kappa = number_from(json.at("kappa"));
  w.beta_over_g = number_from(json.at("beta_over_g"));
  w.reproduce = json.at("reproduce");
  if (json.contains("channels")) w.channels = channels_from(json.at("channels"));
  return w;
}

/// `likely` is for readers; it follows from the rest.
Json diagnosis_json(const Diagnosis& d) {
  Json json{{"cases", d.cases}, {"likely", Json::array()}, {"explanations", Json::array()}};
  for (const Explanation& one : d.likely()) json["likely"].push_back(one.name);
  for (const Explanation& one : d.explanations)
    json["explanations"].push_back({{"name", one.name},
                                    {"sentence", one.sentence},
                                    {"cases", one.cases},
                                    {"partial", one.partial},
                                    {"by_marks", one.by_marks},
                                    {"bits", number(one.bits)},
                                    {"numbers", number(one.numbers)},
                                    {"by_contract", one.by_contract}});
  return json;
}

Diagnosis diagnosis_from(const Json& json) {
  Diagnosis d;
  d.cases = count_from(json.at("cases"));
  for (const Json& one : json.at("explanations"))
    d.explanations.push_back({one.at("name"), one.at("sentence"), count_from(one.at("cases")),
                              count_from(one.at("partial")), one.at("by_marks"),
                              number_from(one.at("bits")), number_from(one.at("numbers")),
                              one.at("by_contract")});
  return d;
}

Json traffic_json(const std::vector<CallTraffic>& calls) {
  Json json = Json::array();
  for (const CallTraffic& call : calls) {
    Json buffers = Json::array();
    for (const BufferTraffic& b : call.buffers) {
      buffers.push_back({{"buffer", b.buffer},
                         {"tensor", b.tensor},
                         {"bytes", b.bytes},
                         {"bytes_loaded", b.loaded},
                         {"bytes_stored", b.stored},
                         {"load_requests", b.load_requests},
                         {"store_requests", b.store_requests},
                         {"load_sectors", b.load_sectors},
                         {"store_sectors", b.store_sectors},
                         {"atomics", b.atomics}});
      if (b.claimed_loads >= 0)
        buffers.back().update(
            {{"claimed_loads", b.claimed_loads}, {"claimed_stores", b.claimed_stores}});
    }
    json.push_back({{"mode", call.mode},
                    {"problem", call.problem},
                    {"elements", call.elements},
                    {"buffers", buffers}});
  }
  return json;
}

std::vector<CallTraffic> traffic_from(const Json& json) {
  std::vector<CallTraffic> calls;
  for (const Json& one : json) {
    CallTraffic call{one.at("mode"), one.at("problem"), count_from(one.at("elements")), {}};
    for (const Json& b : one.at("buffers")) {
      BufferTraffic buffer;
      buffer.buffer = b.at("buffer");
      buffer.tensor = b.at("tensor");
      buffer.bytes = count_from(b.at("bytes"));
      buffer.loaded = count_from(b.at("bytes_loaded")),
      buffer.stored = count_from(b.at("bytes_stored"));
      buffer.load_requests = count_from(b.at("load_requests")),
      buffer.store_requests = count_from(b.at("store_requests"));
      buffer.load_sectors = count_from(b.at("load_sectors")),
      buffer.store_sectors = count_from(b.at("store_sectors"));
      buffer.atomics = count_from(b.at("atomics"));
      if (b.contains("claimed_loads")) {
        buffer.claimed_loads = whole_from<int>(b.at("claimed_loads"), "a count");
        buffer.claimed_stores = whole_from<int>(b.at("claimed_stores"), "a count");
      }
      call.buffers.push_back(std::move(buffer));
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

Json kinds_json(const std::vector<CaseKind>& kinds) {
  Json json = Json::array();
  for (const CaseKind& k : kinds)
    json.push_back({{"mode", k.mode},
                    {"activation", k.activation},
                    {"samples", k.samples},
                    {"channels", k.channels},
                    {"cases", k.cases},
                    {"telling", k.telling},
                    {"empty", k.empty},
                    {"m", {k.least_m, k.most_m}},
                    {"c", {k.least_c, k.most_c}},
                    {"claims", k.claims}});
  return json;
}

std::vector<CaseKind> kinds_from(const Json& json) {
  std::vector<CaseKind> kinds;
  for (const Json& one : json)
    kinds.push_back(
        {one.at("mode"), one.at("activation"), whole_from<int>(one.at("samples"), "a count"),
         whole_from<int>(one.at("channels"), "a count"), count_from(one.at("cases")),
         count_from(one.at("telling")), count_from(one.at("empty")), index_from(one.at("m").at(0)),
         index_from(one.at("m").at(1)), index_from(one.at("c").at(0)),
         index_from(one.at("c").at(1)), one.at("claims")});
  return kinds;
}

}  // namespace

Json record_json(const Record& r) {
  Json json{{"id", r.id},
            {"variant", r.variant},
            {"op", r.op},
            {"dtype", r.dtype},
            {"layout", r.layout},
            {"check", r.check},
            {"kind", kind_name(r.kind)},
            {"verdict", verdict_name(r.verdict)},
            {"reason", r.reason},
            {"cases", r.cases},
            {"failed_cases", r.failed_cases},
            {"skipped_cases", r.skipped_cases},
            {"discriminating_cases", r.discriminating_cases},
            {"method_limited_cases", r.method_limited_cases},
            {"cancelled_cases", r.cancelled_cases},
            {"constant_dz_cases", r.constant_dz_cases}};
  if (r.evaluations.forward + r.evaluations.backward > 0)
    json["evaluations"] = {{"forward", r.evaluations.forward},
                           {"backward", r.evaluations.backward}};
  if (r.kind != CheckKind::contract) {
    json["fit"] = r.tally.max_fit_ratio <= 1;
    json["tally"] = tally_json(r.tally);
    if (r.bias.cases > 0)
      json["bias"] = {{"cases", r.bias.cases},
                      {"up", {number(r.bias.up.sum), number(r.bias.up.squares)}},
                      {"outward", {number(r.bias.outward.sum), number(r.bias.outward.squares)}}};
  }
  if (r.diagnosis.cases > 0) json["diagnosis"] = diagnosis_json(r.diagnosis);
  json["witnesses"] = Json::array();
  for (const auto& w : r.witnesses) json["witnesses"].push_back(witness_json(w));
  if (r.has_end_to_end)
    json["end_to_end"] = {{"verdict", r.unsafe_cases > 0 ? "unsafe in place" : "safe"},
                          {"cost", number(r.end_to_end_cost)},
                          {"unsafe_cases", r.unsafe_cases},
                          {"open_branches", r.open_branches},
                          {"tally", tally_json(r.end_to_end)}};
  if (r.sampled_cases > 0) json["sampled"] = {{"cases", r.sampled_cases}, {"of", r.sampled}};
  if (!r.kinds.empty()) json["kinds"] = kinds_json(r.kinds);
  if (!r.traffic.empty()) json["traffic"] = traffic_json(r.traffic);
  return json;
}

Record record_from(const Json& json) {
  Record r;
  r.id = json.at("id");
  r.variant = json.at("variant");
  r.op = json.at("op");
  r.dtype = json.at("dtype");
  r.layout = json.at("layout");
  r.check = json.at("check");
  const std::string kind = json.at("kind");
  if (!is_kind_name(kind)) refuse(json.at("kind"), "\"numbers\", \"property\" or \"contract\"");
  r.kind = kind_from_name(kind);
  const auto verdict = json.at("verdict").get<std::string>();
  bool known = false;
  for (const Verdict v :
       {Verdict::pass, Verdict::fail, Verdict::inconclusive, Verdict::skip, Verdict::error})
    if (verdict == verdict_name(v)) r.verdict = v, known = true;
  if (!known) refuse(json.at("verdict"), "a verdict");
  r.reason = json.at("reason");
  r.cases = count_from(json.at("cases"));
  r.failed_cases = count_from(json.at("failed_cases"));
  r.skipped_cases = count_from(json.at("skipped_cases"));
  r.discriminating_cases = count_from(json.at("discriminating_cases"));
  r.method_limited_cases = count_from(json.at("method_limited_cases"));
  r.cancelled_cases = count_from(json.at("cancelled_cases"));
  r.constant_dz_cases = count_from(json.at("constant_dz_cases"));
  if (json.contains("evaluations")) {
    const Json& evaluations = json.at("evaluations");
    r.evaluations = {count_from(evaluations.at("forward")), count_from(evaluations.at("backward"))};
  }
  if (json.contains("tally")) r.tally = tally_from(json.at("tally"));
  if (json.contains("diagnosis")) r.diagnosis = diagnosis_from(json.at("diagnosis"));
  if (json.contains("bias")) {
    const Json& bias = json.at("bias");
    const auto lean = [](const Json& pair) {
      return compare::Lean{number_from(pair.at(0)), number_from(pair.at(1))};
    };
    r.bias = {count_from(bias.at("cases")), lean(bias.at("up")), lean(bias.at("outward"))};
  }
  for (const auto& w : json.at("witnesses")) r.witnesses.push_back(witness_from(w));
  if (json.contains("sampled")) {
    r.sampled_cases = count_from(json.at("sampled").at("cases"));
    r.sampled = json.at("sampled").at("of");
  }
  if (json.contains("kinds")) r.kinds = kinds_from(json.at("kinds"));
  if (json.contains("traffic")) r.traffic = traffic_from(json.at("traffic"));
  if (json.contains("end_to_end")) {
    const Json& end = json.at("end_to_end");
    r.has_end_to_end = true;
    r.end_to_end_cost = number_from(end.at("cost"));
    r.unsafe_cases = count_from(end.at("unsafe_cases"));
    if (end.contains("open_branches")) r.open_branches = count_from(end.at("open_branches"));
    r.end_to_end = tally_from(end.at("tally"));
  }
  return r;
}

Json raw_record_json(const Record& record) {
  Json json = record_json(record);
  if (!json.contains("tally")) json["tally"] = tally_json(record.tally);
  return json;
}

}  // namespace abn::verify::results
