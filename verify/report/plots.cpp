// The two figures of a variant: how its errors are distributed in signed ulp, and how much of its
// bound each check uses.
//
// Signed ulp: one strip a check. The axis is symmetric-logarithmic, position(e) = sign(e) log2(1 +
// 4|e|), nearly linear within half an ulp, where correctly rounded results lie, and logarithmic
// outside. A bin of Tally::ulp_histogram is coloured by its density, the share of elements divided
// by the width on that axis, so that errors spread evenly have an even colour although the bins
// become narrower towards 0. One unit of the axis is an octave far out and ln(2)/4 = 0.17 ulp at 0.
// Ratio: one row a check, the largest on top, a bar from the 99th percentile to the largest, on a
// logarithmic axis with the bound at 1.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string>
#include <vector>

#include "verify/report/parts.hpp"
#include "verify/report/plot.hpp"

namespace abn::verify::report {
namespace {

// what stays readable on one page; the caption says so where rows are left out
constexpr std::size_t most_rows = 80;
constexpr std::size_t own_figure_from = 12;  // variants with fewer checks share one figure
constexpr int row_height = 14, top = 22, bottom = 48, width = 640, right = 26;
// densities at which the next of the five shades begins
constexpr std::array<double, 4> shade_from{1e-4, 1e-3, 1e-2, 1e-1};
constexpr double smallest_ratio_shown = 1e-4, largest_ratio_shown = 1e6;

using Rows = std::vector<const results::Record*>;

double position(double ulp) { return std::copysign(std::log2(1 + 4 * std::fabs(ulp)), ulp); }

/// Position of the edge below each bin, found from ulp_bin itself by bisection, so that the axis
/// cannot disagree with the histogram.
const std::array<double, compare::Tally::ulp_bins + 1>& bin_edges() {
  static const auto edges = [] {
    constexpr double end = 1 << 20;
    constexpr int halvings = 80;  // from 2^21 down to the spacing of doubles near the smallest bins
    std::array<double, compare::Tally::ulp_bins + 1> found{};
    // the outermost bins hold what is saturated: a unit each, to be seen
    found.front() = position(-end) - 1;
    found.back() = position(end) + 1;
    for (int bin = 1; bin < compare::Tally::ulp_bins; ++bin) {
      double below = -end, above = end;
      for (int step = 0; step < halvings; ++step) {
        const double middle = below + (above - below) / 2;
        (compare::ulp_bin(middle) >= bin ? above : below) = middle;
      }
      found[static_cast<std::size_t>(bin)] = position(above);
    }
    return found;
  }();
  return edges;
}

/// The frame that both figures share: `rows` rows downwards and an axis of the given labelled tics.
std::string frame(std::size_t rows, int left, double low, double high, const std::string& tics,
                  const std::string& label) {
  const int height = top + bottom + row_height * static_cast<int>(rows);
  const auto share = [](int part, int whole) { return static_cast<double>(part) / whole; };
  return fmt::format(
      "set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\nset bmargin at screen "
      "{:.5f}\nset tmargin at screen {:.5f}\n"
      "unset key\nset border 1 lc {line}\nset tics nomirror\nset xrange [{:.6g}:{:.6g}]\nset "
      "yrange [{:.1f}:-0.5]\n"
      "set xtics scale 0.6,0 textcolor {muted} ({})\nset xlabel \"{}\" textcolor {ink} offset "
      "0,0.2\n",
      share(left, width), share(width - right, width), share(bottom, height),
      share(height - top, height), low, high, static_cast<double>(rows) - 0.5, tics, label,
      fmt::arg("line", plot_colour("line")), fmt::arg("muted", plot_colour("muted")),
      fmt::arg("ink", plot_colour("ink")));
}

/// Labels of the rows; of a long one its end, where the output stands.
template <class Label>
std::vector<std::string> row_labels(const Rows& rows, Label label) {
  constexpr std::size_t longest = 46;
  std::vector<std::string> labels;
  for (const results::Record* record : rows) {
    std::string text = plot_label(label(*record));
    if (text.size() > longest) text = "..." + text.substr(text.size() - longest + 3);
    labels.push_back(std::move(text));
  }
  return labels;
}

std::string row_tics(const std::vector<std::string>& labels) {
  std::string tics;
  for (std::size_t row = 0; row < labels.size(); ++row)
    tics += fmt::format("{}\"{}\" {}", row ? ", " : "", labels[row], row);
  return fmt::format("set ytics scale 0 textcolor {} ({})\n", plot_colour("ink"), tics);
}

/// Room for the labels, and for those of groups to the left of them, in pixels.
int left_margin(const std::vector<std::string>& labels, std::size_t longest_group = 0) {
  constexpr double character = 6.3;  // width of an average one at 11 px
  constexpr int gap = 14, least = 196;
  std::size_t longest = 0;
  for (const std::string& label : labels) longest = std::max(longest, label.size());
  return std::max(least,
                  gap + static_cast<int>(character * static_cast<double>(longest + longest_group)));
}

std::string vertical(double at, const char* colour, const char* dashes, const char* layer) {
  return fmt::format("set arrow from {:.6g}, graph 0 to {:.6g}, graph 1 nohead lw 1 {} lc {} {}\n",
                     at, at, dashes, plot_colour(colour), layer);
}

/// A figure in HTML, or what is wrong with it.
std::string figure(const PlotScript& script, const std::string& caption, std::string& problem) {
  const Plot plot = draw(script);
  if (plot.svg.empty()) {
    problem = plot.problem;
    return "";
  }
  return fmt::format("<figure><figcaption>{}</figcaption>\n{}</figure>\n", caption, plot.svg);
}

/// Tics of the ulp axis: zero, a half, one and powers of four, thinned so that their labels do not
/// touch.
std::string ulp_tics(double low, double high) {
  constexpr double label_width = 0.075;  // of the axis
  std::string tics = "\"0\" 0";
  double last = 0;
  for (const double ulp : {0.5, 1.0, 2.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0,
                           262144.0, 1048576.0}) {
    if (position(ulp) - last < label_width * (high - low)) continue;
    last = position(ulp);
    const std::string text = ulp < 1       ? "½"
                             : ulp <= 1024 ? fmt::format("{:.0f}", ulp)
                                           : fmt::format("2^{:.0f}", std::log2(ulp));
    if (last <= high) tics += fmt::format(", \"+{}\" {:.6g}", text, last);
    if (-last >= low) tics += fmt::format(", \"−{}\" {:.6g}", text, -last);
  }
  return tics;
}

/// Runs of neighbouring bins of one shade as boxes, a data block for each shade.
std::string shade_boxes(const Rows& rows, double& low, double& high) {
  std::array<std::string, shade_from.size() + 1> blocks;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto& histogram = rows[row]->tally.ulp_histogram;
    double total = 0;
    for (const std::uint64_t count : histogram) total += static_cast<double>(count);
    const auto shade = [&](std::size_t bin) {
      if (bin >= histogram.size() || histogram[bin] == 0) return -1;
      const double density =
          static_cast<double>(histogram[bin]) / total / (bin_edges()[bin + 1] - bin_edges()[bin]);
      return static_cast<int>(std::upper_bound(shade_from.begin(), shade_from.end(), density) -
                              shade_from.begin());
    };
    for (std::size_t bin = 0; bin < histogram.size();) {
      std::size_t end = bin + 1;
      while (end < histogram.size() && shade(end) == shade(bin)) ++end;
      if (shade(bin) >= 0) {
        const double from = bin_edges()[bin], to = bin_edges()[end];
        low = std::min(low, from);
        high = std::max(high, to);
        blocks[static_cast<std::size_t>(shade(bin))] +=
            fmt::format("{0} {1} {2:.4f} {3:.4f} {4} {5}\n", (from + to) / 2, row, from, to,
                        static_cast<double>(row) - 0.42, static_cast<double>(row) + 0.42);
      }
      bin = end;
    }
  }
  std::string data;
  for (std::size_t shade = 0; shade < blocks.size(); ++shade)
    if (!blocks[shade].empty())
      data += fmt::format("$shade{} << EOD\n{}EOD\n", shade, blocks[shade]);
  return data;
}

std::string ulp_figure(const std::string& name, const std::string& title, const Rows& rows,
                       bool shared, std::string& problem) {
  constexpr int group_left = 8;
  const auto labels = row_labels(rows, [&](const results::Record& record) {
    return shared ? record.id : record.dtype + " " + record.layout;
  });
  std::size_t longest_group = 0;
  for (const results::Record* record : rows)
    // and what keeps them apart
    if (!shared)
      longest_group = std::max(longest_group, record->op.size() + record->check.size() + 4);
  double low = position(-4), high = position(4);
  std::string commands = shade_boxes(rows, low, high);
  const bool drawn[] = {
      commands.find("$shade0") != std::string::npos, commands.find("$shade1") != std::string::npos,
      commands.find("$shade2") != std::string::npos, commands.find("$shade3") != std::string::npos,
      commands.find("$shade4") != std::string::npos};
  commands += frame(rows.size(), left_margin(labels, longest_group), low, high, ulp_tics(low, high),
                    "signed error in ulp of the output type");
  commands += row_tics(labels);

  // One label for each op and output, with a line between them.
  std::string bias, worst;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const results::Record& record = *rows[row];
    const bool first =
        row == 0 || rows[row - 1]->op != record.op || rows[row - 1]->check != record.check;
    if (!shared && first) {
      commands += fmt::format("set label \"{}\" at screen {:.5f}, first {} textcolor {}\n",
                              plot_label(record.op + " " + record.check),
                              static_cast<double>(group_left) / width, row, plot_colour("ink"));
      if (row > 0)
        commands += fmt::format(
            "set arrow from screen {:.5f}, first {} to graph 1, first {} nohead lw 0.6 lc {} "
            "back\n",
            static_cast<double>(group_left) / width, static_cast<double>(row) - 0.5,
            static_cast<double>(row) - 0.5, plot_colour("line"));
    }
    const compare::Tally& tally = record.tally;
    if (std::isfinite(tally.sum_ulp))
      bias += fmt::format(
          "{:.4f} {}\n",
          std::clamp(position(tally.sum_ulp / static_cast<double>(tally.elements)), low, high),
          row);
  }
  for (const double half : {-0.5, 0.5})
    commands += vertical(position(half), "ink", "dt (2,3)", "front");
  commands += vertical(0, "ink", "dt solid", "front");
  commands += fmt::format(
      "set label \"0 ± ½: correctly rounded\" at first 0, graph 1 center offset 0,0.7 textcolor "
      "{}\n",
      plot_colour("muted"));

