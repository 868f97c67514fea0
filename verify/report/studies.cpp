// The section of the studies: sentences, heat maps with the predicted boundary drawn in, and
// tables.
//
// A heat map has a cell a grid point, coloured by the decade of what was measured: blue up to the
// threshold, orange to red above it. The line runs along the edges of cells, between those whose
// prediction is up to the threshold and those whose is above.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "verify/report/heat_map.hpp"
#include "verify/report/parts.hpp"
#include "verify/report/plot.hpp"

namespace abn::verify::report {
namespace {

constexpr int width = 640, height = 330, left = 74, right = 118, top = 14, bottom = 50;
constexpr int classes = 7;
constexpr std::array<const char*, classes> colours{"heat1", "heat2", "heat3", "heat4",
                                                   "cost1", "cost2", "cost3"};
constexpr int classes_below = 4;  // of the threshold; the others are above it, a decade each

/// Which colour a value has; values that are no number have the worst.
int class_of(double value, double threshold) {
  if (!(value < std::numeric_limits<double>::infinity())) return classes - 1;
  for (int k = 0; k < classes - 1; ++k)
    if (value <= threshold * std::pow(10.0, k + 1 - classes_below)) return k;
  return classes - 1;
}

std::string superscript(int exponent) {
  constexpr std::array<const char*, 10> digits{"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "⁻" : "";
  for (const char digit : std::to_string(std::abs(exponent)))
    text += digits[static_cast<std::size_t>(digit - '0')];
  return text;
}

/// Tics at whole decades, thinned to a dozen; a few values have one each.
std::string tics(const std::vector<double>& values) {
  constexpr std::size_t few = 6;
  if (values.size() <= few) {
    std::string text;
    for (const double value : values)
      text += fmt::format("{}\"{:g}\" {:.5g}", text.empty() ? "" : ", ", value, std::log10(value));
    return text;
  }
  const int low = static_cast<int>(std::ceil(std::log10(values.front()) - 1e-9)),
            high = static_cast<int>(std::floor(std::log10(values.back()) + 1e-9));
  std::string text;
  const int step = std::max(1, (high - low + 11) / 12);
  for (int power = low; power <= high; power += step)
    text += fmt::format("{}\"{}\" {}", text.empty() ? "" : ", ",
                        power == 0   ? "1"
                        : power == 1 ? "10"
                                     : "10" + superscript(power),
                        power);
  return text;
}

/// Edges between the grid points of an axis, in log10; half a step beyond the ends.
std::vector<double> edges(const std::vector<double>& values) {
  std::vector<double> logs, out;
  for (const double value : values) logs.push_back(std::log10(value));
  const double half = logs.size() > 1 ? (logs[1] - logs[0]) / 2 : 0.5;
  out.push_back(logs.front() - half);
  for (std::size_t i = 1; i < logs.size(); ++i) out.push_back((logs[i - 1] + logs[i]) / 2);
  out.push_back(logs.back() + (logs.size() > 1 ? (logs.back() - logs[logs.size() - 2]) / 2 : 0.5));
  return out;
}

bool drawable(const study::Grid& grid) {
  const auto positive = [](const std::vector<double>& values) {
    return !values.empty() && std::all_of(values.begin(), values.end(), [](double v) {
      return v > 0 && std::isfinite(v);
    }) && std::is_sorted(values.begin(), values.end(), [](double a, double b) { return a <= b; });
  };
  return positive(grid.x.values) && positive(grid.y.values) && grid.threshold > 0;
}

/// Boxes of one colour each, runs of equal cells of a row in one box.
std::string cells(const study::Grid& grid, const std::vector<double>& x,
                  const std::vector<double>& y, std::array<bool, classes>& used) {
  std::array<std::string, classes> blocks;
  const std::size_t columns = grid.x.values.size();
  for (std::size_t row = 0; row < grid.y.values.size(); ++row)
    for (std::size_t begin = 0; begin < columns;) {
      const int which = class_of(grid.measured[row * columns + begin], grid.threshold);
      std::size_t end = begin + 1;
      while (end < columns && class_of(grid.measured[row * columns + end], grid.threshold) == which)
        ++end;
      blocks[static_cast<std::size_t>(which)] +=
          fmt::format("{:.4f} {:.4f} {:.4f} {:.4f} {:.4f} {:.4f}\n", (x[begin] + x[end]) / 2,
                      (y[row] + y[row + 1]) / 2, x[begin], x[end], y[row], y[row + 1]);
      begin = end;
    }
  std::string data;
  for (std::size_t k = 0; k < blocks.size(); ++k) {
    used[k] = !blocks[k].empty();
    if (used[k]) data += fmt::format("$cells{} << EOD\n{}EOD\n", k, blocks[k]);
  }
  return data;
}

/// Segments along the edges where the prediction passes the threshold, straight runs in one piece.
std::string boundary(const study::Grid& grid, const std::vector<double>& x,
                     const std::vector<double>& y) {
  const std::size_t columns = grid.x.values.size(), rows = grid.y.values.size();
  const auto safe = [&](std::size_t row, std::size_t column) {
    return grid.predicted[row * columns + column] <= grid.threshold;
  };
  std::string data;
  const auto add = [&](double x0, double y0, double x1, double y1) {
    data += fmt::format("{:.4f} {:.4f}\n{:.4f} {:.4f}\n\n", x0, y0, x1, y1);
  };
  for (std::size_t column = 1; column < columns; ++column)
    for (std::size_t row = 0; row < rows;) {
      std::size_t end = row;
      while (end < rows && safe(end, column - 1) != safe(end, column)) ++end;
      if (end > row) add(x[column], y[row], x[column], y[end]);
      row = std::max(end, row + 1);
    }
  for (std::size_t row = 1; row < rows; ++row)
    for (std::size_t column = 0; column < columns;) {
      std::size_t end = column;
      while (end < columns && safe(row - 1, end) != safe(row, end)) ++end;
      if (end > column) add(x[column], y[row], x[end], y[row]);
      column = std::max(end, column + 1);
    }
  return data;
}

std::string axis_label(const study::Axis& axis) {
  // A bar is in no name that comes from elsewhere: plot_label takes all but letters and digits, and
  // these are needed as they are.
  std::string text;
  for (const char c : axis.name) text += c == '|' ? "|" : plot_label(std::string(1, c));
  return text + (axis.unit.empty() ? "" : " [" + plot_label(axis.unit) + "]");
}

/// Colours at the right, from the worst at the top, with the values where one becomes the next.
std::string colour_bar(const study::Grid& grid) {
  constexpr double from = 0.24, to = 0.88;  // of the figure's height
  constexpr double bar_left = 1 - (right - 16.0) / width, bar_right = bar_left + 16.0 / width;
  std::string out;
  for (int k = 0; k < classes; ++k) {
    const double low = from + (to - from) * k / classes,
                 high = from + (to - from) * (k + 1) / classes;
    out += fmt::format(
        "set object rectangle from screen {:.5f}, screen {:.5f} to screen {:.5f}, screen {:.5f} "
        "front fs solid noborder fc {}\n",
        bar_left, low, bar_right, high, plot_colour(colours[static_cast<std::size_t>(k)]));
    if (k + 1 < classes)
      out += fmt::format(
          "set label \"{:g}{}\" at screen {:.5f}, screen {:.5f} left textcolor {} front\n",
          grid.threshold * std::pow(10.0, k + 1 - classes_below),
          grid.unit.empty() ? ""
                            : " " + std::string(grid.unit == "%" ? "%" : plot_label(grid.unit)),
          bar_right + 6.0 / width, high, plot_colour(k + 1 == classes_below ? "ink" : "muted"));
  }
  return out +
         fmt::format(
             "set label \"measured\" at screen {:.5f}, screen {:.5f} left textcolor {} front\n",
             bar_left, to + 0.05, plot_colour("muted"));
}

std::string script_of(const study::Grid& grid) {
  const std::vector<double> x = edges(grid.x.values), y = edges(grid.y.values);
  std::array<bool, classes> used{};
  std::string commands = cells(grid, x, y, used);
  const std::string line = boundary(grid, x, y);
  if (!line.empty()) commands += fmt::format("$line << EOD\n{}EOD\n", line);
  const auto share = [](int part, int whole) { return static_cast<double>(part) / whole; };
  commands += fmt::format(
      "set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\nset bmargin at screen "
      "{:.5f}\nset tmargin at screen {:.5f}\nunset "
      "key\nset clip two\n"
      "set border 3 lc {line}\nset tics nomirror\nset xrange [{:.6g}:{:.6g}]\nset yrange "
      "[{:.6g}:{:.6g}]\n"
      "set xtics scale 0.6,0 textcolor {muted} ({})\nset ytics scale 0.6,0 textcolor {muted} ({})\n"
      "set xlabel \"{}\" textcolor {ink} offset 0,0.2\nset ylabel \"{}\" textcolor {ink} offset "
      "0.6,0\n",
      share(left, width), share(width - right, width), share(bottom, height),
      share(height - top, height), x.front(), x.back(), y.front(), y.back(), tics(grid.x.values),
      tics(grid.y.values), axis_label(grid.x), axis_label(grid.y),
      fmt::arg("line", plot_colour("line")), fmt::arg("muted", plot_colour("muted")),
      fmt::arg("ink", plot_colour("ink")));
  commands += colour_bar(grid);
  std::string plotted;
  for (std::size_t k = 0; k < used.size(); ++k)
    if (used[k])
      plotted += fmt::format("{}$cells{} using 1:2:3:4:5:6 with boxxyerror fs solid noborder lc {}",
                             plotted.empty() ? "" : ", ", k, plot_colour(colours[k]));
  if (!line.empty())
    plotted += fmt::format(", $line using 1:2 with lines lw 2.2 lc {}", plot_colour("ink"));
  return commands + "plot " + plotted;
}

std::string cell_text(const study::Cell& cell) {
  const bool number = std::holds_alternative<double>(cell);
  return fmt::format("<td{}>{}</td>", number ? " class=\"number\"" : "",
                     escape(study::show_cell(cell)));
}

std::string table_html(const study::Table& table) {
  std::vector<study::Head> heads;
  for (const study::Column& column : table.columns) heads.push_back(study::head_of(column));
  const bool grouped = std::any_of(heads.begin(), heads.end(),
                                   [](const study::Head& head) { return !head.group.empty(); });
  // A column of numbers stands at the right, and so do words such as "> 1e+01" among them.
  std::vector<bool> numeric(heads.size(), false);
  for (const auto& row : table.rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      numeric[i] = numeric[i] || std::holds_alternative<double>(row[i]);
  for (std::size_t i = 0; i < heads.size(); ++i) numeric[i] = numeric[i] || !heads[i].group.empty();
  std::string first, second;
  for (std::size_t i = 0; i < heads.size();) {
    std::size_t end = i + 1;
    while (end < heads.size() && !heads[i].group.empty() && heads[end].group == heads[i].group)
      ++end;
    first += heads[i].group.empty()
                 ? "<td></td>"
                 : fmt::format("<th colspan=\"{}\" scope=\"colgroup\" class=\"number\">{}</th>",
                               end - i, escape(heads[i].group));
    for (; i < end; ++i)
      second += fmt::format("<th scope=\"col\"{}>{}</th>", numeric[i] ? " class=\"number\"" : "",
                            escape(heads[i].own));
  }
  std::string out = "<div class=\"scroll\"><table class=\"claims study\">\n<thead>" +
                    (grouped ? "<tr>" + first + "</tr>\n" : "") + "<tr>" + second +
                    "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i)
      out += numeric[i]
                 ? fmt::format("<td class=\"number\">{}</td>", escape(study::show_cell(row[i])))
                 : cell_text(row[i]);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n" +
         (table.note.empty() ? "" : fmt::format("<p class=\"note\">{}</p>\n", escape(table.note)));
}

std::string legend_of(const study::Grid& grid) {
  return fmt::format(
      "<span class=\"key\">{} measured, in {}; the line is where {} predicts {:g} {}</span>",
      escape(grid.quantity), escape(grid.unit), escape(grid.predictor), grid.threshold,
      escape(grid.unit));
}

}  // namespace

PlotScript heat_map(const study::Grid& grid, const std::string& name) {
  return {name,
          fmt::format("Heat map: {}, measured, over {} and {}", plot_label(grid.title),
                      plot_label(grid.x.name), plot_label(grid.y.name)),
          width, height, script_of(grid)};
}

std::string studies(std::span<const study::Study> all) {
  std::string out, problem;
  for (std::size_t s = 0; s < all.size(); ++s) {
    const study::Study& study = all[s];
    out += fmt::format("<section class=\"study\">\n<h2>{}</h2>\n<p class=\"note\">{}</p>\n",
                       escape(study.title), escape(study.summary));
    if (!study.conclusions.empty()) {
      out += "<ul class=\"said\">\n";
      for (const std::string& sentence : study.conclusions)
        out += fmt::format("<li>{}</li>\n", escape(sentence));
      out += "</ul>\n";
    }
    std::string figures;
    for (std::size_t i = 0; i < study.grids.size() && problem.empty(); ++i) {
      if (!drawable(study.grids[i])) continue;
      const Plot plot = draw(heat_map(study.grids[i], fmt::format("study{}x{}", s, i)));
      if (plot.svg.empty())
        problem = plot.problem;
      else
        figures += fmt::format("<figure><figcaption><b>{}</b>{}</figcaption>\n{}</figure>\n",
                               escape(study.grids[i].title), legend_of(study.grids[i]), plot.svg);
    }
    if (!figures.empty()) out += "<div class=\"plots\">\n" + figures + "</div>\n";
    for (const study::Table& table : study.tables)
      out += table.detail
                 ? fmt::format("<details class=\"more\"><summary>{}</summary>\n{}</details>\n",
                               escape(table.title), table_html(table))
                 : fmt::format("<h4>{}</h4>\n{}", escape(table.title), table_html(table));
    std::string settings = fmt::format("seed {}", study.seed);
    for (const auto& [name, value] : study.settings)
      settings += fmt::format("; {}: {}", name, value);
    out += fmt::format("<p class=\"note\">{}</p>\n</section>\n", escape(settings));
  }
  if (!problem.empty()) out += fmt::format("<p class=\"note\">{}</p>\n", escape(problem));
  return out;
}

}  // namespace abn::verify::report
