"""Where bench_peers.py runs, a GPU or the CPU, there for a dry run or in earnest: how many buffer
sets, how a pass is captured, and the clock."""
import gc
import math
import os
import time

import torch

import abn_kernels as abn

MOST_SETS, DRY_BYTES = 256, 1 << 20


def reason(wrong):
    lines = str(wrong).strip().splitlines()
    return (lines[0] if lines else type(wrong).__name__)[:200]


class Gpu:
    memory, name, room = abn.MEMORY_CUDA, "cuda", "the memory"

    def __init__(self):
        properties = torch.cuda.get_device_properties(0)
        self.stream = torch.cuda.Stream()
        # One stream for everything: autograd replays on the stream of forward.
        torch.cuda.set_stream(self.stream)
        # Older versions of PyTorch do not say.
        self.cache = getattr(properties, "L2_cache_size", 0) or 64 << 20
        self.settings = {"GPU": properties.name,
                         "second-level cache": f"{self.cache / 2**20:.0f} MiB",
                         "PyTorch": torch.__version__,
                         "cuDNN": str(torch.backends.cudnn.version()),
                         "CUDA of PyTorch": str(torch.version.cuda)}

    def sets(self, problem, competitors):
        """Enough to outgrow the cache even for who touches each set's x alone; no more than fit."""
        gc.collect()
        wanted = min(MOST_SETS, max(2, math.ceil(3 * self.cache / problem.bytes())))
        torch.cuda.empty_cache()
        room = 0.7 * torch.cuda.mem_get_info()[0] / problem.bytes()  # tensors
        # x, z, dz; two outputs and temporaries a competitor.
        return min(wanted, int((room - 6) / (3 + 4 * competitors)))

    def stream_handle(self):
        return torch.cuda.current_stream().cuda_stream

    def capture(self, work):
        """What runs `work` once, and how: as one CUDA graph, or without and why."""
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):
                work()
            graph.replay()
            torch.cuda.synchronize()
            return graph.replay, "graph"
        except Exception as wrong:  # whatever is thrown in here, it may still work without
            torch.cuda.synchronize()
            work()
            return work, "no graph: " + reason(wrong)

    def seconds(self, work):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        if hasattr(torch.cuda, "_sleep"):
            # Cycles in which the host gets ahead, so that its launch is not in the time.
            torch.cuda._sleep(500_000)
        begin.record()
        work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3


class Cpu:
    memory, name = abn.MEMORY_HOST, "cpu"

    def sets(self, problem, competitors):
        return self.most_sets(problem) if problem.bytes() <= self.most_bytes else 0

    def stream_handle(self):
        return None

    def capture(self, work):
        return work, "no graph: CPU"

    def seconds(self, work):
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin


class DryCpu(Cpu):
    room, most_bytes = "a dry run", DRY_BYTES

    def __init__(self):
        torch.set_num_threads(1)
        self.settings = {"device": "CPU, our kernels on the emulator: a dry run",
                         "PyTorch": torch.__version__}

    def most_sets(self, problem):
        return 2


class TimedCpu(Cpu):
    """For the variants in abn.HOST_CODE. As many threads for ours as for PyTorch."""
    room, most_bytes = "1 GiB", 1 << 30

    def __init__(self, threads):
        if threads > 0:
            torch.set_num_threads(threads)
        threads = torch.get_num_threads()
        os.environ["ABN_CPU_THREADS"] = str(threads)  # read at the first call
        self.settings = {"CPU": processor_name(), "threads": str(threads),
                         "PyTorch": torch.__version__}

    def most_sets(self, problem):
        """Some, so that a pass is long enough for the clock; their buffers are filled just before,
        as those of a layer are by the layer in front of it."""
        return min(16, max(1, DRY_BYTES * 64 // problem.bytes()))


def processor_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        names = {key.strip(): value.strip() for key, value in fields.items()}
        return (f'{names["model name"]}, family {names["cpu family"]} model {names["model"]}, '
                f"{os.cpu_count()} processors")
    except (OSError, KeyError):
        return "unknown"
