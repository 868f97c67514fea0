// The lines of a journal, both ways.
#include "verify/results/journal_entries.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "verify/problem/error.hpp"
#include "verify/problem/json_depth.hpp"
#include "verify/results/record_json.hpp"
#include "verify/results/sha256.hpp"

namespace abn::verify::results {
namespace {

constexpr const char* journal_schema = "abn-verify-journal/1";
constexpr std::string_view before_hash = "{\"sha256\":\"", before_entry = "\",\"entry\":";
constexpr std::size_t hash_letters = 16;

std::string hash_of(std::string_view entry) { return sha256(entry).substr(0, hash_letters); }

/// The entry of a whole line without its newline; empty for one that is not whole.
std::string_view entry_of(std::string_view line) {
  constexpr std::size_t begin = before_hash.size() + hash_letters + before_entry.size();
  if (line.size() <= begin || !line.starts_with(before_hash) || !line.ends_with('}') ||
      line.substr(before_hash.size() + hash_letters, before_entry.size()) != before_entry)
    return {};
  const std::string_view entry = line.substr(begin, line.size() - begin - 1);
  return line.substr(before_hash.size(), hash_letters) == hash_of(entry) ? entry
                                                                         : std::string_view();
}

/// Arguments and paths are bytes, and JSON is text: what is not printable ASCII is written as %XX.
std::string escaped(const std::string& bytes) {
  std::string text;
  for (const unsigned char byte : bytes)
    text += byte < ' ' || byte >= 0x7f || byte == '%' ? fmt::format("%{:02x}", byte)
                                                      : std::string(1, static_cast<char>(byte));
  return text;
}

std::string unescaped(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '%' && i + 2 < text.size()) {
      bytes += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      bytes += text[i];
    }
  return bytes;
}

Json losses_json(const std::vector<worker::Losses>& all) {
  Json json = Json::array();
  for (const worker::Losses& one : all) {
    Json variants = Json::array();
    for (const auto& own : one.variants)
      variants.push_back({{"build", own.build},
                          {"index", own.index},
                          {"lost", own.lost},
                          {"questions", own.questions},
                          {"first", own.first}});
    json.push_back({{"workers", one.workers}, {"variants", variants}});
  }
  return json;
}

std::vector<worker::Losses> losses_from(const Json& json) {
  std::vector<worker::Losses> all;
  for (const Json& one : json) {
    worker::Losses losses;
    losses.workers = static_cast<int>(count_from(one.at("workers")));
    for (const Json& own : one.at("variants"))
      losses.variants.push_back({static_cast<std::uint32_t>(count_from(own.at("build"))),
                                 static_cast<std::uint32_t>(count_from(own.at("index"))),
                                 static_cast<int>(count_from(own.at("lost"))),
                                 static_cast<int>(count_from(own.at("questions"))),
                                 own.at("first")});
    all.push_back(std::move(losses));
  }
  return all;
}

JournalHeader header_from(const Json& json, const std::string& name) {
  if (json.value("schema", "") != journal_schema)
    throw problem::UsageError(
        fmt::format("{} is not a journal of schema {}; start the run again with this version", name,
                    journal_schema));
  JournalHeader header;
  for (const Json& word : json.at("arguments"))
    header.arguments.push_back(unescaped(word.get<std::string>()));
  header.folder = unescaped(json.at("folder").get<std::string>());
  header.provenance = provenance_from(json.at("provenance"));
  for (const Json& one : json.at("inputs"))
    header.inputs.push_back({one.at("role"), unescaped(one.at("name").get<std::string>()),
                             one.at("sha256").get<std::string>()});
  for (const Json& one : json.at("variants")) header.variants.push_back(variant_from(one));
  for (const Json& one : json.at("parts")) header.parts.push_back(one.get<std::string>());
  header.resumable = json.at("resumable");
  return header;
}

Standing standing_from(const Json& json) {
  Standing standing;
  standing.part = json.at("part");
  standing.done = count_from(json.at("done")), standing.of = count_from(json.at("of"));
  standing.seconds = number_from(json.at("seconds"));
  standing.losses = losses_from(json.at("losses"));
  for (const Json& one : json.at("records")) standing.records.push_back(record_from(one));
  return standing;
}

void take(JournalContents& contents, std::string_view entry, const std::string& name) {
  if (problem::json_depth(entry) > problem::deepest_json)
    throw problem::UsageError(
        fmt::format("{} is nested too deep for a journal; start the run again", name));
  const Json json = Json::parse(entry);
  if (count_from(json.at("number")) != contents.entries)
    throw problem::UsageError(fmt::format(
        "{} has an entry {} where entry {} belongs, so it is damaged; start the run again", name,
        json.at("number").dump(), contents.entries));
  if (contents.entries++ == 0) {
    contents.header = header_from(json, name);
    return;
  }
  Standing standing = standing_from(json);
  contents.seconds = standing.seconds, contents.losses = standing.losses;
  contents.standings[standing.part] = std::move(standing);
}

std::string line_of(const Json& json) {
  const std::string entry = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return fmt::format("{}{}{}{}}}\n", before_hash, hash_of(entry), before_entry, entry);
}

}  // namespace

