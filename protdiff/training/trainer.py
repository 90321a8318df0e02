r"""The training loop: draw, denoise, step, average; measure, save, go on.

All randomness of step k comes from one generator seeded with (seed, k), and the state file holds
everything else, so a run that was stopped and resumed is the run that was not, number by number.
Between two rows of the log nothing waits for the device: chains are gathered where they are, and
losses are read when they are written down.

A run's folder holds ``config.json`` (what was asked), ``log.csv`` (what was measured),
``state.safetensors`` (to go on) and ``weights.safetensors`` (the averaged weights, a checkpoint for
``protdiff generate --weights``).
"""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch

from protdiff.checkpoint import save_checkpoint
from protdiff.device import find_device
from protdiff.errors import InputError, ProtdiffError
from protdiff.files import write_atomically
from protdiff.model import BackboneModel
from protdiff.training.average import WeightAverage
from protdiff.training.begin import make_batches, make_network
from protdiff.training.clock import Clock
from protdiff.training.config import TrainingConfig
from protdiff.training.dataset import load_dataset
from protdiff.training.draws import draw_step
from protdiff.training.folder import hold_folder
from protdiff.training.held_out import NOISE_EDGES, HeldOutLoss
from protdiff.training.interrupt import defer_interrupt
from protdiff.training.log import TrainingLog
from protdiff.training.machine import compile_network, use_cpu
from protdiff.training.objective import get_denoising_losses
from protdiff.training.optimizer import MuonWithAdamW
from protdiff.training.panel import PANEL_COLUMNS, measure_panel
from protdiff.training.processes import Processes, start_processes
from protdiff.training.schedule import get_learning_rate, set_end, warn_of_schedule
from protdiff.training.state import STATE, Progress, load_state, save_state

