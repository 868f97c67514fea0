// results.json, both ways. The same results have the same bytes.
#include <fmt/format.h>

#include "verify/problem/foreign_json.hpp"
#include "verify/results/record_json.hpp"

namespace abn::verify::results {

Json provenance_json(const Provenance& p) {
  Json json{{"version", p.version}, {"git", p.git},           {"dirty", p.dirty},
            {"command", p.command}, {"compiler", p.compiler}, {"cuda", p.cuda},
            {"driver", p.driver},   {"device", p.device},     {"tier", p.tier},
            {"seed", p.seed},       {"time", p.time},         {"seconds", number(p.seconds)}};
  for (const FileHash& file : p.files)
    json["files"].push_back({{"role", file.role}, {"name", file.name}, {"sha256", file.sha256}});
  return json;
}

Provenance provenance_from(const Json& json) {
  Provenance p;
  p.version = json.at("version");
  p.git = json.at("git");
  p.dirty = json.at("dirty");
  p.command = json.at("command");
  p.compiler = json.at("compiler");
  p.cuda = json.at("cuda");
  p.driver = json.at("driver");
  p.device = json.at("device");
  p.tier = json.at("tier");
  p.seed = count_from(json.at("seed"));
  p.time = json.at("time");
  p.seconds = number_from(json.at("seconds"));
  if (json.contains("files"))
    for (const Json& one : json.at("files"))
      p.files.push_back({one.at("role"), one.at("name"), one.at("sha256")});
  return p;
}

Json variant_json(const VariantInfo& variant) {
  Json claims = Json::object();
  for (const auto& [name, value] : variant.claims) claims[name] = value;
  Json json{{"name", variant.name},
            {"summary", variant.summary},
            {"memory", variant.memory},
            {"claims", claims}};
  if (!variant.unneeded.empty()) json["unneeded_claims"] = variant.unneeded;
  if (!variant.moved.empty()) json["moved_cases"] = variant.moved;
  if (!variant.process.empty()) json["process"] = variant.process;
  if (!variant.printed.empty()) json["printed"] = variant.printed;
  if (!variant.libraries.empty()) json["libraries"] = variant.libraries;
  return json;
}

VariantInfo variant_from(const Json& json) {
  VariantInfo info{json.at("name"), json.at("summary"), json.at("memory"), {}, {}};
  for (const auto& [name, value] : json.at("claims").items())
    info.claims.emplace_back(problem::printable(name), value.get<std::string>());
  if (json.contains("moved_cases")) info.moved = json.at("moved_cases");
  if (json.contains("process")) info.process = json.at("process");
  if (json.contains("printed")) info.printed = json.at("printed");
  if (json.contains("libraries"))
    info.libraries = json.at("libraries").get<std::vector<std::string>>();
  if (json.contains("unneeded_claims"))
    for (const auto& sentence : json.at("unneeded_claims"))
      info.unneeded.push_back(sentence.get<std::string>());
  return info;
}

std::string to_json(const Results& results) {
  const Summary sum = summarise(results);
  Json json{{"schema", results_schema},
            {"headline", headline(results)},
            {"provenance", provenance_json(results.provenance)},
            {"summary",
             {{"pass", sum.pass},
              {"fail", sum.fail},
              {"inconclusive", sum.inconclusive},
              {"skip", sum.skip},
              {"error", sum.error},
              {"cases", sum.cases},
              {"elements", sum.elements},
              {"unfit", sum.unfit},
              {"unsafe_in_place", sum.unsafe}}}};
  if (!results.unfinished.empty()) json["unfinished"] = results.unfinished;
  if (!results.left_out.empty()) json["left_out"] = results.left_out;
  json["variants"] = Json::array();
  for (const auto& variant : results.variants) json["variants"].push_back(variant_json(variant));
  json["checks"] = Json::array();
  for (const auto& record : results.records) json["checks"].push_back(record_json(record));
  // Names of files may hold bytes that are no UTF-8; they are replaced rather than allowed to end
  // the run.
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// Nobody's verdict is believed against its own counts.
static void refuse_contradiction(const Record& r) {
  if (r.verdict == Verdict::pass && (r.tally.failed > 0 || r.failed_cases > 0))
    throw problem::UsageError(fmt::format(
        "The record {} says pass and has {} failed elements in {} failed cases; write the results "
        "again with abn-verify run --out",
        r.id, r.tally.failed, r.failed_cases));
}

Results results_from_json(const std::string& text) {
  try {
    const Json json = problem::parse_foreign_json(text);
    if (!json.is_object() || !json.contains("schema") || json.at("schema") != results_schema)
      throw problem::UsageError(
          fmt::format("This is not a result of schema {}; write it again with this version of run",
                      results_schema));
    Results results;
    if (json.contains("unfinished")) results.unfinished = json.at("unfinished");
    if (json.contains("left_out")) results.left_out = json.at("left_out");
    results.provenance = provenance_from(json.at("provenance"));
    for (const auto& one : json.at("variants")) results.variants.push_back(variant_from(one));
    for (const auto& one : json.at("checks")) {
      results.records.push_back(record_from(one));
      refuse_contradiction(results.records.back());
    }
    return results;
  } catch (const nlohmann::json::exception& wrong) {
    throw problem::UsageError(
        fmt::format("This is not a file of results ({}); write one with abn-verify run --out",
                    problem::complaint(wrong)));
  }
}

}  // namespace abn::verify::results
