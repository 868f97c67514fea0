// The buffers of one call: guarded on both sides, poisoned where a kernel has to write, at offsets
// that no kernel asked for.
//
// All buffers of a call lie in one block of device memory, prepared as an image on the host:
//
//   guard | x | guard | gamma | guard | z | guard | ... | workspace | guard
//
// After the call the block is read back and every byte that had to stay is compared. Guards and
// poison are made of words that are a NaN in every type at once, so that reading them shows in the
// result, too; in calls with finite poison they are finite, and the guards larger than any result.
// They differ by seed and position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "verify/call/device.hpp"
#include "verify/problem/format.hpp"
#include "verify/worker/touch.hpp"

namespace abn::verify::call {

enum class Role : std::uint8_t {
  input,      ///< must come back byte for byte
  output,     ///< poisoned before the call
  updated,    ///< given and written, as running statistics are
  workspace,  ///< poisoned, never looked at
};

/// Where a buffer may begin.
enum class Placement : std::uint8_t {
  aligned,  ///< on a 256-byte boundary, as allocators give
  /// all at the same distance from such a boundary, which is as little aligned as the variant's
  /// claim permits
  shifted,
  mixed,  ///< each at a distance of its own
  /// Each as near to the end of a page, or at the beginning of one, as its alignment permits, with
  /// pages of guards alone behind and before: see closed_pages().
  ends_at_page,
  begins_at_page,
};

/// Fills outputs before a call.
enum class Poison : std::uint8_t {
  nan,  ///< NaNs in every type: whatever is computed from them is seen
  /// finite values in every type: for kernels that lose a NaN on the way, as max and comparisons do
  finite,
};

/// Bytes of a buffer, or of the guards beside it, that a call changed.
struct Change {
  std::string buffer;  ///< "x", "workspace", ...
  /// the first one, as an index into the buffer; negative or past its end for a guard
  std::int64_t element;
  std::int64_t bytes;  ///< how many bytes in all
};

/// Device memory that several arenas use one after the other, so that their buffers lie at the same
/// addresses. Not for two threads at once.
class Block {
 public:
  /// What it gives begins `shift` bytes, a multiple of 256, into what the device allocated.
  explicit Block(Device& device, std::size_t shift = 0) : device_(device), shift_(shift) {}
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  /// Of at least so many bytes; where it lies changes only when it has to grow.
  std::byte* memory(std::size_t bytes);

 private:
  Device& device_;
  std::size_t shift_;
  std::byte* memory_ = nullptr;  ///< as allocated
  std::size_t bytes_ = 0;
};

class Arena {
 public:
  static constexpr std::size_t guard_bytes = 4096;
  static constexpr int pages_apart = 4;

  /// `alignment` as in abn_claims. One seed decides the offsets, the same in all calls that are to
  /// be compared; the other guards and poison. `block`: its memory instead of memory of its own.
  Arena(Device& device, Placement placement, Poison poison, int alignment,
        std::uint64_t offset_seed, std::uint64_t poison_seed, Block* block = nullptr);
  ~Arena();
  /// The arena begins in a page whose number is `page` modulo pages_apart, wherever the allocator
  /// puts its memory; upload() comes later. Not for an arena in a Block.
  void begin_in_page(int page) { page_ = page; }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Adds a buffer and returns its number. `values` are packed in `format`; outputs have a count
  /// only.
  int add(std::string name, Role role, const problem::Format& format,
          std::span<const double> values);
  int add_output(std::string name, const problem::Format& format, std::size_t count);
  int add_workspace(std::size_t bytes);

  /// Copies the image to the device; from then on address() is valid.
  void upload();
  void* address(int buffer) const;
  /// Waits for the device and reads everything back.
  void download();

  /// Is everything still as it was read back? Threads that go on when a call has returned write
  /// later. True on devices whose memory cannot be looked at.
  bool settled() const;

  std::vector<double> values(int buffer) const;
  std::span<const std::byte> bytes(int buffer) const;
  const problem::Format& format(int buffer) const {
    return *slots_[static_cast<std::size_t>(buffer)].format;
  }
  const std::string& name(int buffer) const {
    return slots_[static_cast<std::size_t>(buffer)].name;
  }

  /// All buffers, in the order in which they were added; upload() comes first.
  struct View {
    const std::string& name;
    Role role;
    const problem::Format& format;  ///< of its elements; the workspace has none of its own
    const std::byte* address;
    std::size_t bytes;
  };
  std::vector<View> views() const;

  /// Of ends_at_page and begins_at_page: the pages around the buffers, in which nothing of a buffer
  /// lies; a call may be made with these closed. upload() comes first.
  std::vector<worker::Pages> closed_pages() const;

  /// What lies beside a buffer, named after the nearest.
  struct Beside {
    std::string buffer;
    std::int64_t element;  ///< negative, or past its end
  };
  Beside beside(const std::byte* address) const;

  /// Guards that were written to.
  std::vector<Change> broken_guards() const;
  /// Inputs that were written to.
  std::vector<Change> changed_inputs() const;
  /// Outputs and updated buffers that were written to: none may where there is no work, or where
  /// the call was refused.
  std::vector<Change> written() const;
  /// Does the element still hold its poison?
  bool holds_poison(int buffer, std::size_t element) const;

 private:
  struct Slot {
    std::string name;
    Role role;
    const problem::Format* format;
    std::size_t begin, bytes;
    std::size_t pages_begin, pages_end;  ///< those that hold it, of the placements by page
  };
  bool by_page() const {
    return placement_ == Placement::ends_at_page || placement_ == Placement::begins_at_page;
  }
  std::vector<Change> changed(bool inputs) const;
  int place(std::string name, Role role, const problem::Format& format, std::size_t bytes,
            std::size_t boundary);
  enum class Filling : std::uint8_t { guard, poison };
  void fill(std::size_t begin, std::size_t end, Filling filling);

  Device& device_;
  std::optional<int> page_;
  Placement placement_;
  Poison poison_;
  std::size_t alignment_;
  std::uint64_t offset_seed_, poison_seed_;
  std::vector<Slot> slots_;
  std::vector<std::byte> before_, after_;
  std::byte *allocated_ = nullptr, *memory_ = nullptr;  ///< what is released, what is used
  Block* block_;
};

}  // namespace abn::verify::call
