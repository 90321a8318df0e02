"""Time the sampling of backbones with the settings of the default command, and print a table.

    python scripts/benchmark.py
    python scripts/benchmark.py --weights runs/mine/weights.safetensors --lengths 100 200 --profile
    python scripts/benchmark.py --lengths 128 256 512 --batch-sizes 1 --evaluations 2 --repeats 1
    python scripts/benchmark.py --training --lengths 104 --batch-sizes 10 180 --precision bfloat16

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

Under the table stand the growth of the time with the length, as the exponent p of L^p between the
shortest length of 128 residues and more and the longest (smallest batch), and what a backbone of
the largest batch costs beside one of the smallest; of a CPU both by processor time.

``--precision bfloat16`` samples under autocast (geometry stays float32), ``--compile`` compiles the
network as ``protdiff generate --compile`` does; under each line stands then what the first, short
run took, with compilation where there was one. With ``--training`` it compiles for each shape.

``--training`` times steps of training instead, on random walks of each length: a batch is what is
drawn, gathered, denoised and learned from in a step, with self-conditioning in half of the steps,
motifs in a fifth, and Muon with AdamW.

Freed memory is kept for the next tensor, as the command ``protdiff`` does it on Linux; with
``--return-memory`` it goes back to the system, which is what a process of one's own does.

Only ``--threads`` threads are used; on a GPU the host waits for each evaluation, except with
``--whole``. Nothing is read from or written to structure files, so Biotite is not needed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from protdiff.checkpoint import load_checkpoint
from protdiff.conditioning.compose import Conditions
from protdiff.design.batching import make_scene
from protdiff.design.engine import Plan
from protdiff.design.sample import make_denoiser, sample_coordinates
from protdiff.design.samplers import make_sampler
from protdiff.design.seeds import make_generator
from protdiff.design.settings import SamplingSettings
from protdiff.device import find_device
from protdiff.errors import ProtdiffError
from protdiff.memory import reuse_memory
from protdiff.model import BackboneModel
from protdiff.training import Trainer, TrainingConfig
from protdiff.training.dataset import write_dataset
from protdiff.training.machine import use_cpu
from protdiff.training.sampling import BUCKET
from protdiff.weights import DEFAULT_WEIGHTS, find_weights

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
    first_seconds: float = 0.0
    first_cpu_seconds: float = 0.0


@dataclass(frozen=True)
class TrainingTiming:
    """One line of the table of training."""

    length: int
    batch: int
    milliseconds_per_step: float
    samples_per_second: float
    cpu_samples_per_second: float
    matmul_milliseconds: float
    ratio_per_sample: float
    peak_megabytes: float


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
    """Times each evaluation of a model's networks, and a reference product right after it.

    Parameters
    ----------
    model
        Whose networks are watched.
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
        expert = self.model.expert
        watched: list[torch.nn.Module] = [self.model.compiled or self.model.network]
        if expert is not None:
            watched.append(expert.compiled or expert.network)
        hooks = [one.register_forward_pre_hook(self._start) for one in watched]
        hooks += [one.register_forward_hook(self._stop) for one in watched]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _start(self, *_: Any) -> None:
        self._started = self._now()

    def _stop(self, *_: Any) -> None:
        stopped, cpu = self._now(), time.process_time()
        self.evaluations.append(stopped - self._started)
        with torch.autocast(self.model.device.type, enabled=False):
            torch.mm(self._operand, self._operand)
        self.products.append(self._now() - stopped)
        self.wall += self.products[-1]
        self.cpu += time.process_time() - cpu

    def _now(self) -> float:
        wait(self.model.device)
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


def shorten(settings: SamplingSettings, length: int, evaluations: int) -> SamplingSettings:
    """Return settings with about as many evaluations, and no more than they had."""
    steps = (evaluations - 1) // make_sampler(settings.sampler).evaluations_per_step
    return replace(settings, steps=min(max(steps, 1), settings.get_steps(length)))