std::string journal_line(const JournalHeader& header) {
  Json json{{"number", 0},
            {"schema", journal_schema},
            {"arguments", Json::array()},
            {"folder", escaped(header.folder)},
            {"provenance", provenance_json(header.provenance)},
            {"inputs", Json::array()},
            {"variants", Json::array()},
            {"parts", header.parts},
            {"resumable", header.resumable}};
  for (const std::string& word : header.arguments) json["arguments"].push_back(escaped(word));
  for (const FileHash& file : header.inputs)
    json["inputs"].push_back(
        {{"role", file.role}, {"name", escaped(file.name)}, {"sha256", file.sha256}});
  for (const VariantInfo& variant : header.variants)
    json["variants"].push_back(variant_json(variant));
  return line_of(json);
}

std::string journal_line(const Standing& standing, std::uint64_t number_of_entry) {
  Json json{{"number", number_of_entry},   {"part", standing.part},
            {"done", standing.done},       {"of", standing.of},
            {"seconds", standing.seconds}, {"losses", losses_json(standing.losses)},
            {"records", Json::array()}};
  for (const Record& record : standing.records) json["records"].push_back(raw_record_json(record));
  return line_of(json);
}

bool is_journal(std::string_view text) { return text.starts_with(before_hash); }

JournalContents journal_from_text(const std::string& text, const std::string& name) {
  JournalContents contents;
  std::uint64_t torn_line = 0;
  try {
    for (std::size_t begin = 0, line = 1; begin < text.size(); ++line) {
      const std::size_t end = text.find('\n', begin);
      const bool ends = end != std::string::npos;
      const std::string_view entry =
          ends ? entry_of(std::string_view(text).substr(begin, end - begin)) : std::string_view();
      if (entry.empty()) {
        if (torn_line == 0) torn_line = line;
      } else if (torn_line != 0) {
        throw problem::UsageError(fmt::format(
            "Line {} of {} is damaged, and whole lines stand behind it; start the run again",
            torn_line, name));
      } else {
        take(contents, entry, name);
        contents.bytes = end + 1;
      }
      begin = ends ? end + 1 : text.size();
    }
  } catch (const nlohmann::json::exception& wrong) {
    throw problem::UsageError(
        fmt::format("{} is not the journal of a run ({}); start it again", name, wrong.what()));
  } catch (const std::logic_error& wrong) {  // std::stoi, of a % that nothing follows
    throw problem::UsageError(
        fmt::format("{} is not the journal of a run ({}); start it again", name, wrong.what()));
  }
  if (contents.entries == 0)
    throw problem::UsageError(
        fmt::format("{} is not the journal of a run, or its first line is damaged; start the run "
                    "again",
                    name));
  return contents;
}

}  // namespace abn::verify::results
