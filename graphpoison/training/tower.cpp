// Scores of pairs by a tower, their gradients and the derivatives of gradients, in one loop.
//
// The loop takes one row (user) and one block of the row's pairs at a time, so that all layers stay
// in the first-level cache. dual.py explains tangents and derivatives of gradients. Widths are
// padded to whole vectors; the padding is never read as an input.

#include "tower.h"

namespace {

template <int A, class T>
struct Pass {
  const Problem<T>& p;
  const bool dual;
  std::vector<std::unique_ptr<T, void (*)(void*)>> owned;
  std::vector<Layer<T>> layers;
  std::vector<Sum<T>> sums;
  std::vector<Affine<T>> maps;
  Affine<T> first, row;  // W_1, and diag(A_u) W_1 for the current user
  T *kernel, *turn, *transposed, *turn_transposed, *on_inputs, *on_moves, *zero;
  const T *items[BLOCK], *item_moves[BLOCK];

  inline explicit Pass(const Problem<T>& problem) : p(problem), dual(problem.mode == DUAL) {
    layers.resize(p.num_affine + 1);
    for (int l = 0; l <= p.num_affine; l++) {
      Layer<T>& layer = layers[l];
      layer.width = l ? p.affine[l - 1].padded_out : p.padded_width;
      for (T** part : {&layer.value, &layer.tangent, &layer.on_value, &layer.on_tangent})
        *part = zeros(owned, BLOCK * layer.width);
      for (int v = 0; v < BLOCK; v++) {
        layer.values[v] = layer.value + v * layer.width;
        layer.tangents[v] = layer.tangent + v * layer.width;
      }
    }
    for (int l = 0; l < p.num_affine; l++) maps.push_back(with_sums(p.affine[l]));
    row = first = with_sums(p.first);
    const int down = p.dim * p.padded_width, up = p.width * p.padded_dim;
    row.kernel = kernel = zeros(owned, down), row.turn = turn = zeros(owned, down);
    row.gradient = zeros(owned, down), row.derivative = zeros(owned, down);
    row.transposed = transposed = zeros(owned, up);
    row.turn_transposed = turn_transposed = zeros(owned, up);
    on_inputs = zeros(owned, BLOCK * p.padded_dim);
    on_moves = zeros(owned, BLOCK * p.padded_dim);
    int widest = p.padded_dim;
    for (const Layer<T>& layer : layers) widest = std::max(widest, layer.width);
    zero = zeros(owned, widest);
  }

  inline void begin_row(int64_t user) {
    const T *left = p.left + user * p.padded_dim, *move = p.left_move + user * p.padded_dim;
    for (int d = 0; d < p.dim; d++)
      for (int h = 0; h < p.padded_width; h += Vec<T>::count) {
        const int at = d * p.padded_width + h;
        const Lanes<T> weight = *lanes(p.first.kernel + at);
        *lanes(kernel + at) = left[d] * weight;
        if (dual) *lanes(turn + at) = move[d] * weight + left[d] * *lanes(p.first.turn + at);
      }
    for (int h = 0; h < p.width; h++)
      for (int d = 0; d < p.padded_dim; d += Vec<T>::count) {
        const int at = h * p.padded_dim + d;
        const Lanes<T> weight = *lanes(p.first.transposed + at);
        *lanes(transposed + at) = *lanes(left + d) * weight;
        if (dual)
          *lanes(turn_transposed + at) =
              *lanes(move + d) * weight + *lanes(left + d) * *lanes(p.first.turn_transposed + at);
      }
    std::fill(row.gradient, row.gradient + p.dim * p.padded_width, T(0));
    std::fill(row.derivative, row.derivative + p.dim * p.padded_width, T(0));
  }

  inline void end_row(int64_t user) {
    const T *left = p.left + user * p.padded_dim, *move = p.left_move + user * p.padded_dim;
    T *on_left = p.on_left + user * p.padded_dim, *on_move = p.on_left_move + user * p.padded_dim;
    for (int d = 0; d < p.dim; d++) {
      Lanes<T> sum = {}, turned = {};
      for (int h = 0; h < p.padded_width; h += Vec<T>::count) {
        const int at = d * p.padded_width + h;
        const Lanes<T> gradient = *lanes(row.gradient + at), weight = *lanes(p.first.kernel + at);
        sum += gradient * weight;
        *lanes(first.gradient + at) += gradient * left[d];
        if (!dual) continue;
        const Lanes<T> derivative = *lanes(row.derivative + at);
        turned += derivative * weight + gradient * *lanes(p.first.turn + at);
        *lanes(first.derivative + at) += derivative * left[d] + gradient * move[d];
      }
      for (int lane = 0; lane < Vec<T>::count; lane++) {
        on_left[d] += sum[lane];
        if (dual) on_move[d] += turned[lane];
      }
    }
  }

