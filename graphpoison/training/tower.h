// Products and sums of small matrices whose rows are whole vectors, activations, and the structures
// of a pass.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace {

constexpr int GROUP = 8;   // pairs, or inputs, whose sums are in registers at the same time
constexpr int BLOCK = 64;  // pairs in a block
constexpr int MANY = 128;  // pairs whose gradients are summed before they are added to the total

// Bytes of a register. The compiler splits longer vectors, and their comparisons into single numbers.
#if defined(__AVX512F__)
constexpr int REGISTER = 64;
#elif defined(__AVX__)
constexpr int REGISTER = 32;
#else
constexpr int REGISTER = 16;
#endif

template <class T>
struct Vec {
  typedef T Lanes __attribute__((vector_size(REGISTER), aligned(REGISTER), may_alias));
  static constexpr int count = REGISTER / sizeof(T);
};

template <class T>
using Lanes = typename Vec<T>::Lanes;

template <class T>
inline Lanes<T>* lanes(T* values) {
  return reinterpret_cast<Lanes<T>*>(values);
}

template <class T>
inline const Lanes<T>* lanes(const T* values) {
  return reinterpret_cast<const Lanes<T>*>(values);
}

template <class T>
T* zeros(std::vector<std::unique_ptr<T, void (*)(void*)>>& owned, size_t size) {
  size_t bytes = (size * sizeof(T) + 63) / 64 * 64;
  T* values = static_cast<T*>(std::aligned_alloc(64, std::max<size_t>(bytes, 64)));
  if (!values) throw std::bad_alloc();
  std::fill(values, values + bytes / sizeof(T), T(0));
  owned.emplace_back(values, std::free);
  return values;
}

// outputs[n, width] = start[width] + inputs[n, depth] kernel[depth, width]; += if start is null
template <class T>
inline void affine(int n, const T* const* inputs, int depth, const T* kernel, int width,
                   const T* start, T* outputs) {
  const int vectors = width / Vec<T>::count;
  for (int first = 0; first < n; first += GROUP, outputs += GROUP * width) {
    const T* rows[GROUP];
    for (int r = 0; r < GROUP; r++) rows[r] = inputs[first + r];
    for (int column = 0; column < vectors; column++) {
      Lanes<T> sums[GROUP];
      for (int r = 0; r < GROUP; r++)
        sums[r] = start ? lanes(start)[column] : lanes(outputs + r * width)[column];
      const T* weights = kernel + column * Vec<T>::count;
      for (int64_t d = 0; d < depth; d++, weights += width) {
        const Lanes<T> row = *lanes(weights);
        for (int r = 0; r < GROUP; r++) sums[r] += row * rows[r][d];
      }
      for (int r = 0; r < GROUP; r++) lanes(outputs + r * width)[column] = sums[r];
    }
  }
}

// total[depth, width] += inputs[n, depth]^T cotangents[n, width]
template <class T, int K>
inline void outer_rows(int n, const T* const* inputs, int d, const T* cotangents, int width,
                       T* total) {
  for (int column = 0; column < width / Vec<T>::count; column++) {
    Lanes<T> sums[K];
    for (int k = 0; k < K; k++) sums[k] = lanes(total + (d + k) * width)[column];
    for (int v = 0; v < n; v++) {
      const Lanes<T> row = lanes(cotangents + v * width)[column];
      for (int k = 0; k < K; k++) sums[k] += row * inputs[v][d + k];
    }
    for (int k = 0; k < K; k++) lanes(total + (d + k) * width)[column] = sums[k];
  }
}

template <class T>
inline void outer(int n, const T* const* inputs, int depth, const T* cotangents, int width,
                  T* total) {
  int d = 0;
  for (; d + GROUP <= depth; d += GROUP)
    outer_rows<T, GROUP>(n, inputs, d, cotangents, width, total);
  for (; d < depth; d++) outer_rows<T, 1>(n, inputs, d, cotangents, width, total);
}

template <class T>
inline void add_rows(int n, const T* rows, int width, T* total) {
  for (int column = 0; column < width / Vec<T>::count; column++) {
    Lanes<T> sum = lanes(total)[column];
    for (int v = 0; v < n; v++) sum += lanes(rows + v * width)[column];
    lanes(total)[column] = sum;
  }
}

enum Activation { RELU, TANH, SIGMOID };
enum Mode { SCORES, GRADIENT, DUAL };

// The derivative of an activation, from its value.
template <int A, class T>
inline Lanes<T> slope(Lanes<T> z) {
  const Lanes<T> zero = {}, one = zero + 1;
  if constexpr (A == RELU) return z <= zero ? zero : one;
  if constexpr (A == TANH) return one - z * z;
  if constexpr (A == SIGMOID) return z - z * z;
}

template <int A, class T>
inline void activate(int size, T* value, T* tangent) {
  if constexpr (A == TANH)
    for (int i = 0; i < size; i++) value[i] = std::tanh(value[i]);
  if constexpr (A == SIGMOID)
    for (int i = 0; i < size; i++) value[i] = 1 / (1 + std::exp(-value[i]));
  for (int i = 0; i < size / Vec<T>::count; i++) {
    if constexpr (A == RELU) lanes(value)[i] = lanes(value)[i] < 0 ? Lanes<T>{} : lanes(value)[i];
    if (tangent) lanes(tangent)[i] *= slope<A, T>(lanes(value)[i]);
  }
}

// From cotangents of the outputs to cotangents of the inputs; `on_tangent` may be null.
template <int A, class T>
inline void deactivate(int size, const T* value, const T* tangent, T* on_value, T* on_tangent) {
  for (int i = 0; i < size / Vec<T>::count; i++) {
    const Lanes<T> z = lanes(value)[i], down = slope<A, T>(z);
    Lanes<T> found = lanes(on_value)[i] * down;
    if (on_tangent) {
      const Lanes<T> direct = lanes(on_tangent)[i];
      if constexpr (A == TANH) found -= 2 * z * lanes(tangent)[i] * direct;
      if constexpr (A == SIGMOID) found += (1 - 2 * z) * lanes(tangent)[i] * direct;
      lanes(on_tangent)[i] = direct * down;
    }
    lanes(on_value)[i] = found;
  }
}

// An affine map [in, out] at one point and, if dual, along a direction, with its cotangents.
template <class T>
struct Affine {
  int in, out, padded_in, padded_out;
  const T *kernel, *turn, *transposed, *turn_transposed, *bias, *shift;
  T *gradient, *derivative, *on_bias, *on_shift;  // without a direction only gradient, on_bias
};

// Layer values of one block, their tangents and cotangents [BLOCK, width].
template <class T>
struct Layer {
  int width;
  T *value, *tangent, *on_value, *on_tangent;
  const T *values[BLOCK], *tangents[BLOCK];
};

template <class T>
struct Problem {
  int32_t product, activation, mode, num_affine;  // mode: scores, gradient or dual
  int32_t dim, width, padded_dim, padded_width;   // of A and B, and of the first layer
  const int64_t* pointers;
  const int32_t* columns;
  const T *labels, *dots, *dot_tangents;
  T share;
  const T *left, *left_move, *right, *right_move;
  T *on_left, *on_left_move, *on_right, *on_right_move;
  T *residual, *curvature, *on_labels;  // in mode 0 the residual is the score
  Affine<T> first;                      // first layer of products
  Affine<T>* affine;
};

// Sums over some pairs in T, and the sum over all pairs in double, which keeps more digits.
template <class T>
struct Sum {
  T *values, *target;
  std::vector<double> total;
};

}  // namespace
