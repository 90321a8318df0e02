"""Time the sampling of backbones with the settings of the default command, and print a table.

    python scripts/benchmark.py
    python scripts/benchmark.py --weights runs/mine/weights.safetensors --lengths 100 200 --profile

How to read it. A line is one length and one batch size. For each, a run of sampling that is cut
short to ``--evaluations`` evaluations of the network, spread over all noise levels as in the whole
run, is done ``--repeats`` times after a warm-up.

evaluations
    of the network in a whole run; all backbones of a batch share them.
s/backbone
    Time of a backbone: the median over the repeats of the short run's time, times the whole run's
    evaluations over the short run's, over the batch. Everything counts, sampler and excluded volume
    too; loading weights and writing files do not. With ``--whole`` the time of one whole run.
CPU s
    The same in processor time instead of wall time: what a free machine would need, as far as its
    neighbours take time and not caches and clock. On a GPU, what the host is busy for.
ms/evaluation
    Median time of one evaluation of the network, for the whole batch.
ratio
    That time over the time of a product of two 1024 x 1024 float32 matrices, done right after each
    evaluation (median of both). Clocks and neighbours slow both down, so the ratio carries over to
    a busy machine and to another day; seconds do not.
MB
    Peak memory: on a CPU of the process, with Python and torch in it (measured anew for each line
    on Linux, the highest so far elsewhere; a profile leaves some behind), on a GPU of the tensors.

``--profile`` says for each line where the time goes: the operators with the largest own time; the
share of matrix products and attention; the arithmetic of the products and the bytes that operators
read and write, each with the time that it would take at the speed of the reference product and of a
copy of 64 MiB. An evaluation near the sum of both is as fast as these operators can be; small
tensors stay in the cache, where bytes are cheaper than in the copy.

Only ``--threads`` threads are used; on a GPU the host waits for each evaluation, except with
``--whole``. Nothing is read from or written to structure files, so Biotite is not needed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from protdiff.conditioning.compose import Conditions
from protdiff.design.designer import resolve_device
from protdiff.design.engine import Plan, make_scene
from protdiff.design.sample import make_denoiser, sample_coordinates
from protdiff.design.samplers import make_sampler
from protdiff.design.seeds import make_generator
from protdiff.design.settings import SamplingSettings
from protdiff.design.weights import DEFAULT_WEIGHTS, find_weights
from protdiff.errors import ProtdiffError
from protdiff.model import BackboneModel, load_checkpoint

REFERENCE_SIZE = 1024
COPIED = 2**24  # float32 numbers, 64 MiB: more than caches hold
PRODUCTS = ("aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm")
ATTENTION = "attention"  # in the name of every fused kernel of torch's


@dataclass(frozen=True)
class Timing:
    """One line of the table."""

    length: int
    batch: int
    evaluations: int
    seconds_per_backbone: float
    cpu_seconds_per_backbone: float
    milliseconds_per_evaluation: float
    matmul_milliseconds: float
    ratio: float
    peak_megabytes: float
    whole_run: bool


@dataclass(frozen=True)
class Profile:
    """Where the time of an evaluation goes."""

    operators: list[tuple[str, float, int]]
    """Name, share of the own time of all operators, calls in an evaluation."""
    product_share: float
    product_gigaflops: float
    product_bound_milliseconds: float
    moved_megabytes: float
    copy_bound_milliseconds: float


class Stopwatch:
    """Times each evaluation of a network, and a reference product right after it.

    Parameters
    ----------
    model
        Whose network is watched.
    """

    def __init__(self, model: BackboneModel) -> None:
        self.model = model
        self.evaluations: list[float] = []
        self.products: list[float] = []
        self.wall, self.cpu = 0.0, 0.0  # spent in the reference product
        self._operand = torch.randn(REFERENCE_SIZE, REFERENCE_SIZE, device=model.device)
        self._started = 0.0

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Time the evaluations that are made inside."""
        before = self.model.network.register_forward_pre_hook(self._start)
        after = self.model.network.register_forward_hook(self._stop)
        try:
            yield
        finally:
            before.remove()
            after.remove()

    def _start(self, *_: Any) -> None:
        self._started = self._now()

    def _stop(self, *_: Any) -> None:
        stopped, cpu = self._now(), time.process_time()
        self.evaluations.append(stopped - self._started)
        torch.mm(self._operand, self._operand)
        self.products.append(self._now() - stopped)
        self.wall += self.products[-1]
        self.cpu += time.process_time() - cpu

    def _now(self) -> float:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)
        return time.perf_counter()


