// Sums over the columns of a leaf, and the tree that puts leaves together.
#pragma once

#include "cuda/cpu/convert.hpp"
#include "cuda/cpu/cut.hpp"
#include "cuda/device/moments.cuh"
#include "cuda/device/tree.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

// sum[j] += term(row, j) over the rows: fours as trees of their own, then one after the other.
// Every column is a sum of its own, so that a vector of columns is as good as one column after the
// other.
template <class A, class Term>
inline void add_rows(int64_t rows, int64_t columns, A* __restrict sum, Term term) {
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    ABN_INDEPENDENT
    for (int64_t j = 0; j < columns; ++j)
      sum[j] += (term(row, j) + term(row + 1, j)) + (term(row + 2, j) + term(row + 3, j));
  }
  for (; row < rows; ++row) {
    ABN_INDEPENDENT
    for (int64_t j = 0; j < columns; ++j) sum[j] += term(row, j);
  }
}

// The same for two sums at once.
template <class A, class Term>
inline void add_rows(int64_t rows, int64_t columns, A* __restrict s0, A* __restrict s1, Term term) {
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    ABN_INDEPENDENT
    for (int64_t j = 0; j < columns; ++j) {
      const Sums<A> a = term(row, j), b = term(row + 1, j), c = term(row + 2, j),
                    d = term(row + 3, j);
      s0[j] += (a.s0 + b.s0) + (c.s0 + d.s0);
      s1[j] += (a.s1 + b.s1) + (c.s1 + d.s1);
    }
  }
  for (; row < rows; ++row) {
    ABN_INDEPENDENT
    for (int64_t j = 0; j < columns; ++j) {
      const Sums<A> one = term(row, j);
      s0[j] += one.s0;
      s1[j] += one.s1;
    }
  }
}

// x[0] + ... + x[leaf_columns - 1] as a tree; overwrites x.
template <class A>
inline A sum_of_columns(A* x) {
  for (int half = leaf_columns / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) x[j] += x[j + half];
  return x[0];
}

// What is known of some leaves of `Width` channels side by side: n samples of each, and some values
// of each channel. add() puts those of the leaves that follow behind them.
template <class A, int Width>
struct LeafMoments {
  static constexpr int values = 3;  // hi, lo, m2
  int64_t n;
  A value[values][Width];

  Moments<A> of(int64_t j) const { return {value[0][j], value[1][j], value[2][j]}; }
  void put(int64_t j, const Moments<A>& moments) {
    value[0][j] = moments.hi, value[1][j] = moments.lo, value[2][j] = moments.m2;
  }
  void add(const LeafMoments& next, int64_t width) {
    const Weights<A> weights = weights_of<A>(n, next.n);
    ABN_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) put(j, merge(of(j), next.of(j), weights));
    n += next.n;
  }
};
template <class A, int Width>
struct LeafSums {
  static constexpr int values = 2;  // s0, s1
  int64_t n;
  A value[values][Width];

  Sums<A> of(int64_t j) const { return {value[0][j], value[1][j]}; }
  void add(const LeafSums& next, int64_t width) {
    for (int k = 0; k < values; ++k) {
      ABN_INDEPENDENT
      for (int64_t j = 0; j < width; ++j) value[k][j] += next.value[k][j];
    }
    n += next.n;
  }
};

// The tree over leaves as a stack of finished subtrees: behind leaf number i as many subtrees of
// equal size are merged as i + 1 has trailing zeros.
constexpr int most_levels = 40;  // 2^39 leaves

template <class Leaf>
struct LeafTree {
  Leaf level[most_levels];
  int top = 0;
  int64_t pushed = 0;

  // To be filled before push().
  Leaf& next() { return level[top]; }
  void push(int64_t width) {
    ++top;
    for (int64_t i = ++pushed; i % 2 == 0; i /= 2) merge_top(width);
  }
  const Leaf& finish(int64_t width) {
    while (top > 1) merge_top(width);
    return level[0];
  }

 private:
  void merge_top(int64_t width) {
    level[top - 2].add(level[top - 1], width);
    --top;
  }
};

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
