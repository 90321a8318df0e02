"""The description of a training run: plain values, read from TOML, written beside the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_type_hints

from protdiff.errors import InputError
from protdiff.fields import convert, read_dataclass
from protdiff.model import LENGTH_RANGE
from protdiff.network import NetworkConfig
from protdiff.toml import read_toml
from protdiff.training.preset import find_preset, list_presets
from protdiff.training.sampling import NoiseLevels

__all__ = ["TrainingConfig", "load_config"]

# What may differ between the two halves of a resumed run: where and how long, not what.
_MAY_CHANGE = frozenset(
    {
        "data",
        "out",
        "steps",
        "decay_steps",
        "minutes",
        "total_minutes",
        "checkpoint_every",
        "keep_every",
        "evaluate_every",
        "panel_every",
        "panel_designs",
        "panel_length",
        "log_every",
        "device",
        "devices",
        "nodes",
        "accumulate",
        "threads",
        "compile",
        "precision",
    }
)
# Of a number of any kind, and of the network's sizes.
_LARGEST, _LARGEST_SIZE = 1e15, 4096
_LARGEST_SEED = 10**12  # a million times it is a seed too


@dataclass(frozen=True)
class TrainingConfig:
    """One training run.

    Parameters
    ----------
    data
        File made by ``protdiff prepare``.
    out
        Folder of the run: log, state, weights.
    lengths
        Shortest and longest chain to train on.
    residues_per_batch
        Residues of the batch of a step, padding included: of all processes and parts together.
    sheet_preference
        1: chains with strands are drawn 1.4 times as often as their clusters say, and chains of
        helices alone half as often; 0: as often as in nature. In between, a power of both factors.
    steps
        Length of the whole run.
    warmup_steps, decay_steps
        The learning rate rises over the first, is constant, and falls to zero over the last steps.
    learning_rate, weight_decay, clip_norm
        Of the optimiser.
    muon
        Muon for the matrices; if not, AdamW for all.
    ema
        Decay of the exponential moving average of the weights, which is what is released.
    self_condition
        Share of the steps with self-conditioning.
    motif
        Share of the steps in which motifs are revealed.
    cut
        Share of the chains that are cut in two and shown as two proteins side by side.
    secondary_structure
        Share of the chains whose secondary structure is told.
    residue_types
        Share of the chains of which types of residues are told.
    type_loss
        Weight of the cross-entropy of the types that are not told; 0: they are not learned.
    initial_weights
        Bundled name or path of the checkpoint to begin from; empty: random weights.
    initial_expert
        Begin from the checkpoint's expert for low noise, not from its network.
    halfway
        Weight of the loss of the half-way estimate.
    seed
        All randomness of step k follows from (seed, k).
    minutes
        Stop (resumable) after this time; 0: never.
    total_minutes
        End the run, all its parts together, after about this time: when three quarters of it are
        spent, ``steps`` and ``decay_steps`` are set so that the learning rate falls to zero in the
        rest; 0: ``steps`` alone decides.
    log_every, checkpoint_every, evaluate_every, panel_every
        In steps; the last two may be 0, for the end alone.
    keep_every
        Steps between averaged weights that are kept, each in a file of its own, for
        ``scripts/average_weights.py`` or to choose from; 0: none but the last.
    panel_designs, panel_length
        Structures sampled for the quality panel.
    device, threads
        ``auto``, ``cpu``, ``cuda``, or for one process ``cuda:1``; CPU threads of a
        machine, which its processes share (0: torch's choice).
    devices, nodes
        Processes on each machine, each with a GPU of its own; machines. They share each batch.
    accumulate
        Parts of a batch that a process computes one after the other, to save memory.
    compile
        Compile the network with ``torch.compile``.
    precision
        ``float32``, or ``bfloat16`` for the perceptrons and pair features, with geometry, weights
        and the optimiser in float32; for devices with bfloat16 units.
    network, noise
        Sizes of the network; law of the noise ratio.
    """

    data: str
    out: str
    lengths: tuple[int, int] = (40, 128)
    residues_per_batch: int = 1100
    sheet_preference: float = 1.0
    steps: int = 20_000
    warmup_steps: int = 200
    decay_steps: int = 4_000
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    muon: bool = True
    clip_norm: float = 1.0
    ema: float = 0.999
    self_condition: float = 0.5
    motif: float = 0.2
    cut: float = 0.0
    secondary_structure: float = 0.6
    residue_types: float = 0.0
    type_loss: float = 0.0
    initial_weights: str = ""
    initial_expert: bool = False
    halfway: float = 0.2
    seed: int = 0
    minutes: float = 0.0
    total_minutes: float = 0.0
    log_every: int = 50
    checkpoint_every: int = 500
    keep_every: int = 0
    evaluate_every: int = 500
    panel_every: int = 2_000
    panel_designs: int = 8
    panel_length: int = 80
    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    accumulate: int = 1
    threads: int = 0
    compile: bool = False
    precision: str = "float32"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    noise: NoiseLevels = field(default_factory=NoiseLevels)

    def __post_init__(self) -> None:
        """Take the values for their types, and check those that would fail late or silently."""
        for name, hint in get_type_hints(type(self)).items():
            object.__setattr__(self, name, _take(name, getattr(self, name), hint))
        for name, value in _flatten(self.to_dict()):
            if isinstance(value, int | float) and not abs(value) <= _LARGEST:  # nor a NaN
                raise InputError(f"{name}: expected a number of at most {_LARGEST:g}")
        at_least_one = ("residues_per_batch", "steps", "devices", "nodes", "accumulate")
        for name in (*at_least_one, "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)}; expected at least 1")
        shares = ("self_condition", "motif", "cut", "secondary_structure", "residue_types")
        for name in (*shares, "sheet_preference"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} = {getattr(self, name)}; expected 0 to 1")
        if self.initial_expert and not self.initial_weights:
            raise InputError("initial_expert needs initial_weights, of which it takes the expert")
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision = {self.precision!r}; expected float32 or bfloat16")
        shortest, longest = self.lengths
        if not 1 <= shortest <= longest:
            raise InputError(f"lengths = {list(self.lengths)}; expected [shortest, longest]")
        fewest, most = LENGTH_RANGE
        if self.panel_designs > 0 and not fewest <= self.panel_length <= most:
            raise InputError(
                f"panel_length = {self.panel_length}; expected {fewest} to {most} residues, or "
                "panel_designs = 0 for no panel"
            )
        not_negative = ("warmup_steps", "decay_steps", "minutes", "total_minutes")
        for name in (*not_negative, "keep_every", "panel_designs", "threads", "seed", "type_loss"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} = {getattr(self, name)}; expected at least 0")
        for name, value in self.network.to_dict().items():
            least_is_0 = isinstance(value, bool) or name == "neighbours"
            if not (0 < value <= _LARGEST_SIZE or (least_is_0 and value == 0)):
                raise InputError(
                    f"{name} = {value}; expected a size above 0, up to {_LARGEST_SIZE}"
                )
        if self.seed > _LARGEST_SEED:
            raise InputError(f"seed = {self.seed}; expected at most {_LARGEST_SEED}")
        noise = self.noise
        if noise.deviation <= 0 or not 0 <= noise.uniform_share <= 1:
            raise InputError(
                f"[noise] deviation = {noise.deviation}, uniform_share = {noise.uniform_share}; "
                "expected above 0, and 0 to 1"
            )
        if not noise.log_range[0] < noise.log_range[1]:
            raise InputError(
                f"[noise] log_range = {list(noise.log_range)}; expected [smallest, largest]"
            )
        if self.network.layers < 2 or self.network.layers % 2:
            raise InputError(f"layers = {self.network.layers}; expected an even number")
        if self.network.lmax not in (1, 2):
            raise InputError(f"lmax = {self.network.lmax}; expected 1 or 2")

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values."""
        return dataclasses.asdict(self)

    def get_differences(self, other: TrainingConfig) -> list[str]:
        """Name what differs from another configuration and may not, between two parts of a run."""
        mine, theirs = self.to_dict(), other.to_dict()
        return [
            f"{name}: {theirs[name]} became {mine[name]}"
            for name in mine
            if name not in _MAY_CHANGE and mine[name] != theirs[name]
        ]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], origin: str = "configuration") -> TrainingConfig:
        """Make a configuration from nested plain values, as TOML or JSON give them.

        Raises
        ------
        InputError
            A key is unknown (with the nearest known one) or missing, or a value is of the wrong
            type or out of its range.
        """
        return read_dataclass(cls, values, origin)


