// The inversion study: its predictions are bounds, its limits are where they must be, and what is
// committed is reproduced.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "cuda/kernel.h"
#include "verify/problem/error.hpp"
#include "verify/study/inversion_study.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::study;

/// The study with the default seed, made once.
const Study& study() {
  static const Study made = inversion_study(1, 2);
  return made;
}

double number(const Cell& cell) {
  return std::holds_alternative<double>(cell) ? std::get<double>(cell) : std::nan("");
}
std::string word(const Cell& cell) {
  return std::holds_alternative<std::string>(cell) ? std::get<std::string>(cell) : "";
}

const std::vector<Cell>& row_of(const Table& table, const std::string& storage,
                                const std::string& activation) {
  for (const auto& row : table.rows)
    if (word(row[0]) == storage && show_cell(row[1]) == activation) return row;
  ADD_FAILURE() << "no row " << storage << " " << activation;
  static const std::vector<Cell> none(32, Cell(std::nan("")));
  return none;
}

TEST(InversionStudy, NoMeasuredErrorIsAboveItsBound) {
  const InversionAxes axes = inversion_axes(1);
  int points = 0;
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64})
    for (const int scheme : {ABN_IN_PLACE_1, ABN_IN_PLACE_2})
      for (const auto& [activation, parameter] :
           {std::pair{ABN_LEAKY_RELU, 0.01}, std::pair{ABN_ELU, 1.0}}) {
        const InversionSurface surface = inversion_surface(
            {dtype, activation, parameter, dtype == ABN_F64 ? ABN_F64 : ABN_F32, scheme}, axes, 7);
        for (const InversionPoint& point : surface.points)
          for (const Cost& cost : {point.dx, point.dgamma, point.dbeta, point.xhat}) {
            if (!std::isfinite(cost.measured)) continue;  // overflow of the storage type
            EXPECT_LE(cost.measured, cost.predicted)
                << activation_text(surface.setting) << " dtype " << dtype << " scheme " << scheme;
            ++points;
          }
      }
  EXPECT_GT(points, 4000);
}

TEST(InversionStudy, ThePredictionIsNotIdle) {
  // Where storing z decides, the bound is within a factor of 3 of what is measured at its worst.
  const InversionSurface surface = inversion_surface(
      {ABN_F16, ABN_LEAKY_RELU, 0.01, ABN_F32, ABN_IN_PLACE_1}, inversion_axes(1), 1);
  for (std::size_t ratio = 3; ratio < 7; ++ratio) {  // |beta|/|gamma| from 1 to 1000
    const Cost xhat = surface.at(8, ratio).xhat;
    EXPECT_GT(xhat.measured, xhat.predicted / 3) << ratio;
  }
}

TEST(InversionStudy, RatioAndSubnormalsAreTwoRegimes) {
  const Table& limits = table_of(study(), "limits");
  // Amplification: u |beta|/|gamma| about 1 %, so the safe ratio falls as the unit roundoff rises.
  const auto ratio = [&](const char* storage) {
    return number(row_of(limits, storage, "leaky_relu:0.01")[2]);
  };
  EXPECT_NEAR(std::log10(ratio("f16") / ratio("bf16")), std::log10(8.0), 0.4);
  EXPECT_GT(ratio("f32"), 1000 * ratio("f16"));
  EXPECT_EQ(word(row_of(limits, "f64", "leaky_relu:0.01")[2]), "> 1e+06");
  // Subnormal z: f16 only, and later where the slope is larger.
  const auto smallest = [&](const char* storage, const char* activation) {
    return row_of(limits, storage, activation)[4];
  };
  EXPECT_GT(number(smallest("f16", "leaky_relu:0.01")),
            2 * number(smallest("f16", "leaky_relu:0.1")));
  EXPECT_EQ(word(smallest("bf16", "leaky_relu:0.01")), "< 1e-08");
  EXPECT_EQ(word(smallest("f32", "leaky_relu:0.01")), "< 1e-08");
}

TEST(InversionStudy, EluSaturatesWhereItIsKnownTo) {
  const struct {
    int dtype;
    double y;
  } known[] = {{ABN_F32, -17.33}, {ABN_F16, -8.32}, {ABN_BF16, -6.24}};
  for (const auto& [dtype, y] : known) {
    const EluLimit limit = elu_limit(dtype, 1);
    EXPECT_NEAR(limit.saturates_measured, y, 0.005);
    EXPECT_NEAR(limit.saturates_predicted, limit.saturates_measured, 0.001);
    // The bound warns before it happens, and not much before.
    EXPECT_GE(limit.y.predicted, limit.y.measured);
    EXPECT_GE(limit.derivative.predicted, limit.derivative.measured);
    EXPECT_NEAR(limit.derivative.predicted, limit.derivative.measured, 0.3);
    EXPECT_GT(limit.derivative.measured, limit.saturates_measured);
  }
}

TEST(InversionStudy, CrossingsAreInterpolatedAndSaySoWhereThereAreNone) {
  EXPECT_NEAR(crossing({1, 10, 100}, {1e-4, 1e-3, 1e-1}, 0.01), std::sqrt(1000), 1e-9);
  EXPECT_TRUE(std::isinf(crossing({1, 10}, {1e-4, 1e-3}, 0.01)));
  EXPECT_TRUE(std::isnan(crossing({1, 10}, {1, 1}, 0.01)));
  // nothing to interpolate with
  EXPECT_EQ(crossing({1, 10}, {1e-3, std::numeric_limits<double>::infinity()}, 0.01), 1);
  EXPECT_EQ(crossing({1, 10}, {1e-3, std::nan("")}, 0.01), 1);
  EXPECT_EQ(crossing({0, 10}, {1e-3, 1}, 0.01), 10);
}

