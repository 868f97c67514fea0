// Asynchronous copies among those who access memory: what a copy knows, and who comes to know of
// it. Nothing here does anything where nobody looks.
//
// A copy knows what the thread that started it knew then, and accesses memory at some later time.
// All copies of one kind of a block are one actor: its ranks are the threads that started them, and
// its times count each thread's copies, so that a wait, which is for all copies before a certain
// one, is a single number. All copies that count at one mbarrier are an actor as well: a phase that
// is complete hands over all of them that were started before, though not what their threads did
// before they started them: for that they arrive. No copy happens before another one unless its
// thread has waited in between.
//
// Bulk copies read shared memory through another proxy: they know only those ordinary stores that a
// proxy fence has made known to them. A fence takes a picture of all that its thread knows, and a
// bulk store sees the pictures of the fences that happen before it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/emulator/block.hpp"
#include "cuda/emulator/block_copies.hpp"
#include "cuda/emulator/clock.hpp"

namespace abn::emulator {

// The epoch of one access of a copy that `issuer` started as its `time`-th of this kind.
Epoch epoch_of(CopyActor& actor, const Thread& issuer, std::uint32_t time, bool bulk);

Known knowledge_of(Thread& issuer);  // where it starts a copy
// One access of a copy. False: it was reported, and the launch is to be left.
bool copy_reads(Epoch now, const Known& known, const void* address, std::size_t bytes, Where where);
bool copy_writes(Epoch now, const Known& known, void* address, std::size_t bytes, Where where);
// The thread has waited for its copies before `time`; a phase is complete, and with it all copies
// before `time`.
void learn_of_copies(Thread& thread, CopyActor actor, std::uint32_t time);
void release_copies(Sync& phase, CopyActor actor, std::uint32_t time);

// What moves counts where a copy is started: elements as loads of their lanes, bulk copies as one
// request.
void count_element(const Thread& issuer, const void* global, unsigned bytes, Where where);
void count_bulk(const void* global, std::size_t bytes, bool store);

void take_picture(Thread& thread);                                // at a proxy fence
void merge_pictures(Block& block);                                // at a barrier of the block
void exchange_pictures(Block* const* blocks, std::size_t count);  // of a cluster
// Ends the launch where a bulk store reads what was stored without a proxy fence since. False:
// there is no telling, since the launch is not sanitised, or since the grid has met and all that
// came before it is forgotten.
bool check_proxy(const Thread& issuer, const void* shared, std::size_t bytes, Where where);

// Of the thread that runs: the operations on an mbarrier are atomics, and one that races with its
// initialisation is a race.
void use_mbarrier(const void* barrier, bool initialises, Where where);

}  // namespace abn::emulator