def load_config(
    path: str | Path | None = None, *, preset: str | None = None, **overrides: Any
) -> TrainingConfig:
    """Read a training configuration from a preset, a TOML file, or a file over a preset.

    Parameters
    ----------
    path
        The file. Relative paths in it are relative to the working directory.
    preset
        One of :func:`~protdiff.training.preset.list_presets`. What the file says wins over it, key
        by key within ``[network]`` and ``[noise]`` too.
    **overrides
        Values that replace those of the file and of the preset; None leaves theirs.

    Raises
    ------
    InputError
        There is no such preset; the file is missing, is no TOML, or does not describe a run;
        neither is given.
    """
    if path is None and preset is None:
        raise InputError(
            "nothing says what to train; give --config FILE.toml or --preset NAME "
            f"({', '.join(list_presets())})"
        )
    values: dict[str, Any] = {} if preset is None else read_toml(find_preset(preset))
    for name, value in ({} if path is None else read_toml(path)).items():
        below = values.get(name)
        merges = isinstance(below, dict) and isinstance(value, dict)
        values[name] = below | value if merges else value
    values.update({name: value for name, value in overrides.items() if value is not None})
    origin = f"preset {preset}" if path is None else str(path)
    return TrainingConfig.from_dict(values, origin)


def _take(name: str, value: Any, hint: Any) -> Any:
    """Return a value as its declared type, as if it came from a file."""
    if isinstance(value, NetworkConfig | NoiseLevels):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping) and dataclasses.is_dataclass(hint):
        return read_dataclass(cast(type, hint), value, f"[{name}]")
    return convert(str(value) if isinstance(value, Path) else value, hint, name)


def _flatten(values: Mapping[str, Any], table: str = "") -> Iterator[tuple[str, Any]]:
    """Give each plain value of nested ones with its name, as ``[noise] mean``."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"[{name}] ")
        else:
            for one in value if isinstance(value, tuple) else (value,):
                yield f"{table}{name}", one
