// The table of all forms, signatures as text made into patterns, and modifiers that change nothing.
#include <stdexcept>
#include <unordered_map>

#include "cuda/ptx/state/form.hpp"

namespace abn::ptx {
namespace {

Pattern parse_pattern(std::string_view text) {
  Pattern pattern;
  const auto take_if = [&](char letter) {
    if (!text.starts_with(letter)) return false;
    text.remove_prefix(1);
    return true;
  };
  pattern.optional = take_if('?'), pattern.result = take_if('=');
  if (take_if('@')) {
    pattern.kind = Pattern::Kind::address, pattern.bytes = 8;
  } else if (take_if('G')) {
    pattern.kind = Pattern::Kind::address, pattern.bytes = 8, pattern.global = true;
  } else if (take_if('L')) {
    pattern.kind = Pattern::Kind::label;
  } else if (take_if('#')) {
    pattern.kind = Pattern::Kind::constant;
  } else if (take_if('p')) {
    pattern.bytes = 0;
  } else {
    pattern.bytes = static_cast<std::uint8_t>(text.at(0) - '0');
    text.remove_prefix(1);
    if (take_if('x')) {
      pattern.count = static_cast<std::uint8_t>(text.at(0) - '0');
      text.remove_prefix(1);
    }
    pattern.wider = take_if('+');
  }
  pattern.pair = take_if('|');
  if (!text.empty()) throw std::logic_error("a signature that cannot be read");
  return pattern;
}

/// Modifiers that only say where data should be kept, and those of the order of accesses: lanes
/// and warps run one after another here, so that every access is as strong as any.
bool changes_nothing(std::string_view modifier, std::uint8_t& flags) {
  static constexpr std::string_view hints[] = {"ca",
                                               "cg",
                                               "cs",
                                               "lu",
                                               "cv",
                                               "wb",
                                               "wt",
                                               "L1::evict_normal",
                                               "L1::evict_unchanged",
                                               "L1::evict_first",
                                               "L1::evict_last",
                                               "L1::no_allocate",
                                               "L2::evict_first",
                                               "L2::evict_last",
                                               "L2::evict_normal",
                                               "L2::64B",
                                               "L2::128B",
                                               "L2::256B",
                                               "weak",
                                               "cluster",
                                               "gpu",
                                               "sys"};
  static constexpr std::string_view orders[] = {"acquire", "release", "acq_rel", "relaxed",
                                                "volatile"};
  for (const std::string_view hint : hints)
    if (modifier == hint) return true;
  for (const std::string_view order : orders)
    if (modifier == order) {
      flags |= flag_ordered;
      if (order == "release" || order == "acq_rel") flags |= flag_releases;
      if (order == "acquire" || order == "acq_rel") flags |= flag_acquires;
      return true;
    }
  if (modifier == "cta") {
    flags |= flag_of_block;
    return true;
  }
  if (modifier == "nc") {
    flags |= flag_non_coherent;
    return true;
  }
  if (modifier == "L2::cache_hint") {
    flags |= flag_cache_hint;
    return true;
  }
  return false;
}

std::vector<Form> make_forms() {
  Table table;
  add_integer_forms(table), add_float_forms(table), add_half_forms(table);
  add_comparison_forms(table), add_logic_forms(table), add_move_forms(table);
  add_integer_conversion_forms(table), add_float_conversion_forms(table);
  add_approximate_forms(table), add_memory_forms(table), add_address_forms(table);
  add_atomic_forms(table), add_warp_forms(table), add_copy_forms(table);
  add_mbarrier_forms(table), add_bulk_forms(table), add_control_forms(table);
  return table.all();
}

class Index {
 public:
  explicit Index(const std::vector<Form>& forms) {
    for (const Form& form : forms)
      if (!by_name_.emplace(form.name, &form).second)
        throw std::logic_error("two rows of one form: " + form.name);
  }
  const Form* find(std::string_view name) const {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : at->second;
  }

 private:
  std::unordered_map<std::string_view, const Form*> by_name_;
};

}  // namespace

Form& Table::add(std::string name, std::string signature, Handler handler, Control control) {
  Form form;
  form.name = std::move(name), form.handler = handler, form.control = control;
  for (std::size_t at = 0; at < signature.size();) {
    const std::size_t end = std::min(signature.find(' ', at), signature.size());
    form.operands.push_back(parse_pattern(std::string_view(signature).substr(at, end - at)));
    at = end + 1;
  }
  form.signature = std::move(signature);
  forms_.push_back(std::move(form));
  return forms_.back();
}

Normalised normalise(std::string_view opcode) {
  Normalised result;
  const std::size_t first = opcode.find('.');
  const std::string_view head = opcode.substr(0, first);
  result.name = head;
  if (first == opcode.npos) return result;
  const bool access =
      head == "ld" || head == "st" || head == "atom" || head == "red" || head == "mbarrier";
  const bool moves_space = head == "atom" || head == "red";  // inline PTX puts it behind others
  std::string space;
  for (std::size_t at = first + 1; at <= opcode.size();) {
    const std::size_t end = std::min(opcode.find('.', at), opcode.size());
    const std::string_view modifier = opcode.substr(at, end - at);
    const bool dropped =
        (access && changes_nothing(modifier, result.flags)) ||
        (head == "cp" && modifier.starts_with("L2::") && changes_nothing(modifier, result.flags));
    if (moves_space && (modifier == "global" || modifier.starts_with("shared"))) {
      space = '.';
      space += modifier == "shared::cta" ? "shared" : modifier;
    } else if (!dropped) {
      // Shared memory is that of the block, unless it says otherwise.
      result.name += '.';
      result.name += modifier == "shared::cta" && access ? "shared" : modifier;
    }
    at = end + 1;
  }
  if (!space.empty()) result.name.insert(head.size(), space);
  return result;
}

const std::vector<Form>& all_forms() {
  static const std::vector<Form> forms = make_forms();
  return forms;
}

const Form* find_form(std::string_view name) {
  static const Index index(all_forms());
  return index.find(name);
}

const std::vector<Form>& all_fused_forms() {
  static const std::vector<Form> forms = [] {
    Table table;
    add_fused_float_forms(table), add_fused_half_forms(table);
    return table.all();
  }();
  return forms;
}

const Form* find_fused_form(std::string_view name) {
  static const Index index(all_fused_forms());
  return index.find(name);
}

}  // namespace abn::ptx
