// Records, provenance and variants as JSON values, for results.json and for the journal of a run.
//
// Readers throw nlohmann::json::exception for what has not the right shape, and UsageError for what
// has and cannot be.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "verify/results/results.hpp"

namespace abn::verify::results {

using Json = nlohmann::ordered_json;

/// NaN and infinities as strings.
Json number(double value);
double number_from(const Json& json);
std::uint64_t count_from(const Json& json);

/// What a file of this schema cannot hold is refused and never read as something else, least of all
/// as a NaN or a 0.
[[noreturn]] void refuse(const Json& json, const char* expected);

/// As results.json has it, concluded.
Json record_json(const Record& record);
/// Of one that more will be added to: nothing that a sum needs is left out.
Json raw_record_json(const Record& record);
Record record_from(const Json& json);

Json provenance_json(const Provenance& provenance);
Provenance provenance_from(const Json& json);

Json variant_json(const VariantInfo& variant);
VariantInfo variant_from(const Json& json);

}  // namespace abn::verify::results
