"""Conditioners as the design tasks take them: several at once, by any sampler, and resumed."""

import numpy as np
import pytest
import torch

from protdiff.conditioning import (
    Conditioner,
    SecondaryStructure,
    Symmetry,
    UserPotential,
)
from protdiff.design import Generation, SamplingSettings, Scaffolding, run_designs
from protdiff.errors import InputError
from protdiff.model import BackboneModel
from protdiff.structure import Backbone, build_backbone, parse_contig

FAST = {"steps": 6, "step_scale": 1.0}
METHODS = ("amortized-guidance", "amortized", "replacement")


def prefer_100(x):
    centred = x - x.mean(dim=(1, 2), keepdim=True)
    return (centred.square().sum(dim=-1).mean(dim=(1, 2)).sqrt() - 100.0).square()


class Refusing(Conditioner):
    """Refuses one length."""

    def __init__(self, length):
        self.refused = length

    def describe(self):
        return {"kind": "refusing"}

    def check(self, length):
        if length == self.refused:
            raise InputError(f"{length} is refused")


@pytest.fixture(scope="module")
def telling(designer):
    """Return a designer whose network listens to secondary structure."""
    import copy

    network = copy.deepcopy(designer.model.network)
    with torch.no_grad():
        network.secondary.weight.normal_(generator=torch.Generator().manual_seed(0))
    return type(designer)(BackboneModel(network, name="telling"))


@pytest.fixture(scope="module")
def source():
    return Backbone.from_coordinates(build_backbone(np.full(40, -60.0), -45.0), name="helix")


def measure_miss(designs):
    x = torch.from_numpy(np.stack([one.coordinates[:, :3] for one in designs]))
    return prefer_100(x).sqrt()


@pytest.mark.parametrize("sampler", ["sde-dpm++2m", "euler-maruyama", "heun", "dormand-prince"])
def test_three_at_once_hold_by_every_kind_of_sampler(telling, sampler):
    def make(*conditioners):
        return telling.generate(18, 2, sampler=sampler, conditioners=conditioners, **FAST)

    symmetry, states = Symmetry("C2"), SecondaryStructure("9H9E")
    potential = UserPotential(prefer_100, 0.1)
    all_three = make(symmetry, states, potential)
    half_turn = np.array([-1.0, -1.0, 1.0])
    for design in all_three:
        chains = design.coordinates.reshape(2, -1, 3)
        assert np.abs(chains[1] - chains[0] * half_turn).max() < 1e-3
    without_potential, without_states = make(symmetry, states), make(symmetry, potential)
    assert (measure_miss(all_three) < measure_miss(without_potential)).all()
    difference = all_three[0].coordinates - without_states[0].coordinates
    assert np.abs(difference).max() > 0.1  # the network was told
    assert all_three.to_records()[0]["length"] == 36


@pytest.mark.parametrize("method", METHODS)
def test_a_motif_is_held_whatever_else_is_asked(designer, source, method):
    def make(*conditioners):
        settings = SamplingSettings(**FAST)
        options = {"total_length": 40, "method": method, "conditioners": conditioners}
        contig = parse_contig("10-20/A5-14/10-20")
        return list(designer.make(Scaffolding(source, contig, 0, settings, **options), range(2)))

    free, bound = make(), make(UserPotential(prefer_100, 0.01))
    for design in bound:
        assert design.extra["quality"]["motif_rmsd_sampled"] < 1e-3
        assert "potential" in " ".join(design.extra)
    misses = [measure_miss([design.backbone for design in designs]) for designs in (free, bound)]
    assert misses[1].mean() < misses[0].mean()


def test_secondary_structure_as_a_conditioner_is_the_setting(telling):
    options = {"length": (36, 44), "num": 3, **FAST}
    by_setting = telling.generate(secondary_structure="mainly-beta", **options)
    by_conditioner = telling.generate(conditioners=[SecondaryStructure("mainly-beta")], **options)
    for first, second in zip(by_setting, by_conditioner, strict=True):
        assert np.array_equal(first.coordinates, second.coordinates)
    with pytest.raises(InputError, match="asked for twice"):
        telling.generate(
            conditioners=[SecondaryStructure("natural")], secondary_structure="natural"
        )
    with pytest.raises(InputError, match="no secondary structure"):
        telling.generate(conditioners=[SecondaryStructure("mostly-beta")])


def test_weights_that_were_not_told_refuse(designer):
    with pytest.raises(InputError, match="was not trained to be told of secondary structure"):
        designer.generate(conditioners=[SecondaryStructure("mainly-beta")])


def test_every_possible_length_is_checked_before_anything_is_made(designer, source, tmp_path):
    task = Generation((40, 60), conditioners=(Refusing(53),))
    with pytest.raises(InputError, match="53 is refused"):
        run_designs(designer, task, tmp_path / "out", 1)
    contig = parse_contig("10-20/A5-14/10-30")
    scaffolding = Scaffolding(source, contig, conditioners=(Refusing(47),))
    with pytest.raises(InputError, match="47 is refused"):
        run_designs(designer, scaffolding, tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


class Placing(Refusing):
    """Places designs."""

    def place(self, coordinates):
        return coordinates + 1.0


def test_what_the_contig_says_nothing_else_may(source):
    with pytest.raises(InputError, match="which chains there are"):
        Scaffolding(source, parse_contig("10/A5-14/20"), conditioners=(Placing(0),))


def test_chain_breaks_of_a_contig_are_seen(designer, source):
    seen = []

    class Looking(Refusing):
        def make_term(self, scene):
            seen.append(scene)

    task = Scaffolding(
        source,
        parse_contig("10/A5-14/0 15"),
        settings=SamplingSettings(**FAST),
        conditioners=(Looking(0),),
    )
    next(designer.make(task, [0]))
    (scene,) = seen
    assert scene.chain_index[0].tolist() == [0] * 20 + [1] * 15
    assert scene.residue_index[0, 20] - scene.residue_index[0, 19] == 200
    assert not scene.is_unbroken