  if (!bias.empty()) commands += fmt::format("$bias << EOD\n{}EOD\n", bias);
  std::string plotted;
  for (std::size_t shade = 0; shade < std::size(drawn); ++shade)
    if (drawn[shade])
      plotted += fmt::format("{}$shade{} using 1:2:3:4:5:6 with boxxyerror fs solid noborder lc {}",
                             plotted.empty() ? "" : ", ", shade,
                             plot_colour(fmt::format("heat{}", shade + 1)));
  if (!bias.empty())
    plotted += fmt::format("{}$bias using 1:2 with points pt 7 ps 0.42 lc {}",
                           plotted.empty() ? "" : ", ", plot_colour("bias"));
  if (plotted.empty()) return "";
  commands += "plot " + plotted;

  std::string swatches;
  const char* shares[] = {"&lt; 0.01 %", "0.01 %", "0.1 %", "1 %", "≥ 10 %"};
  for (std::size_t shade = 0; shade < std::size(shares); ++shade)
    swatches += fmt::format("<span class=\"swatch\" style=\"background:var(--heat{})\"></span>{} ",
                            shade + 1, shares[shade]);
  const PlotScript script{
      name, fmt::format("Signed error in ulp of {} checks of {}", rows.size(), plot_label(title)),
      width, top + bottom + row_height * static_cast<int>(rows.size()), commands};
  return figure(script,
                fmt::format("<b>Signed error, {}</b><span class=\"key\">elements per octave (0.17 "
                            "ulp at 0): {}<span class=\"dot\" "
                            "style=\"background:var(--bias)\"></span>mean</span>",
                            escape(title), swatches),
                problem);
}

