// What a leaf says of its channels: moments, or the two sums of backward.
//
// Moments are a two-pass with the residual's correction, as in device/moments.cuh: m0 = sum(x)/n,
// d = x - m0, mean = m0 + sum(d)/n, M2 = sum(d^2) - sum(d)^2/n. Both passes find the leaf in the
// first-level cache.
#pragma once

#include "cuda/cpu/sums.hpp"
#include "cuda/cpu/tensor.hpp"
#include "cuda/device/activation.cuh"
#include "cuda/device/scheme.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

// use(phi) with the branch of phi known to the compiler, so that it stands in no loop.
template <class A, class Use>
inline void with_branch(const Activation<A>& phi, Use use) {
  Activation<A> known = phi;
  if (phi.saturates) {
    known.saturates = true;
    use(known);
  } else {
    known.saturates = false;
    use(known);
  }
}

// Of n samples with sum(x)*inverse = first, sum(d) = residual and sum(d^2) = squares.
template <class A>
inline Moments<A> corrected(A first, A residual, A squares, A inverse) {
  const A correction = residual * inverse, m2 = squares - residual * correction;
  Moments<A> out;
  out.hi = first + correction;
  out.lo = (first - out.hi) + correction;
  out.m2 = m2 < 0 ? A(0) : m2;  // where squares underflow; a NaN stays
  return out;
}

// ---- along: the columns of a leaf are lanes of one channel

template <class A, class Term>
inline void add_samples(int64_t count, A* s0, A* s1, Term term) {
  const int64_t rows = count / leaf_columns, rest = count % leaf_columns;
  const auto at = [&](int64_t row, int64_t j) { return term(row * leaf_columns + j); };
  add_rows(rows, leaf_columns, s0, s1, at);
  for (int64_t j = 0; j < rest; ++j) {
    const Sums<A> one = at(rows, j);
    s0[j] += one.s0, s1[j] += one.s1;
  }
}

template <class A>
inline void moments_along(const A* x, int64_t count, LeafMoments<A, 1>& out) {
  alignas(64) A sum[leaf_columns] = {}, squares[leaf_columns] = {};
  const int64_t rows = count / leaf_columns, rest = count % leaf_columns;
  add_rows(rows, leaf_columns, sum,
           [&](int64_t row, int64_t j) { return x[row * leaf_columns + j]; });
  for (int64_t j = 0; j < rest; ++j) sum[j] += x[rows * leaf_columns + j];
  const A inverse = A(1) / static_cast<A>(count), first = sum_of_columns(sum) * inverse;
  for (A& one : sum) one = 0;
  add_samples(count, sum, squares, [&](int64_t i) {
    const A d = x[i] - first;
    return Sums<A>{d, d * d};
  });
  const A residual = sum_of_columns(sum);
  out.n = count;
  out.put(0, corrected(first, residual, sum_of_columns(squares), inverse));
}

template <class A>
inline void gradients_along(const A* z, const A* dz, int64_t count, const Activation<A>& phi,
                            const typename SchemeOne<A>::Recovery& recovery, LeafSums<A, 1>& out) {
  alignas(64) A s0[leaf_columns] = {}, s1[leaf_columns] = {};
  with_branch(phi, [&](const Activation<A>& known) {
    add_samples(count, s0, s1, [&](int64_t i) {
      const A one = known.unsaturated(z[i]), dy = known.upstream(one, dz[i]);
      return Sums<A>{dy, SchemeOne<A>::term(recovery, known.inverse(one), dy)};
    });
  });
  out.n = count;
  out.value[0][0] = sum_of_columns(s0), out.value[1][0] = sum_of_columns(s1);
}

// ---- across: a column is a channel; element (row, j) is x[row * step + j]

template <class A>
inline void moments_across(const A* x, int64_t step, int64_t rows, int64_t width,
                           LeafMoments<A, block_channels>& out) {
  alignas(64) A first[block_channels], residual[block_channels], squares[block_channels];
  for (int64_t j = 0; j < width; ++j) first[j] = residual[j] = squares[j] = 0;
  add_rows(rows, width, first, [&](int64_t row, int64_t j) { return x[row * step + j]; });
  const A inverse = A(1) / static_cast<A>(rows);
  for (int64_t j = 0; j < width; ++j) first[j] *= inverse;
  add_rows(rows, width, residual, squares, [&](int64_t row, int64_t j) {
    const A d = x[row * step + j] - first[j];
    return Sums<A>{d, d * d};
  });
  out.n = rows;
  for (int64_t j = 0; j < width; ++j)
    out.put(j, corrected(first[j], residual[j], squares[j], inverse));
}

// What a term needs of the channels of a block.
template <class A>
struct BlockRecovery {
  alignas(64) A beta[block_channels], unit[block_channels];
  void put(int64_t j, const Inversion<A>& one) { beta[j] = one.beta, unit[j] = one.unit; }
  Inversion<A> of(int64_t j) const { return {beta[j], unit[j], A(1)}; }  // a term asks no rest
};

template <class A>
inline void gradients_across(const A* z, int64_t z_step, const A* dz, int64_t dz_step, int64_t rows,
                             int64_t width, const Activation<A>& phi,
                             const BlockRecovery<A>& recovery, LeafSums<A, block_channels>& out) {
  out.n = rows;
  for (int64_t j = 0; j < width; ++j) out.value[0][j] = out.value[1][j] = 0;
  with_branch(phi, [&](const Activation<A>& known) {
    add_rows(rows, width, out.value[0], out.value[1], [&](int64_t row, int64_t j) {
      const A one = known.unsaturated(z[row * z_step + j]),
              dy = known.upstream(one, dz[row * dz_step + j]);
      return Sums<A>{dy, SchemeOne<A>::term(recovery.of(j), known.inverse(one), dy)};
    });
  });
}

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
