r"""The training loop: draw, denoise, step, average; measure, save, go on.

All randomness of step k comes from one generator seeded with (seed, k), and the state file holds
everything else, so a run that was stopped and resumed is the run that was not, number by number.

A run's folder holds ``config.json`` (what was asked), ``log.csv`` (what was measured),
``state.safetensors`` (to go on) and ``weights.safetensors`` (the averaged weights, a checkpoint for
``protdiff generate --weights``).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch

from protdiff.diffusion import CentredSubspace
from protdiff.errors import InputError, ProtdiffError
from protdiff.files import write_atomically
from protdiff.model import BackboneModel, load_checkpoint, save_checkpoint
from protdiff.network import ScoreNetwork
from protdiff.training.average import WeightAverage
from protdiff.training.config import TrainingConfig
from protdiff.training.dataset import load_dataset
from protdiff.training.held_out import NOISE_EDGES, HeldOutLoss
from protdiff.training.log import TrainingLog
from protdiff.training.objective import NoisyBatch, get_denoising_losses
from protdiff.training.optimizer import MuonWithAdamW
from protdiff.training.panel import PANEL_COLUMNS, measure_panel
from protdiff.training.sampling import BatchSampler, draw_motif_groups, draw_secondary_structure
from protdiff.training.schedule import get_learning_rate, set_end
from protdiff.training.state import Progress, load_state, save_state

try:
    import fcntl
except ImportError:  # Windows: no advisory locks, and no guard against two processes
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "STATE",
    "ProgressBar",
    "Trainer",
    "check_continues",
    "get_device",
    "hold_folder",
    "train",
    "use_cpu",
]

STATE = "state.safetensors"
LOG_COLUMNS = (
    "step",
    "samples",
    "seconds",
    "learning_rate",
    "loss",
    "gradient_norm",
    "samples_per_second",
    "held_out",
    "held_out_first",
    *(f"held_out_{a:g}-{b:g}" for a, b in pairwise(NOISE_EDGES)),
    *PANEL_COLUMNS,
)


class ProgressBar(Protocol):
    """What the loop tells of its progress; the command line draws it."""

    def set_total(self, total: float | None) -> None:
        """Say how many steps there are."""

    def advance(self, amount: float = 1.0) -> None:
        """Say that steps were done."""

    def describe(self, text: str) -> None:
        """Say what was measured last."""


class Trainer:
    """One training run: made from its configuration, resumed from its folder.

    Parameters
    ----------
    config
        The run.

    Raises
    ------
    InputError
        The data cannot be used, or the folder holds a run of another configuration.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.out = Path(config.out)
        self.device = get_device(config.device)
        self.train_set, self.held_out_set = load_dataset(config.data, config.lengths)
        torch.manual_seed(config.seed)
        self.network = _make_network(config).to(self.device)
        self.average = WeightAverage(self.network, config.ema)
        self.optimizer = MuonWithAdamW(self.network, config.learning_rate, config.weight_decay)
        self.progress = Progress()
        if self.state_path.exists():
            self._resume()
        self.batches = BatchSampler(self.train_set, config.residues_per_batch)
        self.held_out = (
            HeldOutLoss(self.held_out_set, config.noise, config.network.scale)
            if len(self.held_out_set)
            else None
        )
        self.log = TrainingLog(self.out / "log.csv", LOG_COLUMNS, self.progress.step)
        self._callable: Any = (
            torch.compile(self.network, dynamic=False) if config.compile else self.network
        )

    @property
    def state_path(self) -> Path:
        """The file from which the run goes on."""
        return self.out / STATE

    @property
    def model(self) -> BackboneModel:
        """The averaged weights as a model, with the run's card."""
        config = self.config
        return BackboneModel(
            network=self.average.module,
            metadata={
                "lengths": list(config.lengths),
                "steps": self.progress.step,
                "samples": self.progress.samples,
                "training_seconds": round(self.progress.seconds),
                "training_chains": len(self.train_set),
                "held_out_chains": len(self.held_out_set),
                "initial_weights": config.initial_weights,
            },
        )

    def _resume(self) -> None:
        self.progress, values = load_state(
            self.state_path, self.network, self.average.module, self.optimizer
        )
        before = check_continues(self.config, values, self.out)
        # An end that was set by the time holds on; see `set_end`.
        if set_end(self.config, self.progress) != self.config and before.steps < self.config.steps:
            self.config = replace(self.config, steps=before.steps, decay_steps=before.decay_steps)

    def draw(self, step: int) -> tuple[NoisyBatch, bool]:
        """Draw everything random of a step: the noisy batch, and whether to self-condition."""
        config = self.config
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        batch = self.batches.draw(generator)
        size = len(batch.residue_mask)
        noise_ratio = config.noise.draw(size, generator)
        noise = torch.randn(batch.positions.shape, generator=generator)
        chance = torch.rand(2, generator=generator)
        secondary, composition = draw_secondary_structure(
            batch, config.secondary_structure, generator
        )
        groups = None
        if chance[0] < config.motif:
            groups = draw_motif_groups(batch.residue_mask, generator)
        noisy = NoisyBatch(
            clean=batch.positions / config.network.scale,
            noise=CentredSubspace(batch.residue_mask).project(noise),
            residue_mask=batch.residue_mask,
            noise_ratio=noise_ratio,
            motif_group=groups,
            secondary=secondary,
            composition=composition,
        ).to(self.device)
        return noisy, bool(chance[1] < config.self_condition)

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Make one step; return the loss and the norm of the gradient, both still on the device."""
        step = self.progress.step + 1
        batch, self_condition = self.draw(step)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"
        ):
            loss, halfway = get_denoising_losses(
                self._callable, batch, self_condition=self_condition
            )
        (loss + self.config.halfway * halfway).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.set_learning_rate(get_learning_rate(self.config, step))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.network, step)
        self.progress.step = step
        self.progress.samples += len(batch.residue_mask)
        return loss.detach(), norm

    def save(self) -> None:
        """Write the state, then the averaged weights."""
        save_state(
            self.state_path,
            self.network,
            self.average.module,
            self.optimizer,
            self.progress,
            self.config.to_dict(),
        )
        save_checkpoint(self.out / "weights.safetensors", self.model, overwrite=True)

    def measure(self) -> dict[str, float]:
        """Return what is due at this step: held-out losses, the quality panel."""
        config, step = self.config, self.progress.step
        row: dict[str, float] = {}
        last = step == config.steps
        if self.held_out is not None and (last or step % max(config.evaluate_every, 1) == 0):
            row |= self.held_out.measure(self.average.module)
        if config.panel_designs and (last or step % max(config.panel_every, 1) == 0):
            row |= measure_panel(
                self.model, designs=config.panel_designs, length=config.panel_length
            )
        return row

    def run(self, bar: ProgressBar | None = None) -> Path:
        """Train to the end, or until the time is up; return the path of the weights."""
        config, progress = self.config, self.progress
        self._write_config()
        if bar is not None:
            bar.set_total(None if config.total_minutes else config.steps)
            bar.advance(progress.step)
        started, before = time.monotonic(), progress.seconds
        recent: list[tuple[torch.Tensor, torch.Tensor]] = []
        mark, marked_samples = started, progress.samples
        try:
            while progress.step < self.config.steps:
                recent.append(self.step())
                progress.seconds = before + time.monotonic() - started
                self._set_end(bar)
                config, step = self.config, progress.step
                out_of_time = 0 < config.minutes * 60 <= time.monotonic() - started
                row = self.measure()
                if row or out_of_time or step % config.log_every == 0:
                    loss, norm = (float(torch.stack(v).mean()) for v in zip(*recent, strict=True))
                    if not math.isfinite(loss):
                        raise ProtdiffError(
                            f"the loss is {loss} at step {step}; the last state in {self.out} is "
                            "sound: lower the learning rate and resume from it"
                        )
                    now = time.monotonic()
                    row |= {
                        "step": step,
                        "samples": progress.samples,
                        "seconds": progress.seconds,
                        "learning_rate": get_learning_rate(config, step),
                        "loss": loss,
                        "gradient_norm": norm,
                        "samples_per_second": (progress.samples - marked_samples)
                        / max(now - mark, 1e-9),
                    }
                    self.log.append(row)
                    recent, mark, marked_samples = [], now, progress.samples
                    if bar is not None:
                        bar.describe(f"loss {loss:.4f}, {row['samples_per_second']:.1f} samples/s")
                if bar is not None:
                    bar.advance()
                if step % config.checkpoint_every == 0 or out_of_time or step == config.steps:
                    self.save()
                if out_of_time:
                    break
        except KeyboardInterrupt:
            self.save()
            raise
        return self.out / "weights.safetensors"

    def _set_end(self, bar: ProgressBar | None) -> None:
        config = set_end(self.config, self.progress)
        if config != self.config:
            self.config = config
            self._write_config()
            if bar is not None:
                bar.set_total(config.steps)

    def _write_config(self) -> None:
        with write_atomically(self.out / "config.json", overwrite=True) as temporary:
            temporary.write_text(json.dumps(self.config.to_dict(), indent=2) + "\n")


def check_continues(config: TrainingConfig, values: dict[str, Any], folder: Path) -> TrainingConfig:
    """Refuse to continue a run, whose configuration was ``values``, with another; return that."""
    before = TrainingConfig.from_dict(values, str(folder / STATE))
    differences = config.get_differences(before)
    if differences:
        raise InputError(
            f"{folder} holds a run of another configuration ({'; '.join(differences)}); "
            "give another folder, or the configuration it was begun with"
        )
    return before


def train(config: TrainingConfig, *, bar: ProgressBar | None = None) -> Path:
    """Train a model, or go on training it; return the path of its weights.

    Parameters
    ----------
    config
        The run; if its folder holds a state, the run goes on from there.
    bar
        Told of the progress.

    Raises
    ------
    InputError
        The data or the configuration cannot be used.
    """
    with use_cpu(config.threads), hold_folder(Path(config.out)):
        return Trainer(config).run(bar)


@contextmanager
def use_cpu(threads: int) -> Iterator[None]:
    """Set the number of threads, and flush denormals, which small activations run into on CPUs."""
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold a run's folder for this process; the hold ends with the process, however that ends.

    Raises
    ------
    InputError
        Another process holds it, or it cannot be written.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    f"another process is training in {folder}; wait for it or give another folder"
                ) from error
        try:
            yield
        finally:
            # A run that could not begin leaves nothing behind.
            if new and [path.name for path in folder.iterdir()] == [".lock"]:
                (folder / ".lock").unlink()
                folder.rmdir()


def _make_network(config: TrainingConfig) -> ScoreNetwork:
    """Return the network that the run begins with, random or from a checkpoint.

    Raises
    ------
    InputError
        The checkpoint's network is of another size than the configuration's.
    """
    if not config.initial_weights:
        return ScoreNetwork(config.network)
    network = load_checkpoint(config.initial_weights).network
    if network.config != config.network:
        given, wanted = network.config.to_dict(), config.network.to_dict()
        differing = ", ".join(
            f"{name} {given[name]}, not {wanted[name]}"
            for name in wanted
            if given[name] != wanted[name]
        )
        raise InputError(
            f"the network of {config.initial_weights} is of another size ({differing}); give its "
            "sizes under [network], or begin without initial_weights"
        )
    return network.requires_grad_(True).train()


def get_device(name: str) -> torch.device:
    """Return the device of a name, ``"auto"``, ``"cpu"`` or ``"cuda"``, or refuse it."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for and torch sees no CUDA device; use cpu or auto")
    if name not in ("cpu", "cuda"):
        raise InputError(f"device {name!r} is unknown; expected auto, cpu or cuda")
    return torch.device(name)
