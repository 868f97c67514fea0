// How fast the judge and the emulator are, printed; the exit code is returned.
#pragma once

namespace abn::verify::bench {

int bench_judge();
int bench_emulator();

}  // namespace abn::verify::bench
