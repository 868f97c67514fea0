// A heat map of a study as a plot.
#pragma once

#include <string>

#include "verify/report/plot.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::report {

/// The heat map of one grid, as `studies` draws it.
PlotScript heat_map(const study::Grid& grid, const std::string& name);

}  // namespace abn::verify::report