std::string ratio_figure(const std::string& name, const std::string& title, Rows rows, bool shared,
                         std::string& problem) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const results::Record* a, const results::Record* b) {
                     return ranking_ratio(*a) > ranking_ratio(*b);
                   });
  const auto labels = row_labels(rows, [&](const results::Record& record) {
    return shared ? record.id
                  : record.op + "/" + record.dtype + "/" + record.layout + "/" + record.check;
  });
  double low = 0.1, high = 2;
  for (const results::Record* record : rows) {
    if (record->tally.p99_ratio() > 0) low = std::min(low, record->tally.p99_ratio());
    if (std::isfinite(record->tally.max_ratio))
      high = std::max(high, 1.5 * record->tally.max_ratio);
  }
  low = std::max(smallest_ratio_shown, std::pow(10, std::floor(std::log10(low))));
  high = std::min(largest_ratio_shown, high);
  const auto place = [&](double ratio) {
    return std::isnan(ratio) ? high : std::clamp(ratio, low, high);
  };

  std::string tics;
  for (double power = low; power <= high * 1.0001; power *= 10)
    tics += fmt::format("{}\"{:g}\" {:g}", tics.empty() ? "" : ", ", power, power);
  std::string commands = "set logscale x\n" + frame(rows.size(), left_margin(labels), low, high,
                                                    tics, "ratio = |error| / bound");
  commands += row_tics(labels);
  commands += fmt::format(
      "set object rectangle from first 1, graph 0 to graph 1, graph 1 behind fs solid noborder fc "
      "{}\n",
      plot_colour("zone"));
  commands += vertical(1, "fail", "dt solid", "front");
  commands +=
      fmt::format("set label \"bound\" at first 1, graph 1 center offset 0,0.7 textcolor {}\n",
                  plot_colour("fail"));

  struct Series {
    const char* colour;
    std::string points;
  };
  std::array<Series, 4> series{{{"pass", ""}, {"fail", ""}, {"inconclusive", ""}, {"error", ""}}};
  std::string bars, percentiles;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const compare::Tally& tally = rows[row]->tally;
    const results::Verdict verdict = rows[row]->verdict;
    const std::size_t which = verdict == results::Verdict::fail           ? 1
                              : verdict == results::Verdict::inconclusive ? 2
                              : verdict == results::Verdict::error        ? 3
                                                                          : 0;
    bars += fmt::format("{0:.5g} {1} {2:.5g} {1}\n", place(tally.p99_ratio()), row,
                        place(tally.max_ratio));
    percentiles += fmt::format("{:.5g} {}\n", place(tally.p99_ratio()), row);
    series[which].points += fmt::format("{:.5g} {}\n", place(tally.max_ratio), row);
  }
  // A thin line leads from the label to its bar. A bar needs two points with a blank line behind
  // them.
  std::string segments;
  for (std::size_t at = 0; at < bars.size();) {
    const std::size_t end = bars.find('\n', at), middle = bars.find(' ', bars.find(' ', at) + 1);
    segments += bars.substr(at, middle - at) + "\n" + bars.substr(middle + 1, end - middle) + "\n";
    at = end + 1;
  }
  for (std::size_t row = 0; row < rows.size(); ++row)
    commands += fmt::format(
        "set arrow from graph 0, first {0} to first {1:.5g}, first {0} nohead lw 0.6 lc {2} back\n",
        row, place(rows[row]->tally.p99_ratio()), plot_colour("line"));
  commands += fmt::format("$bars << EOD\n{}EOD\n$p99 << EOD\n{}EOD\n", segments, percentiles);
  std::string plotted = fmt::format(
      "$bars using 1:2 with lines lw 2 lc {0}, $p99 using 1:2 with points pt 7 ps 0.35 lc {0}",
      plot_colour("muted"));
  for (const Series& one : series) {
    if (one.points.empty()) continue;
    commands += fmt::format("${} << EOD\n{}EOD\n", one.colour, one.points);
    plotted += fmt::format(", ${} using 1:2 with points pt 7 ps 0.6 lc {}", one.colour,
                           plot_colour(one.colour));
  }
  commands += "plot " + plotted;
  const PlotScript script{
      name,
      fmt::format("Ratio of error to bound of {} checks of {}", rows.size(), plot_label(title)),
      width, top + bottom + row_height * static_cast<int>(rows.size()), commands};
  return figure(
      script,
      fmt::format(
          "<b>Share of the bound, {}</b><span class=\"key\"><span class=\"dot\" "
          "style=\"background:var(--pass)\"></span>largest ratio "
          "<span class=\"dot\" style=\"background:var(--muted)\"></span>99th percentile</span>",
          escape(title)),
      problem);
}

}  // namespace

