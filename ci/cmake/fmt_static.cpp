// fmt's out-of-line half, compiled once from the distribution's headers: Debian ships libfmt as a
// shared object only, and build/bin has to run on machines that do not have it. Header-only use in
// every file would cost 3 s a file.
#define FMT_HEADER_ONLY 1
#include <fmt/format.h>

#include <fmt/ostream.h>

template FMT_API auto fmt::detail::thousands_sep_impl<char>(locale_ref)
    -> thousands_sep_result<char>;
template FMT_API auto fmt::detail::decimal_point_impl<char>(locale_ref) -> char;

namespace abn {
// Taking the address of each function that the compiled library exports makes the compiler emit it
// here.
extern const void* const fmt_exports[];
const void* const fmt_exports[] = {
    reinterpret_cast<const void*>(
        static_cast<std::string (*)(fmt::string_view, fmt::format_args)>(&fmt::vformat)),
    reinterpret_cast<const void*>(
        static_cast<void (*)(std::FILE*, fmt::string_view, fmt::format_args)>(&fmt::vprint)),
    reinterpret_cast<const void*>(
        static_cast<void (*)(fmt::string_view, fmt::format_args)>(&fmt::vprint)),
};
}  // namespace abn