TEST(InversionStudy, IsTheSameForAnyNumberOfThreadsAndReadsBack) {
  const std::string text = study_to_json(study());
  EXPECT_EQ(text, study_to_json(inversion_study(1, 1)));
  EXPECT_EQ(study_to_json(study_from_json(text)), text);
  EXPECT_TRUE(is_study(text));
  EXPECT_FALSE(is_study("{\"schema\": \"abn-verify/1\"}"));
  EXPECT_FALSE(is_study("no JSON"));
  EXPECT_THROW(study_from_json("{}"), problem::UsageError);
  EXPECT_THROW(study_from_json("{\"schema\": \"abn-verify-study/1\"}"), problem::UsageError);
  std::string shorter = text;
  shorter.replace(shorter.find("\"measured\": ["), 13, "\"measured\": [1,");
  EXPECT_THROW(study_from_json(shorter), problem::UsageError);
}

TEST(InversionStudy, EveryRowHasACellAColumnAndEveryTableIsShown) {
  const std::string text = study_text(study(), false);
  for (const Table& table : study().tables) {
    EXPECT_NE(text.find(table.title), std::string::npos);
    for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.columns.size()) << table.name;
  }
  EXPECT_EQ(study_text(study(), true).find(study().tables[0].title), std::string::npos);
}

// ---- what is committed
// -------------------------------------------------------------------------------------------------

Study committed() {
  const char* const root = std::getenv("ABN_SOURCE_DIR");
  const std::string path =
      std::string(root != nullptr ? root : ".") + "/fixtures/studies/inversion.json";
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  return study_from_json({std::istreambuf_iterator<char>(in), {}});
}

constexpr double prediction_band =
    // predictions are formulas: what is left are digits of the file and of the C library's exp and
    // log
    1.01;
// the worst of 64 rounding errors, which another C library may draw anew for ELU
constexpr double error_band = 1.5;
// where a measured cost passes 1 %: one step of the grid
const double boundary_band = std::pow(10, 1.0 / inversion_steps);

bool within(double a, double b, double band) {
  if (std::isnan(a) && std::isnan(b)) return true;
  if (a == b) return true;
  return a * b > 0 && std::fabs(std::log(a / b)) <= std::log(band);
}

TEST(InversionStudy, ReproducesWhatIsCommitted) {
  const Study fixture = committed();
  ASSERT_EQ(fixture.tables.size(), study().tables.size());
  int compared = 0;
  for (std::size_t t = 0; t < fixture.tables.size(); ++t) {
    const Table &old = fixture.tables[t], &now = study().tables[t];
    ASSERT_EQ(old.name, now.name);
    ASSERT_EQ(old.rows.size(), now.rows.size()) << old.name;
    const bool boundaries =
        old.name == "limits" || old.name == "gamma_at_beta" || old.name == "schemes";
    for (std::size_t r = 0; r < old.rows.size(); ++r)
      for (std::size_t c = 0; c < old.columns.size(); ++c) {
        const Cell &a = old.rows[r][c], &b = now.rows[r][c];
        const std::string place = old.name + ", " + show_cell(now.rows[r][0]) + " " +
                                  show_cell(now.rows[r][1]) + ", " + now.columns[c].name;
        const bool predicted = head_of(now.columns[c]).own == "predicted",
                   measured = !predicted && !head_of(now.columns[c]).group.empty();
        ++compared;
        if (!std::holds_alternative<double>(a) || !std::holds_alternative<double>(b)) {
          EXPECT_EQ(show_cell(a), show_cell(b)) << place;
          continue;
        }
        const double band = predicted                ? prediction_band
                            : measured && boundaries ? boundary_band
                            : measured               ? error_band
                                                     : prediction_band;
        EXPECT_TRUE(within(number(a), number(b), band))
            << place << ": " << number(a) << " became " << number(b);
      }
  }
  EXPECT_GT(compared, 500);
  ASSERT_EQ(fixture.grids.size(), study().grids.size());
  for (std::size_t g = 0; g < fixture.grids.size(); ++g) {
    const Grid &old = fixture.grids[g], &now = study().grids[g];
    ASSERT_EQ(old.predicted.size(), now.predicted.size()) << old.name;
    std::size_t far = 0;
    for (std::size_t i = 0; i < old.predicted.size(); ++i) {
      EXPECT_TRUE(within(old.predicted[i], now.predicted[i], prediction_band))
          << old.name << " cell " << i;
      far += within(old.measured[i], now.measured[i], error_band) ? 0 : 1;
    }
    // 2 %: single errors, such as one that is 0 by luck
    EXPECT_LE(far, old.measured.size() / 50) << old.name;
  }
}

TEST(InversionStudy, TheBandsNoticeAChangeOfBoundOrKernel) {
  EXPECT_FALSE(within(1, 1.02, prediction_band));
  EXPECT_FALSE(within(1, 1.6, error_band));
  EXPECT_FALSE(within(1, 2.2, boundary_band));
  EXPECT_FALSE(within(1, std::nan(""), boundary_band));
  EXPECT_FALSE(within(0, 1, error_band));
  EXPECT_TRUE(within(-17.33, -17.33, prediction_band));
}

}  // namespace
