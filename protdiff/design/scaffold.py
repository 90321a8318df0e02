"""Scaffolding: a protein around residues that are given."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import Conditioner, list_conditioners
from protdiff.design.batching import get_padding, make_scene
from protdiff.design.beside_motif import check_beside_motif, refuse_beside_motif
from protdiff.design.beside_target import (
    FEWEST_SHOWN,
    add_target,
    ask_beside,
    count_room,
    find_target,
    is_to_see,
    show_target,
)
from protdiff.design.conditions import (
    choose_secondary_structure,
    describe_conditioners,
    list_beside,
)
from protdiff.design.engine import Plan, sample_plans
from protdiff.design.motif_denoiser import make_motif_parts
from protdiff.design.motif_sampling import (
    Particles,
    check_method,
    sample_by_particles,
    sample_by_repainting,
)
from protdiff.design.sample import sample_coordinates
from protdiff.design.samplers import (
    DEFAULT_HOLD,
    DEFAULT_METHOD,
    DEFAULT_PARTICLES,
    HOLDS,
    METHODS,
)
from protdiff.design.secondary_structure import SecondaryStructureRequest
from protdiff.design.seeds import make_layout_generator
from protdiff.design.setting_in import set_motif_in
from protdiff.design.settings import SamplingSettings
from protdiff.design.symmetric_scaffold import (
    check_symmetry,
    find_symmetry,
    leave_symmetry_out,
    repeat_layout,
)
from protdiff.diffusion import Denoiser, StepInfo
from protdiff.errors import InputError
from protdiff.model import LENGTH_RANGE
from protdiff.names import check_name
from protdiff.plain import take_integer
from protdiff.structure import Backbone, Contig, Motif, group_segments
from protdiff.structure.chain_layout import ChainLayout
from protdiff.structure.lengths import LengthRange, parse_length
from protdiff.structure.point_group import PointGroup

if TYPE_CHECKING:
    from protdiff.conditioning.motif import MotifConditions
    from protdiff.conditioning.shown_target import ShownTarget
    from protdiff.model import BackboneModel

__all__ = ["Scaffolding"]

SOFT_BELOW = 1.0  # Å of noise under which a soft hold lets go
# Methods that show the network a target beside the motif, and what either is then: where so much of
# a design is known, guidance through the network changes nothing and takes half of the time.
_TOLD = ("amortized-guidance", "amortized")
_BESIDE = "amortized"


@dataclass(frozen=True, kw_only=True)
class ScaffoldPlan(Plan):
    """What is to be sampled around which motif.

    Attributes
    ----------
    motif
        Of the design.
    given
        All that is given of what is sampled: the motif and, after the design, what the network is
        shown of a target.
    """

    motif: Motif
    given: Motif


@dataclass(frozen=True, eq=False)
class Scaffolding:
    """A run of designs around one motif.

    Parameters
    ----------
    source
        The structure that the contig names residues of.
    contig
        What is given and what is made; each design draws its own layout of it.
    seed
        Of the run.
    settings
        How to sample.
    total_length
        Residues of the whole design, a number or a range; with a symmetry of one chain, which is
        what the contig then describes.
    method
        How the motif is imposed, one of :data:`METHODS`; beside a target that the network sees,
        ``amortized`` where guidance comes with it too.
    redesignable
        Residues whose amino acid is free.
    groups
        Which segments are rigid bodies of their own, as ``"A16-35;A52-71"``
        (:func:`~protdiff.structure.group_segments`); as the contig has it without it.
    conditioners
        What else is asked of the designs. With a symmetry each chain holds the motif, and designs
        stand to the axes as :mod:`~protdiff.design.symmetric_scaffold` has it.
    hold
        ``"hard"``: the motif of a design is the input's to 0.01 Å. ``"soft"``: it is held down to
        1 Å of noise, and where it then drifts to is told.
    particles
        Of each design by ``twisted-smc``.

    Raises
    ------
    InputError
        The contig does not fit the structure or the length, or a choice does not exist.
    """

    source: Backbone
    contig: Contig
    seed: int = 0
    settings: SamplingSettings = field(default_factory=SamplingSettings)
    total_length: LengthRange | None = None
    method: str = DEFAULT_METHOD
    redesignable: str | None = None
    groups: str | None = None
    conditioners: Sequence[Conditioner] = ()
    hold: str = DEFAULT_HOLD
    particles: int = DEFAULT_PARTICLES

    def __post_init__(self) -> None:
        for name in ("seed", "particles"):
            object.__setattr__(self, name, take_integer(name, getattr(self, name)))
        object.__setattr__(self, "conditioners", list_conditioners(self.conditioners))
        check_symmetry(self.conditioners, self.contig, self.method)
        rest = leave_symmetry_out(self.conditioners)
        check_motif_choices(self.method, self.hold, self.settings, rest)
        check_method(self.method, self.settings, self.particles, self.conditioners)
        object.__setattr__(self, "settings", choose_restarts(self.method, self.settings))
        contig = find_motif(self.contig, self.source, self.groups).fit_linkers(self.source)
        object.__setattr__(self, "contig", contig)
        # What is wrong with the length or the motif shows here, before any sampling.
        first = self.plan(0).motif
        check_beside_motif(self.conditioners, self.contig, first, self.total_length)
        if self.method in _TOLD and is_to_see(self.settings, self.conditioners):
            self._show_target(first)

    def _show_target(self, motif: Motif) -> None:
        """Have the network see the target, if there is room for it."""
        longest = self.lengths[-1]
        room = count_room(longest)
        if room < FEWEST_SHOWN:
            warnings.warn(
                f"the network sees {LENGTH_RANGE[1]} residues, and designs of {longest} leave "
                f"{room} for the target: it is not shown, and held where the motif has it",
                stacklevel=4,
            )
            return
        shown = show_target(self.conditioners, room, motif)
        object.__setattr__(self, "conditioners", tuple(shown))
        object.__setattr__(self, "method", _BESIDE)

    @property
    def symmetry(self) -> PointGroup | None:
        """What makes several chains of the one that the contig describes, if anything does."""
        return find_symmetry(self.conditioners)

    @property
    def target(self) -> ShownTarget | None:
        """What of a target the network is shown beside the motif, if anything."""
        return find_target(self.conditioners)

    @property
    def copies(self) -> int:
        """How often a design holds what the contig describes."""
        return 1 if self.symmetry is None else self.symmetry.order

    @property
    def chains(self) -> int:
        """How many chains the network sees, those of a target included."""
        beside = 0 if self.target is None else self.target.chains
        return len(self.contig.chains) * self.copies + beside

    @property
    def states(self) -> int:
        """How many states a design is sampled with."""
        return self.particles if self.method == "twisted-smc" else 1

    @property
    def length_range(self) -> tuple[int, int]:
        """The fewest and the most residues that are sampled, those of a target included."""
        beside = 0 if self.target is None else len(self.target.shown)
        return self.lengths[0] + beside, self.lengths[-1] + beside

    @property
    def lengths(self) -> Sequence[int]:
        """The numbers of residues, all chains together, that a design may have."""
        lengths = self.contig.limit_lengths(self.total_length)
        shortest, longest = (length * self.copies for length in lengths)
        return range(shortest, longest + 1, self.copies)

    @property
    def shortest_chains(self) -> list[ChainLayout]:
        """The chains of the designs in which one of them is as short as any."""
        layouts = self.contig.list_shortest(self.total_length)
        return [ChainLayout.of_layout(repeat_layout(layout, self.copies)) for layout in layouts]

    @property
    def beside(self) -> Collection[str]:
        """What the designs are made beside."""
        return ("motif", *list_beside(self.conditioners))

    @property
    def secondary_structure(self) -> SecondaryStructureRequest:
        """What secondary structure the designs are asked for."""
        return choose_secondary_structure(self.settings, self.conditioners)

    def plan(self, index: int) -> ScaffoldPlan:
        """Draw the layout and the secondary structure of a design."""
        rng = make_layout_generator(self.seed, index)
        layout = self.contig.sample_layout(rng, self.total_length)
        secondary = self.secondary_structure.draw(layout.length, rng).repeat(self.copies)
        layout = repeat_layout(layout, self.copies)
        motif = Motif.from_layout(self.source, layout, redesignable=self.redesignable)
        given = motif if self.target is None else add_target(motif, self.target)
        chains = ChainLayout.of_layout(given.layout)
        made = None if self.target is None else motif.length
        return ScaffoldPlan(
            index, given.length, chains, secondary, made=made, motif=motif, given=given
        )

    def condition(self, conditions: Conditions, plans: Sequence[Plan]) -> Denoiser:
        """Return the denoiser that knows the motifs of a batch, with what else is asked of it."""
        return self._make_parts(conditions, plans, get_free_below(self.hold)).project()

    def _make_parts(
        self, conditions: Conditions, plans: Sequence[Plan], free_below: float = 0.0
    ) -> MotifConditions:
        return make_motif_parts(
            conditions.scene.model,
            conditions.scene.residue_mask,
            motifs=[plan.given for plan in plans if isinstance(plan, ScaffoldPlan)],
            method=self.method,
            settings=self.settings,
            wanted=[ask_beside(plan, self.target) for plan in plans],
            conditions=conditions,
            free_below=free_below,
        )

    def sample(
        self, model: BackboneModel, plans: Sequence[Plan], callback: Callable[[StepInfo], None]
    ) -> tuple[NDArray[np.float32], Sequence[dict[str, Any]]]:
        """Sample a batch as the method has it; of particles, say how they fared."""
        if self.method == "twisted-smc":
            return self._sample_by_particles(model, plans, callback)
        how = (
            partial(sample_by_repainting, free_below=get_free_below(self.hold))
            if self.method == "repaint"
            else sample_coordinates
        )
        return sample_plans(model, self, plans, callback, how), [{} for _ in plans]

    def _sample_by_particles(
        self, model: BackboneModel, plans: Sequence[Plan], callback: Callable[[StepInfo], None]
    ) -> tuple[NDArray[np.float32], Sequence[dict[str, Any]]]:
        # To the network each particle is a design; those of one stand next to one another.
        each = [plan for plan in plans for _ in range(self.particles)]
        of_particles, of_designs = (
            Conditions(make_scene(model, some, get_padding(self)), self.conditioners)
            for some in (each, plans)
        )
        return sample_by_particles(
            of_designs,
            self.condition(of_designs, plans),
            Particles(of_particles, self._make_parts(of_particles, each), self.particles),
            [plan.index for plan in plans],
            self.seed,
            self.settings,
            callback=callback,
        )

    def finish(
        self, plan: Plan, coordinates: NDArray[np.float32]
    ) -> tuple[Backbone, dict[str, Any]]:
        """Set the input's motif on the sampled one, as strictly as is asked for."""
        assert isinstance(plan, ScaffoldPlan)
        group = self.symmetry
        backbone, notes = finish_scaffold(
            plan,
            plan.motif,
            coordinates[: plan.size],
            self.contig.text,
            hold=self.hold,
            place=None if group is None else group.rebuild,
        )
        return backbone, {**notes, "steps": self.settings.get_steps(plan.length)}

    def describe(self) -> dict[str, Any]:
        """Return what the designs depend on."""
        total = None if self.total_length is None else list(parse_length(self.total_length))
        return {
            "task": "scaffold",
            "contig": self.contig.text,
            "motif": self.source.name,
            "motif_sha256": self.source.digest,
            "total_length": total,
            "method": self.method,
            "redesignable": self.redesignable,
            "groups": self.groups,
            "hold": self.hold,
            **({"particles": self.particles} if self.method == "twisted-smc" else {}),
            **describe_conditioners(self.conditioners),
        }