class ByteCounter(TorchDispatchMode):
    """Adds up the bytes that operators read and write; views and empty tensors move none."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operator and count."""
        result = func(*args, **(kwargs or {}))
        if not func.is_view and "empty" not in func.name():
            for tensor in _iterate_tensors((args, kwargs or {}, result)):
                # A broadcast tensor is read from what it is stored in.
                size = tensor.numel() * tensor.element_size()
                self.bytes += min(size, tensor.untyped_storage().nbytes())
        return result


def _iterate_tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _iterate_tensors(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _iterate_tensors(value)


def sample(model: BackboneModel, length: int, batch: int, settings: SamplingSettings) -> None:
    """Sample a batch as ``protdiff generate`` does, and wait for it."""
    conditions = Conditions(make_scene(model, [Plan(index, length) for index in range(batch)]))
    sample_coordinates(
        conditions,
        make_denoiser(model, conditions.scene.residue_mask, settings),
        [make_generator(0, index) for index in range(batch)],
        settings,
    )


def shorten(settings: SamplingSettings, evaluations: int) -> SamplingSettings:
    """Return settings with about as many evaluations, and no more than they had."""
    steps = (evaluations - 1) // make_sampler(settings.sampler).evaluations_per_step
    return replace(settings, steps=min(max(steps, 1), settings.steps))


def count_evaluations(settings: SamplingSettings) -> int:
    """Return the evaluations of a run: those of its steps and the final one."""
    return settings.steps * make_sampler(settings.sampler).evaluations_per_step + 1


def time_sampling(
    model: BackboneModel,
    length: int,
    batch: int,
    settings: SamplingSettings,
    *,
    evaluations: int,
    repeats: int,
    whole: bool,
) -> Timing:
    """Time one length and batch size; see the head of this file for what is measured."""
    short = shorten(settings, evaluations)
    reset_peak_memory(model.device)
    sample(model, length, batch, replace(short, steps=2))
    watch = Stopwatch(model)
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter() - watch.wall, time.process_time() - watch.cpu
        with watch.watch():
            sample(model, length, batch, short)
        walls.append(time.perf_counter() - watch.wall - wall)
        cpus.append(time.process_time() - watch.cpu - cpu)
    total = count_evaluations(settings)
    share = count_evaluations(short) / total
    seconds, cpu_seconds = statistics.median(walls) / share, statistics.median(cpus) / share
    if whole:
        wall, cpu = time.perf_counter(), time.process_time()
        sample(model, length, batch, settings)
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    evaluation = statistics.median(watch.evaluations)
    product = statistics.median(watch.products)
    return Timing(
        length,
        batch,
        total,
        seconds / batch,
        cpu_seconds / batch,
        1e3 * evaluation,
        1e3 * product,
        evaluation / product,
        get_peak_memory(model.device),
        whole,
    )


def profile_sampling(
    model: BackboneModel, length: int, batch: int, settings: SamplingSettings, timing: Timing
) -> Profile:
    """Profile a short run, and bound an evaluation by its arithmetic and by its bytes."""
    short = shorten(settings, 5)
    evaluations = count_evaluations(short)
    on_gpu = model.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    with profile(activities=activities) as profiler:
        sample(model, length, batch, short)
    own_time = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    times: dict[str, tuple[float, int]] = {}
    for event in profiler.key_averages():
        # Kernels are listed once more, beside the operators that started them.
        if event.key.startswith("aten::"):
            times[event.key] = (float(getattr(event, own_time)), event.count)
    everything = sum(spent for spent, _ in times.values()) or math.nan
    products = sum(
        spent for name, (spent, _) in times.items() if name in PRODUCTS or ATTENTION in name
    )
    largest = sorted(times.items(), key=lambda item: -item[1][0])[:12]

    with FlopCounterMode(display=False) as flops:
        sample(model, length, batch, short)
    with ByteCounter() as moved:
        sample(model, length, batch, short)
    speed = 2 * REFERENCE_SIZE**3 / timing.matmul_milliseconds  # operations a millisecond
    arithmetic = flops.get_total_flops() / evaluations
    traffic = moved.bytes / evaluations
    return Profile(
        operators=[
            (name.removeprefix("aten::"), spent / everything, round(count / evaluations))
            for name, (spent, count) in largest
        ],
        product_share=products / everything,
        product_gigaflops=arithmetic / 1e9,
        product_bound_milliseconds=arithmetic / speed,
        moved_megabytes=traffic / 1e6,
        copy_bound_milliseconds=1e3 * traffic / measure_copy(model.device),
    )


def measure_copy(device: torch.device, repeats: int = 7) -> float:
    """Return the bytes that a large copy reads and writes in a second."""
    source = torch.ones(COPIED, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return 2 * source.numel() * source.element_size() / statistics.median(times)


def reset_peak_memory(device: torch.device) -> None:
    """Forget the peak so far, where that can be done."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not Linux, or not allowed: the peak of a line is then that of all so far
        return


def get_peak_memory(device: torch.device) -> float:
    """Return the peak in MB; NaN where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def print_profile(timing: Timing, found: Profile) -> None:
    print(f"\nProfile of length {timing.length}, batch {timing.batch}: share, calls an evaluation")
    for name, share, calls in found.operators:
        print(f"  {share:6.1%} {calls:6d}  {name}")
    print(
        f"  matrix products and attention: {found.product_share:.1%} of the operators' time\n"
        f"  {found.product_gigaflops:.3g} GFLOP of products: "
        f"{found.product_bound_milliseconds:.3g} ms at the speed of the reference product\n"
        f"  {found.moved_megabytes:.4g} MB read and written: "
        f"{found.copy_bound_milliseconds:.3g} ms at the speed of a copy\n"
        f"  one evaluation of the network: {timing.milliseconds_per_evaluation:.3g} ms\n"
    )


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--weights", default=DEFAULT_WEIGHTS, help="name or path (%(default)s)")
    add("--lengths", type=int, nargs="+", default=[100, 200], help="residues")
    add("--batch-sizes", type=int, nargs="+", default=[1, 8], help="backbones at once")
    add("--threads", type=int, default=1, help="CPU threads")
    add("--device", default="auto", help="auto, cpu, cuda, ...")
    add("--evaluations", type=int, default=13, help="of a short run (%(default)s)")
    add("--repeats", type=int, default=3, help="of the short run (%(default)s)")
    add("--whole", action="store_true", help="take seconds from one whole run")
    add("--profile", action="store_true", help="say where the time goes")
    add("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace) -> None:
    device = resolve_device(options.device)
    model = load_checkpoint(find_weights(options.weights), device=device)
    settings = SamplingSettings()
    lines = []
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    if not options.json:
        print(
            f"{model.name}, {name}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
            f"{settings.sampler}, {settings.steps} steps; seconds from "
            + ("a whole run" if options.whole else "short runs")
        )
        print("length  batch  evaluations  s/backbone   CPU s  ms/evaluation   ratio      MB")
    for length in options.lengths:
        for batch in options.batch_sizes:
            timing = time_sampling(
                model,
                length,
                batch,
                settings,
                evaluations=options.evaluations,
                repeats=options.repeats,
                whole=options.whole,
            )
            line = asdict(timing)
            if not options.json:
                print(
                    f"{length:6d}  {batch:5d}  {timing.evaluations:11d}"
                    f"  {timing.seconds_per_backbone:10.3f}"
                    f"  {timing.cpu_seconds_per_backbone:6.3f}"
                    f"  {timing.milliseconds_per_evaluation:13.2f}"
                    f"  {timing.ratio:6.2f}  {timing.peak_megabytes:6.0f}",
                    flush=True,
                )
            if options.profile:
                found = profile_sampling(model, length, batch, settings, timing)
                line["profile"] = asdict(found)
                if not options.json:
                    print_profile(timing, found)
            lines.append(line)
    if options.json:
        report = {
            "weights": model.name,
            "sha256": model.sha256,
            "device": name,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "settings": asdict(settings),
            "timings": lines,
        }
        print(json.dumps(report, indent=2))


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        measure(options)
    except ProtdiffError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    finally:
        torch.set_num_threads(threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
