// The model of a form, whichever file has it, and when a result is the model's.
#include "tests/ptx/form_model.hpp"

#include "tests/ptx/exact.hpp"

namespace abn::ptx::test {
namespace {

bool of_one_lane(const Form& form) {
  if (form.control != Control::none || form.operands.empty()) return false;
  for (const Pattern& pattern : form.operands)
    if (pattern.kind != Pattern::Kind::value || pattern.count != 1) return false;
  return form.operands.front().result && form.name.find("activemask") == std::string::npos;
}

}  // namespace

std::optional<FormModel> model_of(const Form& form) {
  if (!of_one_lane(form)) return {};
  for (const auto& find : {integer_model, float_model, conversion_model})
    if (std::optional<FormModel> model = find(form.name)) return model;
  return {};
}

bool same(Match match, std::uint64_t got, std::uint64_t wanted) {
  if (got == wanted) return true;
  const auto both_nan = [&](const Format& f, std::uint64_t a, std::uint64_t b) {
    return is_nan(f, a) && is_nan(f, b);
  };
  const auto halves = [&](const Format& f) {
    for (unsigned at = 0; at < 32; at += 16)
      if ((got >> at & 0xffff) != (wanted >> at & 0xffff) &&
          !both_nan(f, got >> at & 0xffff, wanted >> at & 0xffff))
        return false;
    return true;
  };
  switch (match) {
    case Match::bits:
      return false;
    case Match::as_f16:
      return both_nan(f16, got, wanted);
    case Match::as_bf16:
      return both_nan(bf16, got, wanted);
    case Match::as_f32:
      return both_nan(f32, got, wanted);
    case Match::as_f64:
      return both_nan(f64, got, wanted);
    case Match::as_f16x2:
      return halves(f16);
    case Match::as_bf16x2:
      return halves(bf16);
  }
  return false;
}

}  // namespace abn::ptx::test
