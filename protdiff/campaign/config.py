"""The description of a campaign: a TOML file, read and checked before anything is sampled.

.. code-block:: toml

    out = "campaign"            # the folder
    seed = 0
    weights = "protdiff-base"   # without it each job takes those that know its longest chain
    device = "auto"
    batch_size = 8              # most designs to sample at once
    compile = false             # compile the network first, for faster sampling
    chunk = 32                  # designs that are handed out together
    format = "pdb"              # also: trajectory, cbeta, residue_name

    [sampling]                  # any field of SamplingSettings, for all jobs
    steps = 60

    [filter]                    # without it every design is kept
    passing = true              # no check of the quality fails
    strand = ">=0.2"            # any number of the quality; a list gives several conditions
    until_passing = true        # go on until `num` designs have passed ...
    max_attempts = 1000         # ... or so many were made, for each job

    [[job]]
    name = "small"              # the job's folder in `out`
    num = 500
    length = "60-100"           # or 80, [60, 100], "64:2,100:1", "natural"
    temperature = 0.9           # any field of SamplingSettings, for this job
    symmetry = "C3"             # also: start (a file), noise, rg, contacts, shape, target,
                                # hotspots, dock, potential, conditioner

    [[job]]
    name = "site"
    num = 500
    motif = "5TPN.pdb"          # also: model, strict, method, hold, particles, redesignable, groups
    contig = "10-40/A163-181/10-40"   # or unindexed = "A163-170,A175-181", places to be found
    total_length = "50-75"
    filter = { motif_rmsd_sampled = "<=1" }   # beside what [filter] asks

Relative paths are relative to the working directory, as everywhere in protdiff.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protdiff.design.conditions import ConditionOptions
from protdiff.design.filter import DRAWS_PER_DESIGN, NUMBERS_BESIDE, DesignFilter
from protdiff.design.lengths import parse_lengths
from protdiff.design.samplers import (
    DEFAULT_HOLD,
    DEFAULT_METHOD,
    DEFAULT_PARTICLES,
    HOLDS,
    METHODS,
)
from protdiff.design.settings import SamplingSettings
from protdiff.errors import InputError
from protdiff.fields import check_keys, read_dataclass
from protdiff.names import check_name
from protdiff.structure.lengths import LengthRange, parse_length
from protdiff.toml import read_toml

if TYPE_CHECKING:
    from protdiff.design.run import OutputSettings

__all__ = ["Campaign", "Job", "JobFilter", "load_campaign"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_OF_MOTIF = (
    "contig",
    "unindexed",
    "total_length",
    "method",
    "redesignable",
    "groups",
    "hold",
    "particles",
    "model",
    "strict",
)
_SAMPLING = tuple(entry.name for entry in dataclasses.fields(SamplingSettings))
_CONDITIONS = tuple(entry.name for entry in dataclasses.fields(ConditionOptions))
_OUTPUT = ("format", "trajectory", "cbeta", "residue_name")
MOST_DESIGNS = 1_000_000
MOST_PER_CHUNK = 10_000


@dataclass(frozen=True)
class JobFilter(DesignFilter):
    """What is asked of the designs of a job, and whether more are made until enough meet it.

    Parameters
    ----------
    passing, limits
        As :class:`~protdiff.design.filter.DesignFilter` has them.
    until_passing
        Go on until as many designs as were asked for have passed.
    max_attempts
        How many designs of a job are made for that at most; without it
        :data:`~protdiff.design.filter.DRAWS_PER_DESIGN` times as many as are asked for.

    Raises
    ------
    InputError
        Designs are to be made until they pass, and nothing is asked of them.
    """

    until_passing: bool = False
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        if self.until_passing and not self:
            raise InputError(
                "until_passing needs something to pass; give passing = true or a limit such as "
                'strand = ">=0.2"'
            )
        if self.max_attempts is not None and not self.until_passing:
            raise InputError("max_attempts goes with until_passing = true")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise InputError(f"max_attempts is {self.max_attempts}; give at least 1")


@dataclass(frozen=True)
class Job:
    """Designs of one kind.

    Parameters
    ----------
    name
        The job's folder; letters, digits, ``-`` and ``_``.
    num
        How many designs; with ``until_passing``, how many that pass.
    length
        Residues of designs from nothing, as :class:`~protdiff.design.generate.Generation` has it.
    motif, contig, total_length, method, redesignable, groups, hold, particles
        Of designs around a motif, as :class:`~protdiff.design.scaffold.Scaffolding` has them;
        ``motif`` is a file, or several.
    unindexed
        In place of ``contig``: segments of the motif whose places are found, as
        :class:`~protdiff.design.unindexed.UnindexedScaffolding` has them.
    model, strict
        How the motif's file is read.
    sampling
        How to sample.
    conditions
        What is asked of the designs.
    filter
        Which designs to keep.

    Raises
    ------
    InputError
        The name is no name for a folder, a number is out of its range, or it is not clear whether
        there is a motif.
    """

    name: str
    num: int
    length: LengthRange | None = None
    motif: str | tuple[str, ...] | None = None
    contig: str | None = None
    unindexed: str | None = None
    total_length: LengthRange | None = None
    method: str = DEFAULT_METHOD
    redesignable: str | None = None
    groups: str | None = None
    hold: str = DEFAULT_HOLD
    particles: int = DEFAULT_PARTICLES
    model: int = 1
    strict: bool = False
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    conditions: ConditionOptions = field(default_factory=ConditionOptions)
    filter: JobFilter = field(default_factory=JobFilter)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"the name {self.name!r} cannot be a folder's; give letters, digits, - and _, 64 "
                "at most"
            )
        if not 1 <= self.num <= MOST_DESIGNS:
            raise InputError(f"num is {self.num}; give 1 to {MOST_DESIGNS}")
        if self.most < self.num:
            raise InputError(
                f"{self.most} attempts cannot give {self.num} designs; give a max_attempts of at "
                "least num"
            )
        starts = self.conditions.start is not None
        has_length = self.length is not None or (starts and self.motif is None)
        if has_length == (self.motif is not None):
            raise InputError("give either length, or motif and contig, or start")
        if self.length is not None:
            parse_lengths(self.length)
        if self.motif is None:
            self._refuse_motif_keys()
        elif (self.contig is None) == (self.unindexed is None):
            raise InputError(
                "a motif needs a contig, as 10-40/A163-181/10-40, or its segments as unindexed; "
                "give one of them"
            )
        if self.unindexed is not None and self.total_length is None:
            raise InputError("an unindexed motif needs a total_length")
        if self.total_length is not None:
            parse_length(self.total_length)
        check_name("scaffolding method", self.method, METHODS)
        check_name("hold", self.hold, HOLDS)

    def _refuse_motif_keys(self) -> None:
        """Refuse what would be passed over in silence."""
        for entry in dataclasses.fields(self):
            if entry.name in _OF_MOTIF and getattr(self, entry.name) != entry.default:
                raise InputError(f"{entry.name} goes with a motif, and there is none")
        self.filter.check_beside(NUMBERS_BESIDE.keys() - {"motif"})

    @property
    def motif_files(self) -> tuple[str, ...]:
        """The files of the motif; none for designs from nothing."""
        if self.motif is None:
            return ()
        return (self.motif,) if isinstance(self.motif, str) else self.motif

    @property
    def most(self) -> int:
        """How many designs are made at most."""
        if not self.filter.until_passing:
            return self.num
        return self.filter.max_attempts or min(DRAWS_PER_DESIGN * self.num, MOST_DESIGNS)


@dataclass(frozen=True)
class Campaign:
    """A set of jobs in one folder; get one with :func:`load_campaign`.

    Parameters
    ----------
    jobs
        What to make, in this order. No two may have one name, nor names that differ by case only.
    out
        The folder.
    seed
        Of the campaign. Each job has a seed of its own that follows from this one and its name,
        so that no two jobs share noise, and a job is the same whatever stands beside it.
    weights
        Of all jobs, as :func:`protdiff.load` takes them; without them each job takes the bundled
        ones that know its chains best (:func:`~protdiff.weights.choose_weights`).
    device, compile
        As :func:`protdiff.load` takes them.
    batch_size
        Most designs to sample at once.
    chunk
        Designs that are handed out together, in a folder of their own. Fewer share the work more
        evenly among workers and SLURM tasks, more leave fewer folders.
    format, trajectory, cbeta, residue_name
        What is written, as :class:`~protdiff.design.run.OutputSettings` has it.

    Raises
    ------
    InputError
        There is no job, a name comes twice, or a number is out of its range.
    """

    jobs: tuple[Job, ...]
    out: str = "campaign"
    seed: int = 0
    weights: str | None = None
    device: str = "auto"
    batch_size: int | None = None
    compile: bool = False
    chunk: int = 32
    format: str = "pdb"
    trajectory: bool = False
    cbeta: bool = False
    residue_name: str = "GLY"

    def __post_init__(self) -> None:
        if not self.jobs:
            raise InputError("there is nothing to make; give a [[job]] table")
        seen: set[str] = set()
        for job in self.jobs:
            # Some file systems do not tell upper from lower case.
            if job.name.casefold() in seen:
                raise InputError(f"two jobs are called {job.name!r}, but for case; rename one")
            seen.add(job.name.casefold())
        if not self.out.strip():
            raise InputError("out is empty; give the folder of the campaign")
        if not 0 <= self.seed < 2**64:
            raise InputError(f"seed is {self.seed}; give 0 or more")
        self.output  # noqa: B018 - which checks itself
        if not 1 <= self.chunk <= MOST_PER_CHUNK:
            raise InputError(f"chunk is {self.chunk}; give 1 to {MOST_PER_CHUNK}")
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size is {self.batch_size}; give at least 1")

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.out)

    @property
    def output(self) -> OutputSettings:
        """What is written of a design."""
        from protdiff.design.run import OutputSettings

        return OutputSettings(**{name: getattr(self, name) for name in _OUTPUT})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], origin: str = "campaign") -> Campaign:
        """Make a campaign from nested plain values, as TOML or JSON give them.

        Raises
        ------
        InputError
            A key is unknown (with the nearest known one), missing, or of the wrong type.
        """
        own = [entry.name for entry in dataclasses.fields(cls) if entry.name != "jobs"]
        check_keys(values, [*own, "job", "sampling", "filter"], origin)
        sampling = _get_table(values, "sampling", origin)
        check_keys(sampling, _SAMPLING, f"{origin} [sampling]")
        asked = _get_table(values, "filter", origin)
        tables = values.get("job", [])
        if not (isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
            raise InputError(f"{origin}: job is no list of tables; write each as [[job]]")
        jobs = tuple(
            _make_job(table, sampling, asked, f"{origin} [[job]] {table.get('name', number)}")
            for number, table in enumerate(tables, start=1)
        )
        top = {k: v for k, v in values.items() if k in own}
        return read_dataclass(cls, top, origin, jobs=jobs)


def load_campaign(path: str | Path, **overrides: Any) -> Campaign:
    """Read a campaign from a TOML file.

    Parameters
    ----------
    path
        The file; the module's first lines show one.
    **overrides
        Values that replace the file's: out, seed, weights, device, batch_size, compile, chunk,
        format, trajectory, cbeta, residue_name; None leaves the file's.

    Raises
    ------
    InputError
        The file is missing, is no TOML, or does not describe a campaign.
    """
    values = read_toml(path)
    values.update({name: value for name, value in overrides.items() if value is not None})
    return Campaign.from_dict(values, str(path))


def _make_job(
    table: Mapping[str, Any], sampling: Mapping[str, Any], asked: Mapping[str, Any], where: str
) -> Job:
    made = ("sampling", "conditions", "filter")
    own = [entry.name for entry in dataclasses.fields(Job) if entry.name not in made]
    check_keys(table, [*own, *_SAMPLING, *_CONDITIONS, "filter"], where)
    chosen = {**sampling, **{k: v for k, v in table.items() if k in _SAMPLING}}
    filtered = {**asked, **_get_table(table, "filter", where)}
    conditions = {k: v for k, v in table.items() if k in _CONDITIONS}
    return read_dataclass(
        Job,
        {k: v for k, v in table.items() if k in own},
        where,
        sampling=read_dataclass(SamplingSettings, chosen, where),
        conditions=read_dataclass(ConditionOptions, conditions, where),
        filter=JobFilter.from_dict(filtered, f"{where} filter"),
    )


def _get_table(values: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise InputError(f"{where}: {name} = {table!r}; expected a table")
    return table