__all__ = [
    "ProgressBar",
    "Trainer",
    "check_continues",
    "train",
]

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
    "held_out_types",
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
    processes
        Those that share it; this one alone if not given.

    Raises
    ------
    InputError
        The data cannot be used, or the folder holds a run of another configuration.
    """

    def __init__(self, config: TrainingConfig, processes: Processes | None = None) -> None:
        self.config = config
        self.processes = processes or Processes(find_device(config.device))
        self.out = Path(config.out)
        self.device = self.processes.device
        self.train_set, self.held_out_set = load_dataset(config.data, config.lengths)
        self.network = make_network(config).to(self.device)
        self.average = WeightAverage(self.network, config.ema)
        self.optimizer = MuonWithAdamW(
            self.network,
            config.learning_rate,
            config.weight_decay,
            muon=config.muon,
            processes=self.processes,
        )
        self.progress = Progress()
        if self.state_path.exists():
            self._resume()
        self.batches = make_batches(config, self.train_set, self.processes.count)
        warn_of_schedule(config)
        self._resident = self.train_set.to(self.device)
        self.held_out: HeldOutLoss | None = None
        self.log: TrainingLog | None = None
        if self.processes.is_first:
            if len(self.held_out_set):
                self.held_out = HeldOutLoss(self.held_out_set, config.noise, config.network.scale)
            self.log = TrainingLog(self.out / "log.csv", LOG_COLUMNS, self.progress.step)
        self._callable: Any = compile_network(self.network) if config.compile else self.network

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
                "cut": config.cut,
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

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Make one step; return the loss and the norm of the gradient, both still on the device."""
        config, processes = self.config, self.processes
        step = self.progress.step + 1
        draws = draw_step(config, self.batches, step)
        parts, first = processes.count * config.accumulate, processes.rank * config.accumulate
        losses = []
        for part in range(first, first + config.accumulate):
            batch = draws.make_batch(self._resident, draws.get_rows(part, parts), config)
            # Without its cache: before torch 2.10 it keeps casts of weights that were made where
            # no gradient is recorded, as in self-conditioning, and such weights would not learn.
            with torch.autocast(
                self.device.type,
                torch.bfloat16,
                enabled=config.precision == "bfloat16",
                cache_enabled=False,
            ):
                terms = get_denoising_losses(
                    self._callable,
                    batch,
                    self_condition=draws.self_condition,
                    coordinates=draws.coordinates,
                )
            loss = terms.final + config.halfway * terms.halfway
            if config.type_loss:
                loss = loss + config.type_loss * terms.residue_types
            loss.backward()
            losses.append(terms.final.detach())
        loss = torch.stack(losses).sum()
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        processes.add_up([*gradients, loss])
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self.optimizer.set_learning_rate(get_learning_rate(config, step))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.network, step)
        self.progress.step = step
        self.progress.samples += len(draws)
        return loss, norm

    def save(self) -> None:
        """Write the averaged weights, then the state; the first process does it for all.

        A run that is killed between the two does the steps since the last state again, and writes
        the same weights again. With the state first, a run that is killed at its end would be
        taken for finished, and its last weights would never be written.
        """
        if not self.processes.is_first:
            return
        save_checkpoint(self.out / "weights.safetensors", self.model, overwrite=True)
        save_state(
            self.state_path,
            self.network,
            self.average.module,
            self.optimizer,
            self.progress,
            self.config.to_dict(),
        )

    def keep(self) -> None:
        """Write the averaged weights of this step to a file that no other step writes to."""
        if self.processes.is_first:
            name = f"weights-{self.progress.step:07d}.safetensors"
            save_checkpoint(self.out / name, self.model, overwrite=True)

    def measure(self) -> dict[str, float]:
        """Return what is due at this step: held-out losses, the quality panel."""
        config, step = self.config, self.progress.step
        row: dict[str, float] = {}
        if self.held_out is not None and _is_due(config, step, config.evaluate_every):
            row |= self.held_out.measure(self.average.module)
        if config.panel_designs and _is_due(config, step, config.panel_every):
            row |= measure_panel(
                self.model, designs=config.panel_designs, length=config.panel_length
            )
        return row

    def run(self, bar: ProgressBar | None = None) -> Path:
        """Train to the end, or until the time is up; return the path of the weights.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C, once the step is done and the state is saved.
        ProtdiffError
            The loss or its gradient is not finite; nothing is written of such a step.
        """
        progress, processes = self.progress, self.processes
        self._write_config()
        if bar is not None:
            bar.set_total(None if self.config.total_minutes else self.config.steps)
            bar.advance(progress.step)
        clock = Clock(progress)
        recent: list[tuple[torch.Tensor, torch.Tensor]] = []
        # Asking the first process how late it is waits for the device.
        patience = self.config.log_every if processes.count > 1 and self.device.type != "cpu" else 1
        stop = False
        with defer_interrupt(ignore=not processes.is_first) as interrupt:
            while progress.step < self.config.steps and not stop:
                recent.append(self.step())
                progress.seconds = clock.total
                step = progress.step
                if step % patience == 0:
                    out_of_time = 0 < self.config.minutes * 60 <= clock.this_part
                    progress.seconds, stop = processes.share(
                        (progress.seconds, out_of_time or interrupt.is_set())
                    )
                    self._set_end(bar)
                config = self.config
                every = [config.log_every, config.evaluate_every]
                if config.panel_designs:
                    every.append(config.panel_every)
                reports = stop or any(_is_due(config, step, steps) for steps in every)
                saves = stop or _is_due(config, step, config.checkpoint_every)
                keeps = config.keep_every > 0 and step % config.keep_every == 0
                if reports or saves or keeps:
                    self._check_finite(recent)
                if reports:
                    self._report(recent, clock, bar)
                    recent = []
                if bar is not None:
                    bar.advance()
                if keeps:
                    self.keep()
                if saves:  # last: what is written before the state is written again after a kill
                    self.save()
        if interrupt.is_set():
            raise KeyboardInterrupt
        return self.out / "weights.safetensors"

    def _check_finite(self, recent: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Stop at a step that blew up; the host waits for the device here."""
        pairs: list[list[float]] = torch.stack([torch.stack(pair) for pair in recent]).tolist()
        first = self.progress.step - len(pairs) + 1
        for step, (loss, norm) in enumerate(pairs, start=first):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise ProtdiffError(
                    f"at step {step} the loss is {loss:g} and the norm of its gradient {norm:g}; "
                    f"the last state in {self.out} is sound: lower the learning rate and resume "
                    "from it"
                )

    def _report(
        self,
        recent: list[tuple[torch.Tensor, torch.Tensor]],
        clock: Clock,
        bar: ProgressBar | None,
    ) -> None:
        """Measure what is due and write a row of the log; the host waits for the device here."""
        progress = self.progress
        row = self.measure() if self.processes.is_first else {}
        loss, norm = (float(torch.stack(values).mean()) for values in zip(*recent, strict=True))
        speed = clock.take_speed(progress.samples)
        row |= {
            "step": progress.step,
            "samples": progress.samples,
            "seconds": progress.seconds,
            "learning_rate": get_learning_rate(self.config, progress.step),
            "loss": loss,
            "gradient_norm": norm,
            "samples_per_second": speed,
        }
        if self.log is not None:
            self.log.append(row)
        if bar is not None:
            bar.describe(f"loss {loss:.4f}, {speed:.1f} samples/s")

    def _set_end(self, bar: ProgressBar | None) -> None:
        config = set_end(self.config, self.progress)
        if config != self.config:
            self.config = config
            self._write_config()
            if bar is not None:
                bar.set_total(config.steps)

    def _write_config(self) -> None:
        if self.processes.is_first:
            with write_atomically(self.out / "config.json", overwrite=True) as temporary:
                temporary.write_text(json.dumps(self.config.to_dict(), indent=2) + "\n")


def _is_due(config: TrainingConfig, step: int, every: int) -> bool:
    """Whether something is due every so many steps, and at the end; 0: at the end alone."""
    return step == config.steps or (every > 0 and step % every == 0)


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


def train(
    config: TrainingConfig,
    *,
    bar: ProgressBar | None = None,
    processes: Processes | None = None,
) -> Path:
    """Train a model, or go on training it; return the path of its weights.

    Parameters
    ----------
    config
        The run; if its folder holds a state, the run goes on from there.
    bar
        Told of the progress.
    processes
        From :func:`~protdiff.training.processes.start_processes`, which is called if it is None.

    Raises
    ------
    InputError
        The data or the configuration cannot be used.
    """
    if processes is None:
        processes = start_processes(config.device, config.devices, config.nodes)
    try:
        with use_cpu(config.threads, config.devices), ExitStack() as stack:
            problem = None
            if processes.is_first:
                try:
                    stack.enter_context(hold_folder(Path(config.out)))
                except ProtdiffError as error:
                    problem = error
            problem = processes.share(problem)
            if problem is not None:
                raise problem
            return Trainer(config, processes).run(bar)
    except ProtdiffError:
        if processes.is_first:
            raise
        raise SystemExit(1) from None  # what is wrong, the first one says