  inline void run(int64_t begin, int64_t end) {
    int64_t pairs = 0;
    for (int64_t user = begin; user < end; user++) {
      const int64_t from = p.pointers[user], to = p.pointers[user + 1];
      if (from == to) continue;
      if (p.product) begin_row(user);
      for (int64_t start = from; start < to; start += BLOCK) {
        const int n = int(std::min<int64_t>(BLOCK, to - start));
        block(user, start, n);
        if ((pairs += n) < MANY) continue;
        take_sums();
        pairs = 0;
      }
      if (p.product && p.mode) end_row(user);
    }
    take_sums();
    for (const Sum<T>& sum : sums) std::copy(sum.total.begin(), sum.total.end(), sum.target);
  }

  // A buffer for sums of gradients, which run() adds up in double and writes to `target` in the
  // end. Null if `target` is null.
  inline T* summed(T* target, int size) {
    if (!target) return nullptr;
    sums.push_back({zeros(owned, size), target, std::vector<double>(size, 0.0)});
    return sums.back().values;
  }

  inline Affine<T> with_sums(Affine<T> map) {
    const int size = map.in * map.padded_out;
    map.gradient = summed(map.gradient, size), map.derivative = summed(map.derivative, size);
    map.on_bias = summed(map.on_bias, map.padded_out);
    map.on_shift = summed(map.on_shift, map.padded_out);
    return map;
  }

  inline void take_sums() {
    for (Sum<T>& sum : sums)
      for (size_t i = 0; i < sum.total.size(); i++) {
        sum.total[i] += sum.values[i];
        sum.values[i] = 0;
      }
  }

  inline void block(int64_t user, int64_t start, int n) {
    const int padded = (n + GROUP - 1) / GROUP * GROUP;
    const int stride = p.product ? p.padded_dim : p.padded_width;
    for (int v = 0; v < padded; v++) {
      const int64_t column = p.columns[start + std::min(v, n - 1)];
      items[v] = p.right + column * stride;
      item_moves[v] = dual ? p.right_move + column * stride : nullptr;
    }
    forward(user, padded);
    if (outputs(start, n, padded)) backward(user, start, n, padded);
  }

  inline void forward(int64_t user, int n) {
    first_forward(user, n);
    Layer<T>* layer = layers.data();
    activate<A>(n * layer->width, layer->value, dual ? layer->tangent : nullptr);
    for (int l = 0; l < p.num_affine; l++, layer++) {
      const Affine<T>& map = maps[l];
      Layer<T>& next = layer[1];
      map_forward(n, layer->values, layer->tangents, map, next);
      if (l + 1 < p.num_affine)
        activate<A>(n * next.width, next.value, dual ? next.tangent : nullptr);
    }
  }

  inline void first_forward(int64_t user, int n) {
    Layer<T>& layer = layers[0];
    if (p.product) return map_forward(n, items, item_moves, row, layer);
    const T *left = p.left + user * layer.width, *move = p.left_move + user * layer.width;
    for (int v = 0; v < n; v++)
      for (int h = 0; h < layer.width; h++) {
        layer.value[v * layer.width + h] = left[h] + items[v][h];
        if (dual) layer.tangent[v * layer.width + h] = move[h] + item_moves[v][h];
      }
  }

  inline void map_forward(int n, const T* const* values, const T* const* tangents,
                          const Affine<T>& map, Layer<T>& next) {
    affine(n, values, map.in, map.kernel, map.padded_out, map.bias, next.value);
    if (!dual) return;
    affine(n, tangents, map.in, map.kernel, map.padded_out, map.shift, next.tangent);
    affine<T>(n, values, map.in, map.turn, map.padded_out, nullptr, next.tangent);
  }

  // Writes the cotangents of the scores, and 0 where there is no pair. Returns false in mode
  // SCORES, which needs no backward pass.
  inline bool outputs(int64_t start, int n, int padded) {
    Layer<T>& last = layers.back();
    std::fill(last.on_value, last.on_value + padded * last.width, T(0));
    std::fill(last.on_tangent, last.on_tangent + padded * last.width, T(0));
    for (int v = 0; v < n; v++) {
      const int64_t pair = start + v;
      const T score = last.value[v * last.width] + (p.dots ? p.dots[pair] : T(0));
      if (!p.mode) {
        p.residual[pair] = score;
        continue;
      }
      const T probability = 1 / (1 + std::exp(-score));
      const T residual = (probability - p.labels[pair]) * p.share;
      if (p.residual) p.residual[pair] = residual;
      last.on_value[v * last.width] = residual;
      if (!dual) continue;
      T change = last.tangent[v * last.width] + (p.dot_tangents ? p.dot_tangents[pair] : T(0));
      change *= p.share;
      p.on_labels[pair] = -change;
      const T curvature = probability * (1 - probability) * change;
      if (p.curvature) p.curvature[pair] = curvature;
      last.on_value[v * last.width] = curvature;
      last.on_tangent[v * last.width] = residual;
    }
    return p.mode;
  }

