// Steps, in the order of the calls.
#include "verify/worker/step_recorder.hpp"

#include <stdexcept>

namespace abn::verify::worker {

Spot spot_in(const SharedPlace& place, const void* pointer) {
  return {place.segment, place.begin + static_cast<std::uint64_t>(
                                           static_cast<const std::byte*>(pointer) - place.address)};
}

Spot StepRecorder::spot(const void* pointer) {
  if (pointer == nullptr) return {};
  if (on_gpu_) return {0, reinterpret_cast<std::uint64_t>(pointer)};
  const SharedPlace place = place_of_shared(pointer);
  places.emplace(place.segment, place);
  return spot_in(place, pointer);
}

void StepRecorder::copy(const void* to, const void* from, std::size_t bytes) {
  if (!question.calls.empty()) throw std::logic_error("a recording copies behind its calls");
  question.copies.push_back({spot(to), spot(from), bytes});
}

void StepRecorder::call(RemoteVariant& variant, const VariantQuestion& which, Entry entry,
                        const abn_problem& problem, std::size_t workspace_bytes,
                        std::initializer_list<const void*> pointers) {
  if (called != nullptr && (called != &variant || question.entry != entry ||
                            question.workspace_bytes != workspace_bytes))
    throw std::logic_error("a recording has calls of one kind");
  called = &variant;
  question.variant = which, question.problem = {problem}, question.entry = entry;
  question.workspace_bytes = workspace_bytes;
  auto& call = question.calls.emplace_back();
  for (const void* const pointer : pointers) call.push_back(spot(pointer));
}

}  // namespace abn::verify::worker