std::string plots(const results::Results& results) {
  struct Figure {
    std::string title;
    Rows rows;
    bool shared;
  };
  std::vector<Figure> figures;
  Figure others{"all other variants", {}, true};
  Rows numbers;
  // Kernels' outputs only: properties and gradients compare results with each other or with
  // cancelling sums, whose ulps say nothing, and have their places in the table.
  for (const results::Record* record : reading_order(results))
    if (has_numbers(*record) && !is_property(*record) && record->op != "gradient")
      numbers.push_back(record);
  if (numbers.empty()) return "";
  for (Rows& rows : split(numbers, [](const results::Record&a, const results::Record&b) {
         return a.variant == b.variant;
       })) {
    if (rows.size() >= own_figure_from)
      figures.push_back({rows.front()->variant, std::move(rows), false});
    else
      others.rows.insert(others.rows.end(), rows.begin(), rows.end());
  }
  if (figures.empty()) others.title = "all variants";
  if (!others.rows.empty()) figures.push_back(std::move(others));

  std::string out, problem;
  for (std::size_t i = 0; i < figures.size() && problem.empty(); ++i) {
    Rows& rows = figures[i].rows;
    std::string note;
    if (rows.size() > most_rows) {
      note = fmt::format(
          "<p class=\"note\">Shown are {} of {} checks: those with the largest ratios.</p>\n",
          most_rows, rows.size());
      Rows worst = rows;
      std::stable_sort(worst.begin(), worst.end(),
                       [](const results::Record* a, const results::Record* b) {
                         return ranking_ratio(*a) > ranking_ratio(*b);
                       });
      worst.resize(most_rows);
      std::erase_if(rows, [&](const results::Record* record) {
        return std::find(worst.begin(), worst.end(), record) == worst.end();
      });
    }
    const std::string ulps =
        ulp_figure(fmt::format("ulp{}", i), figures[i].title, rows, figures[i].shared, problem);
    if (!problem.empty()) break;
    const std::string ratios =
        ratio_figure(fmt::format("ratio{}", i), figures[i].title, rows, figures[i].shared, problem);
    out += note + "<div class=\"plots\">\n" + ratios + ulps + "</div>\n";
  }
  if (!problem.empty()) out = fmt::format("<p class=\"note\">{}</p>\n", escape(problem));
  return "<section>\n<h2>Errors at a glance</h2>\n" + out + "</section>\n";
}

}  // namespace abn::verify::report
