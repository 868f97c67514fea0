// gnuplot as a process: the script goes in through its standard input, SVG comes out and is fitted
// into a page.
//
// gnuplot writes fixed colours and ids. A script therefore uses marker colours rgb(1, 1, k), which
// become var(--name k) here, and every id gets the plot's name in front. Titles, unused symbols and
// fixed sizes go, so that the element scales and shows no tooltips.
#include "verify/report/plot.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>

#include "verify/report/parts.hpp"

extern char** environ;

namespace abn::verify::report {
namespace {

// a plot takes about 0.05 s; this only ends a process that hangs
constexpr auto time_limit = std::chrono::seconds(20);
constexpr int marker_red = 1, marker_green = 1;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

/// Runs `gnuplot -d -` on the text; false where it is missing, fails or hangs.
bool run_gnuplot(const std::string& text, std::string& output) {
  const File in(std::tmpfile()), out(std::tmpfile());
  if (!in || !out || std::fwrite(text.data(), 1, text.size(), in.get()) != text.size() ||
      std::fflush(in.get()) != 0)
    return false;
  std::rewind(in.get());

  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions) != 0) return false;
  posix_spawn_file_actions_adddup2(&actions, fileno(in.get()), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(out.get()), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);

  std::string program = "gnuplot", no_startup_files = "-d", standard_input = "-",
              locale = "LC_ALL=C";
  char* arguments[] = {program.data(), no_startup_files.data(), standard_input.data(), nullptr};
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (std::strncmp(*entry, "LC_ALL=", 7) != 0) environment.push_back(*entry);
  environment.push_back(locale.data());  // a decimal comma would end up in the coordinates
  environment.push_back(nullptr);

  pid_t child = 0;
  const int spawned =
      posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments, environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (spawned != 0) return false;

  int status = 0;
  const auto deadline = std::chrono::steady_clock::now() + time_limit;
  pid_t ended = 0;
  while ((ended = waitpid(child, &status, WNOHANG)) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (ended != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return false;

  std::fseek(out.get(), 0, SEEK_END);
  output.resize(static_cast<std::size_t>(std::max(0L, std::ftell(out.get()))));
  std::rewind(out.get());
  return std::fread(output.data(), 1, output.size(), out.get()) == output.size();
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// Removes everything from each `begin` to the following `end`, both included.
void remove_spans(std::string& text, std::string_view begin, std::string_view end) {
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    const std::size_t stop = text.find(end, at + begin.size());
    if (stop == std::string::npos) return;
    text.erase(at, stop + end.size() - at);
  }
}

/// Marker colours become CSS variables.
std::string with_page_colours(const std::string& text) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find("rgb("); at != std::string::npos;
       at = text.find("rgb(", at + 1)) {
    int red = 0, green = 0, blue = 0, length = 0;
    const auto count = static_cast<int>(plot_colours().size());
    if (std::sscanf(text.c_str() + at, "rgb(%d,%d,%d)%n", &red, &green, &blue, &length) != 3 ||
        length == 0)
      continue;
    if (red != marker_red || green != marker_green || blue < 1 || blue > count) continue;
    out.append(text, done, at - done);
    out += "var(--" + plot_colours()[static_cast<std::size_t>(blue - 1)] + ")";
    done = at + static_cast<std::size_t>(length);
  }
  return out.append(text, done);
}

/// The symbols that a point style refers to, with what they refer to in turn; the others are left
/// out.
void keep_used_symbols(std::string& text) {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t at = text.find("id='gp"); at != std::string::npos;
         at = text.find("id='gp", at + 1)) {
      const std::size_t name = at + 4, name_end = text.find('\'', name);
      if (name_end == std::string::npos) return;
      if (text.find("'#" + text.substr(name, name_end - name) + "'") != std::string::npos) continue;
      const std::size_t begin = text.rfind('<', at), end = text.find("/>", at);
      if (begin == std::string::npos || end == std::string::npos) return;
      text.erase(begin, end + 2 - begin);
      changed = true;
      break;
    }
  }
}

/// The part of a line-oriented text without blank lines and without the indentation.
std::string compact(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::size_t first = text.find_first_not_of(" \t", at);
    if (first < end) out.append(text, first, end - first).append("\n");
    at = end + 1;
  }
  return out;
}

}  // namespace

const std::vector<std::string>& plot_colours() {
  static const std::vector<std::string> names{
      "ink",   "muted", "line",  "pass",  "fail",  "inconclusive", "error", "zone", "bias",
      "heat1", "heat2", "heat3", "heat4", "heat5", "cost1",        "cost2", "cost3"};
  return names;
}

std::string plot_colour(std::string_view css_name) {
  const auto& names = plot_colours();
  const auto index = std::find(names.begin(), names.end(), css_name) - names.begin();
  return fmt::format("rgb \"#{:02x}{:02x}{:02x}\"", marker_red, marker_green, index + 1);
}

std::string plot_label(std::string_view text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _./:+-";
  std::string out(text);
  for (char& c : out)
    if (plain.find(c) == std::string_view::npos) c = '?';
  return out;
}

Plot draw(const PlotScript& script) {
  const std::string text = fmt::format(
      "set terminal svg size {},{} font \"sans-serif,11\" noenhanced name \"{}\"\nset encoding "
      "utf8\n{}\n",
      script.width, script.height, script.name, script.commands);
  std::string svg;
  if (!run_gnuplot(text, svg))
    return {"",
            "There are no plots, because gnuplot is missing or failed; install it (apt-get install "
            "gnuplot-nox) and run abn-verify report "
            "again."};
  const std::size_t begin = svg.find("<g id=\"gnuplot_canvas\">"), end = svg.rfind("</svg>");
  if (begin == std::string::npos || end == std::string::npos || end < begin ||
      svg.find("<script") != std::string::npos)
    return {"",
            "There are no plots, because this gnuplot writes an SVG that the report cannot use; "
            "gnuplot 5.4 is known to work."};

  svg = svg.substr(begin, end - begin);
  remove_spans(svg, "<title>", "</title>");
  remove_spans(svg, "<desc>", "</desc>");
  remove_spans(svg, "<filter ", "</filter>");
  keep_used_symbols(svg);
  replace_all(svg, " color=\"black\"", "");
  replace_all(svg, " color=\"white\"", "");
  replace_all(svg, " font-family=\"sans-serif\"", "");
  replace_all(svg, " stroke-linecap=\"butt\" stroke-linejoin=\"miter\"", "");
  replace_all(svg, " stroke=\"currentColor\" stroke-width=\"1.00\"", "");
  svg = compact(svg);
  replace_all(svg, "<g fill=\"none\">\n</g>\n", "");
  replace_all(svg, "gnuplot_canvas", script.name);
  replace_all(svg, "id='gp", "id='" + script.name + "_");
  replace_all(svg, "'#gp", "'#" + script.name + "_");
  return {
      fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" "
                  "stroke-width=\"1\">\n{}</svg>\n",
                  script.width, script.height, escape(script.description), with_page_colours(svg)),
      ""};
}

}  // namespace abn::verify::report
