// The workspace of a sharded call: that of the halves, the partials of all ranks, and vectors that
// nobody looks at. Each begins at a multiple of 256 bytes.
#include "verify/check/sync/sharded.hpp"

#include <algorithm>
#include <utility>

#include "verify/data/random.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::sync {
namespace {

struct Cut {
  const abn_split_variant* base = nullptr;
  ShardPlan plan;
};
// An entry of the ABI takes nothing but its problem and its arguments.
thread_local Cut cut;

constexpr std::size_t boundary = 256;
std::size_t padded(std::size_t bytes) { return (bytes + boundary - 1) / boundary * boundary; }

abn_problem shard_of(const abn_problem& whole, std::int64_t images) {
  abn_problem shard = whole;
  shard.n = images;
  return shard;
}

std::size_t vector_bytes(const abn_problem& p) {
  return padded(static_cast<std::size_t>(p.c) *
                static_cast<std::size_t>(problem::format_of(p.param_dtype).bytes));
}

/// Where the parts of the workspace lie.
struct Places {
  std::size_t own = 0, partial = 0, vectors = 0, each_vector = 0, bytes = 0;

  Places(const abn_problem& whole, int direction) {
    const std::size_t ranks = cut.plan.images.size();
    std::size_t most = 0;
    for (const std::int64_t images : cut.plan.images) {
      const abn_problem shard = shard_of(whole, images);
      most = std::max(most, cut.base->base.workspace_bytes(&shard, direction));
      partial = std::max(partial, cut.base->partial_bytes(&shard, direction));
    }
    own = padded(most);
    vectors = own + padded(partial * ranks);
    each_vector = vector_bytes(whole);
    bytes = vectors + 2 * ranks * each_vector;  // two vectors a rank
  }
};

struct Workspace {
  Places places;
  char* base;
  void* own() const { return base; }
  void* partial(std::size_t rank) const { return base + places.own + rank * places.partial; }
  void* vector(std::size_t rank, std::size_t which) const {
    return base + places.vectors + (2 * rank + which) * places.each_vector;
  }
};

/// The part of a tensor that belongs to a shard; an empty shard has no tensors.
template <class Pointer>
Pointer slice(Pointer tensor, const abn_problem& whole, std::int64_t first, std::int64_t images,
              int dtype) {
  if (tensor == nullptr || images == 0) return nullptr;
  const std::int64_t bytes = first * whole.c * whole.s * problem::format_of(dtype).bytes;
  if constexpr (std::is_const_v<std::remove_pointer_t<Pointer>>)
    return static_cast<const char*>(tensor) + bytes;
  else
    return static_cast<char*>(tensor) + bytes;
}

/// visit(rank, shard, first image) for every rank, until one returns something else than ABN_OK.
template <class Visit>
int for_each_rank(const abn_problem& whole, const Visit& visit) {
  std::int64_t first = 0;
  for (std::size_t rank = 0; rank < cut.plan.images.size(); ++rank) {
    const abn_problem shard = shard_of(whole, cut.plan.images[rank]);
    if (const int status = visit(rank, shard, first); status != ABN_OK) return status;
    first += shard.n;
  }
  return ABN_OK;
}

int claims(const abn_problem* whole, abn_claims* out) {
  if (whole->mode != ABN_TRAINING) return ABN_ERROR_UNSUPPORTED;
  const auto ranks = static_cast<std::int64_t>(cut.plan.images.size());
  const int supported = for_each_rank(*whole, [&](std::size_t, const abn_problem& shard, auto) {
    abn_claims own{};
    own.struct_size = sizeof own;
    return cut.base->base.claims(&shard, &own);
  });
  if (supported != ABN_OK) return supported;
  const int status = cut.base->base.claims(whole, out);
  if (status != ABN_OK) return status;
  if (out->statistics == ABN_TWO_PASS && ranks > 1) out->statistics = ABN_WELFORD;
  out->depth_statistics += ranks, out->depth_backward += ranks;
  out->sweeps_x = out->sweeps_z = out->sweeps_xhat = {};
  out->sweeps_dz = out->sweeps_kept = out->sweeps_dx = {};
  return ABN_OK;
}

std::size_t workspace_bytes(const abn_problem* whole, int direction) {
  return Places(*whole, direction).bytes;
}

int forward(const abn_problem* whole, const abn_forward_args* args) {
  const Workspace workspace{Places(*whole, ABN_FORWARD), static_cast<char*>(args->workspace)};
  const auto arguments = [&](std::size_t rank, const abn_problem& shard, std::int64_t first) {
    abn_forward_args own = *args;
    own.x = slice(args->x, *whole, first, shard.n, whole->dtype);
    own.z = slice(args->z, *whole, first, shard.n, problem::out_type_of(*whole));
    own.xhat = slice(args->xhat, *whole, first, shard.n, whole->dtype);
    own.workspace = workspace.own();
    own.workspace_bytes = cut.base->base.workspace_bytes(&shard, ABN_FORWARD);
    if (rank != cut.plan.shown) {
      own.running_mean = own.running_var = nullptr;
      if (own.mean != nullptr) own.mean = workspace.vector(rank, 0);
      if (own.var != nullptr) own.var = workspace.vector(rank, 1);
    }
    return own;
  };
  const int status =
      for_each_rank(*whole, [&](std::size_t rank, const abn_problem& shard, std::int64_t first) {
        const abn_forward_args own = arguments(rank, shard, first);
        return cut.base->forward_local(&shard, &own, workspace.partial(rank));
      });
  if (status != ABN_OK) return status;
  return for_each_rank(*whole, [&](std::size_t rank, const abn_problem& shard, std::int64_t first) {
    const abn_forward_args own = arguments(rank, shard, first);
    return cut.base->forward_apply(&shard, &own, workspace.partial(0),
                                   static_cast<std::int32_t>(cut.plan.images.size()));
  });
}

/// The local gradients of all ranks, added up as a framework does.
void add_up(const abn_problem& whole, const Workspace& workspace, std::size_t which, void* out) {
  if (out == nullptr || problem::element_count(whole) == 0) return;
  const problem::Format& format = problem::format_of(whole.param_dtype);
  std::vector<double> sum(static_cast<std::size_t>(whole.c)), one(sum.size());
  for (std::size_t rank = 0; rank < cut.plan.images.size(); ++rank) {
    if (cut.plan.images[rank] == 0) continue;  // it has no sums, and may write none
    problem::unpack(format, static_cast<const std::byte*>(workspace.vector(rank, which)), one);
    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += one[c];
  }
  for (double& value : sum) value = problem::round_to(format, value);
  problem::pack(format, sum, static_cast<std::byte*>(out));
}

int backward(const abn_problem* whole, const abn_backward_args* args) {
  const Workspace workspace{Places(*whole, ABN_BACKWARD), static_cast<char*>(args->workspace)};
  const auto arguments = [&](std::size_t rank, const abn_problem& shard, std::int64_t first) {
    const int out_type = problem::out_type_of(*whole);
    abn_backward_args own = *args;
    own.dz = slice(args->dz, *whole, first, shard.n, out_type);
    own.x = slice(args->x, *whole, first, shard.n, whole->dtype);
    own.z = slice(args->z, *whole, first, shard.n, out_type);
    own.xhat = slice(args->xhat, *whole, first, shard.n, whole->dtype);
    own.dx = slice(args->dx, *whole, first, shard.n, whole->dtype);
    own.workspace = workspace.own();
    own.workspace_bytes = cut.base->base.workspace_bytes(&shard, ABN_BACKWARD);
    if (own.dgamma != nullptr) own.dgamma = workspace.vector(rank, 0);
    if (own.dbeta != nullptr) own.dbeta = workspace.vector(rank, 1);
    return own;
  };
  int status =
      for_each_rank(*whole, [&](std::size_t rank, const abn_problem& shard, std::int64_t first) {
        const abn_backward_args own = arguments(rank, shard, first);
        return cut.base->backward_local(&shard, &own, workspace.partial(rank));
      });
  if (status != ABN_OK) return status;
  status =
      for_each_rank(*whole, [&](std::size_t rank, const abn_problem& shard, std::int64_t first) {
        const abn_backward_args own = arguments(rank, shard, first);
        return cut.base->backward_apply(&shard, &own, workspace.partial(0),
                                        static_cast<std::int32_t>(cut.plan.images.size()));
      });
  if (status != ABN_OK) return status;
  add_up(*whole, workspace, 0, args->dgamma);
  add_up(*whole, workspace, 1, args->dbeta);
  return ABN_OK;
}

}  // namespace

ShardPlan plan_of(const abn_problem& problem, std::uint64_t seed) {
  constexpr std::size_t ranks[] = {1, 2, 3, 7};
  const data::Stream draw(seed ^ 0x736861726473U);  // "shards": apart from the data
  ShardPlan plan;
  plan.images.assign(ranks[draw.below(std::size(ranks), 0)], 0);
  // Images go to ranks by lot, the first rank twice as often; what gets none is an empty shard.
  const std::size_t count = plan.images.size();
  for (std::int64_t image = 0; image < problem.n; ++image) {
    const auto drawn = draw.below(count + 1, 2 + static_cast<std::uint64_t>(image));
    ++plan.images[drawn == count ? 0 : drawn];
  }
  plan.shown = draw.below(count, 1);
  return plan;
}

Sharded::Sharded(const abn_split_variant& base, ShardPlan plan) {
  cut = {&base, std::move(plan)};
  variant_ = base.base;
  variant_.struct_size = sizeof variant_;
  variant_.claims = claims;
  variant_.workspace_bytes = workspace_bytes;
  variant_.forward = forward;
  variant_.backward = backward;
}
Sharded::~Sharded() { cut = {}; }

}  // namespace abn::verify::check::sync
