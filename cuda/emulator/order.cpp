// Happens-before: declared for those who build on it; the clocks follow.
#include "cuda/emulator/order.hpp"

namespace abn::emulator {

struct Sync::State {};
struct Agent::State {};

Sync::Sync() = default;
Sync::~Sync() = default;
Sync::Sync(Sync&&) noexcept = default;
Sync& Sync::operator=(Sync&&) noexcept = default;
void Sync::clear() { state.reset(); }
void release(Thread&, Sync&) {}
void acquire(Thread&, const Sync&) {}

Agent::Agent(Thread&, Where) {}
Agent::~Agent() = default;
Agent::Agent(Agent&&) noexcept = default;
Agent& Agent::operator=(Agent&&) noexcept = default;
bool Agent::read(const void*, std::size_t) { return true; }
bool Agent::write(void*, std::size_t) { return true; }
void Agent::acquire(const Sync&) {}
void Agent::release(Sync&) {}

}  // namespace abn::emulator