def count_evaluations(settings: SamplingSettings, length: int) -> int:
    """Return the evaluations of a run: those of its steps and the final one."""
    return settings.get_steps(length) * make_sampler(settings.sampler).evaluations_per_step + 1


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
    short = shorten(settings, length, evaluations)
    reset_peak_memory(model.device)
    wall, cpu = time.perf_counter(), time.process_time()
    sample(model, length, batch, replace(short, steps=2))
    first, first_cpu = time.perf_counter() - wall, time.process_time() - cpu
    watch = Stopwatch(model)
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter() - watch.wall, time.process_time() - watch.cpu
        with watch.watch():
            sample(model, length, batch, short)
        walls.append(time.perf_counter() - watch.wall - wall)
        cpus.append(time.process_time() - watch.cpu - cpu)
    total = count_evaluations(settings, length)
    share = count_evaluations(short, length) / total
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
        first,
        first_cpu,
    )


def time_training(
    length: int, batch: int, options: argparse.Namespace, device: torch.device
) -> TrainingTiming:
    """Time training steps at one length and batch size, network as by default."""
    padded = -(-length // BUCKET) * BUCKET
    reset_peak_memory(device)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "walks.safetensors"
        write_walks(data, length)
        config = TrainingConfig(
            data=str(data),
            out=str(Path(folder) / "run"),
            lengths=(length, length),
            residues_per_batch=batch * padded,
            device=device.type,
            precision=options.precision,
            compile=options.compile,
        )
        with use_cpu(options.threads):
            trainer = Trainer(config)
            for _ in range(options.warm_up):
                trainer.step()
            wait(device)
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(options.steps):
                trainer.step()
            wait(device)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    product = measure_product(device)
    seconds = wall / options.steps
    return TrainingTiming(
        length=length,
        batch=batch,
        milliseconds_per_step=1e3 * seconds,
        samples_per_second=batch / seconds,
        cpu_samples_per_second=batch * options.steps / cpu,
        matmul_milliseconds=1e3 * product,
        ratio_per_sample=seconds / batch / product,
        peak_megabytes=get_peak_memory(device),
    )


def write_walks(path: Path, length: int, chains: int = 64) -> None:
    """Write prepared data of random walks; the time of a step does not depend on what they are."""
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(chains, length * 3, 3, generator=generator)
    write_dataset(
        path,
        {
            "coordinates": (1.2 * steps.cumsum(dim=1)).reshape(-1, 3, 3),
            "residue_index": torch.arange(length, dtype=torch.int32).repeat(chains),
            "offsets": torch.arange(chains + 1) * length,
            "cluster40": torch.arange(chains),
            "held_out": torch.zeros(chains, dtype=torch.uint8),
            "secondary": torch.randint(1, 4, (chains * length,), generator=generator).byte(),
            "residue_type": torch.randint(1, 21, (chains * length,), generator=generator).byte(),
        },
        [f"walk{k}" for k in range(chains)],
    )


def measure_product(device: torch.device, repeats: int = 9) -> float:
    """Return the median seconds of the reference product."""
    operand = torch.randn(REFERENCE_SIZE, REFERENCE_SIZE, device=device)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        torch.mm(operand, operand)
        wait(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def wait(device: torch.device) -> None:
    """Let the device finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def get_growth(lines: Sequence[Timing], device: torch.device) -> dict[str, float]:
    """Return how the time of a backbone grows with the length, and what a large batch saves.

    Returns
    -------
    dict
        ``exponent``: p of L^p between the shortest length of 128 or more and the longest;
        ``batch_L``: what a backbone of length L of the largest batch costs, in one of the smallest.
    """

    def cost(line: Timing) -> float:
        # Of a CPU the time that it worked for us, which neighbours touch least.
        on_cpu = device.type == "cpu"
        return line.cpu_seconds_per_backbone if on_cpu else line.seconds_per_backbone

    found: dict[str, float] = {}
    smallest, largest = (pick(line.batch for line in lines) for pick in (min, max))
    ends = [line for line in lines if line.batch == smallest and line.length >= 128]
    if len(ends) > 1:
        short, long = (pick(ends, key=lambda line: line.length) for pick in (min, max))
        if long.length > short.length:
            grown = cost(long) / cost(short)
            found["exponent"] = math.log(grown) / math.log(long.length / short.length)
    for line in lines:
        if line.batch == largest > smallest:
            single = next(
                one for one in lines if one.batch == smallest and one.length == line.length
            )
            found[f"batch_{line.length}"] = cost(line) / cost(single)
    return found


def print_growth(found: dict[str, float]) -> None:
    for name, value in found.items():
        if name == "exponent":
            print(f"time grows as L^{value:.2f} from 128 residues on")
        else:
            length = name.removeprefix("batch_")
            print(
                f"{length} residues: a backbone of the largest batch costs {value:.2f} of one alone"
            )


def profile_sampling(
    model: BackboneModel, length: int, batch: int, settings: SamplingSettings, timing: Timing
) -> Profile:
    """Profile a short run, and bound an evaluation by its arithmetic and by its bytes."""
    short = shorten(settings, length, 5)
    evaluations = count_evaluations(short, length)
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
        wait(device)
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
    add("--return-memory", action="store_true", help="to the system when it is freed")
    add("--precision", default="float32", choices=["float32", "bfloat16"], help="(%(default)s)")
    add("--compile", action="store_true", help="compile the network")
    add("--training", action="store_true", help="time training, not sampling")
    add("--steps", type=int, default=20, help="of training that are timed (%(default)s)")
    add("--warm-up", type=int, default=4, help="steps of training before (%(default)s)")
    add("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def measure_training(options: argparse.Namespace) -> None:
    device = find_device(options.device)
    if not options.json:
        print(
            f"training, {get_name(device)}, {torch.get_num_threads()} threads, "
            f"torch {torch.__version__}; {options.precision}, {options.steps} steps"
        )
        print("length  batch     ms/step   samples/s  samples/CPU s  ratio/sample      MB")
    lines = []
    for length in options.lengths:
        for batch in options.batch_sizes:
            timing = time_training(length, batch, options, device)
            lines.append(asdict(timing))
            if not options.json:
                print(
                    f"{length:6d}  {batch:5d}  {timing.milliseconds_per_step:10.1f}"
                    f"  {timing.samples_per_second:10.2f}"
                    f"  {timing.cpu_samples_per_second:13.2f}"
                    f"  {timing.ratio_per_sample:12.2f}  {timing.peak_megabytes:6.0f}",
                    flush=True,
                )
    if options.json:
        print(json.dumps({"device": get_name(device), "training": lines}, indent=2))


def get_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def measure(options: argparse.Namespace) -> None:
    device = find_device(options.device)
    model = load_checkpoint(find_weights(options.weights), device=device)
    if options.compile:
        model = model.compile()
    settings, name = SamplingSettings(), get_name(device)
    lines, timings = [], []
    if not options.json:
        print(
            f"{model.name}, {name}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
            f"{settings.sampler}; seconds from "
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
            timings.append(timing)
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
                if options.compile:
                    print(
                        f"        first run: {timing.first_seconds:.1f} s, "
                        f"{timing.first_cpu_seconds:.1f} CPU s",
                        flush=True,
                    )
            if options.profile:
                found = profile_sampling(model, length, batch, settings, timing)
                line["profile"] = asdict(found)
                if not options.json:
                    print_profile(timing, found)
            lines.append(line)
    growth = get_growth(timings, device)
    if not options.json:
        print_growth(growth)
    else:
        report = {
            "weights": model.name,
            "sha256": model.sha256,
            "device": name,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "settings": asdict(settings),
            "precision": options.precision,
            "timings": lines,
            "growth": growth,
        }
        print(json.dumps(report, indent=2))


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    if not options.return_memory:
        reuse_memory()
    try:
        if options.training:
            measure_training(options)
        else:
            # Within it the network keeps geometry in single precision.
            device = find_device(options.device).type
            with torch.autocast(device, torch.bfloat16, enabled=options.precision == "bfloat16"):
                measure(options)
    except ProtdiffError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    finally:
        torch.set_num_threads(threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