def check_motif_choices(
    method: str, hold: str, settings: SamplingSettings, conditioners: Sequence[Conditioner]
) -> None:
    """Refuse choices that do not exist, or that go with no motif.

    Raises
    ------
    InputError
        There is one.
    """
    check_name("scaffolding method", method, METHODS)
    check_name("hold", hold, HOLDS)
    if settings.handedness != "L":
        raise InputError(
            "a motif of natural amino acids stands in an L-protein; leave handedness at L"
        )
    refuse_beside_motif(conditioners)


def choose_restarts(method: str, settings: SamplingSettings) -> SamplingSettings:
    """Fill in how often the end of the way is taken again, where it is left to the method.

    Where a motif is written into each estimate its neighbours are led along, at first by a lot. A
    chain that comes down again, near its last form, has time to settle around the motif: torsions
    near it come into their boxes, and strain out of the seams.
    """
    if settings.restarts is not None:
        return settings
    return replace(settings, restarts=0 if method == "repaint" else 1)


def find_motif(contig: Contig, source: Backbone, groups: str | None) -> Contig:
    """Find the motif of a contig in its structure, with the groups that are asked for."""
    resolved = contig.resolve(source)
    return resolved if groups is None else group_segments(resolved, source, groups)


def get_free_below(hold: str) -> float:
    """Return the noise in Å below which nothing holds a motif."""
    return SOFT_BELOW if hold == "soft" else 0.0


def finish_scaffold(
    plan: Plan,
    motif: Motif,
    coordinates: NDArray[np.float32],
    contig: str,
    *,
    hold: str = DEFAULT_HOLD,
    place: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
) -> tuple[Backbone, dict[str, Any]]:
    """Set the input's motif on the sampled one, and describe it.

    Parameters
    ----------
    plan
        What was to be made.
    motif
        The motif and its place in the design.
    coordinates
        (residue, 3, 3), as sampled, in Å.
    contig
        As the user wrote it.
    hold
        How strictly, one of :data:`~protdiff.design.samplers.HOLDS`.
    place
        As :func:`~protdiff.design.setting_in.set_motif_in` takes it.
    """
    name = f"design_{plan.index:04d}"
    backbone, notes = set_motif_in(motif, coordinates, hold=hold, name=name, place=place)
    free = motif.motif_positions[motif.redesignable_mask] + 1
    return backbone, {
        "contig": contig,
        "layout": str(motif.layout),
        "asked": plan.secondary.to_dict(),
        "motif_map": motif.motif_map(),
        "redesignable": free.tolist(),
        **notes,
    }