  inline void backward(int64_t user, int64_t start, int n, int padded) {
    for (int l = p.num_affine - 1; l >= 0; l--) {
      const Affine<T>& map = maps[l];
      Layer<T>&layer = layers[l], &next = layers[l + 1];
      map_gradients(n, layer.values, layer.tangents, map, next);
      map_backward(padded, map, next, layer.on_value, layer.on_tangent);
      deactivate<A>(n * layer.width, layer.value, layer.tangent, layer.on_value,
                 dual ? layer.on_tangent : nullptr);
    }
    first_backward(user, start, n, padded);
  }

  inline void first_backward(int64_t user, int64_t start, int n, int padded) {
    Layer<T>& layer = layers[0];
    const int width = layer.width;
    if (p.product) {
      map_gradients(n, items, item_moves, row, layer);
      map_backward(padded, row, layer, on_inputs, on_moves);
      scatter(start, n, on_inputs, p.padded_dim, dual ? p.on_right_move : p.on_right);
      if (dual) scatter(start, n, on_moves, p.padded_dim, p.on_right);
      return;
    }
    add_rows(n, layer.on_value, width, (dual ? p.on_left_move : p.on_left) + user * width);
    scatter(start, n, layer.on_value, width, dual ? p.on_right_move : p.on_right);
    if (!dual) return;
    add_rows(n, layer.on_tangent, width, p.on_left + user * width);
    scatter(start, n, layer.on_tangent, width, p.on_right);
  }

  inline void scatter(int64_t start, int n, const T* rows, int width, T* total) {
    for (int v = 0; v < n; v++)
      add_rows(1, rows + v * width, width, total + p.columns[start + v] * int64_t(width));
  }

  inline void map_gradients(int n, const T* const* values, const T* const* tangents,
                            const Affine<T>& map, const Layer<T>& next) {
    const int width = map.padded_out;
    outer(n, values, map.in, next.on_value, width, dual ? map.derivative : map.gradient);
    add_rows(n, next.on_value, width, dual ? map.on_shift : map.on_bias);
    if (!dual) return;
    add_rows(n, next.on_tangent, width, map.on_bias);
    outer(n, tangents, map.in, next.on_tangent, width, map.derivative);
    outer(n, values, map.in, next.on_tangent, width, map.gradient);
  }

  inline void map_backward(int n, const Affine<T>& map, const Layer<T>& next, T* on_value,
                           T* on_tangent) {
    const T *on_values[BLOCK], *on_tangents[BLOCK];
    for (int v = 0; v < n; v++) {
      on_values[v] = next.on_value + v * map.padded_out;
      on_tangents[v] = next.on_tangent + v * map.padded_out;
    }
    const int width = map.padded_in;
    affine(n, on_values, map.out, map.transposed, width, zero, on_value);
    if (!dual) return;
    affine<T>(n, on_tangents, map.out, map.turn_transposed, width, nullptr, on_value);
    affine(n, on_tangents, map.out, map.transposed, width, zero, on_tangent);
  }
};

template <int A, class T>
int run_all(const Problem<T>* problems, const int64_t* cuts, int count) {
  std::vector<std::unique_ptr<Pass<A, T>>> passes;
  try {
    for (int i = 0; i < count; i++) passes.emplace_back(new Pass<A, T>(problems[i]));
  } catch (const std::bad_alloc&) {
    return 1;
  }
#pragma omp parallel for num_threads(count) schedule(static, 1)
  for (int i = 0; i < count; i++) passes[i]->run(cuts[i], cuts[i + 1]);
  return 0;
}

template <class T>
int run(const Problem<T>* problems, const int64_t* cuts, int count) {
  const int activation = problems[0].activation;
  if (activation == RELU) return run_all<RELU>(problems, cuts, count);
  if (activation == TANH) return run_all<TANH>(problems, cuts, count);
  return run_all<SIGMOID>(problems, cuts, count);
}

}  // namespace

// tower_float32 and tower_float64 compute the rows from cuts[i] up to cuts[i + 1] of problem i, in
// a thread for each problem. Each problem has its own gradients. The result is not 0 if memory runs
// out.
extern "C" {
// The sizes of the structures, by which Python refuses a loop that was built from other sources.
int64_t tower_sizes() {
  return (sizeof(Problem<float>) * 1000 + sizeof(Problem<double>)) * 1000 + sizeof(Affine<float>);
}

int tower_threads() {
#ifdef _OPENMP
  return 1;
#else
  return 0;
#endif
}

int tower_float32(const Problem<float>* problems, const int64_t* cuts, int count) {
  return run(problems, cuts, count);
}

int tower_float64(const Problem<double>* problems, const int64_t* cuts, int count) {
  return run(problems, cuts, count);
}
}
