// Plots as inline SVG, drawn by gnuplot in a process of its own; text and lines take their colours
// from the page that shows them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace abn::verify::report {

/// What to draw. `commands` are gnuplot's, without `set terminal` and `set output`; every name in
/// them that comes from elsewhere has gone through plot_label.
struct PlotScript {
  /// letters and digits; prefix of every id inside the SVG, so that one page can hold many
  std::string name;
  std::string description;  ///< for those who cannot see it
  int width = 640, height = 400;
  std::string commands;
};

/// The drawn SVG element, or an empty string and one sentence that says why there is none and what
/// to do.
struct Plot {
  std::string svg;
  std::string problem;
};

/// A colour of the page in a script: `lc rgb "#..."` for the CSS variable --NAME of
/// plot_colours()[i].
std::string plot_colour(std::string_view css_name);
const std::vector<std::string>& plot_colours();

/// `text` with every byte but letters, digits and " _./:+-" replaced by '?': neither gnuplot nor
/// SVG finds anything to interpret in it.
std::string plot_label(std::string_view text);

/// Runs gnuplot without a shell, without the user's start-up files and with a time limit.
Plot draw(const PlotScript& script);

}  // namespace abn::verify::report
