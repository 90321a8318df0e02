"""What secondary structure designs are asked for."""

import dataclasses

import numpy as np
import pytest
import torch

from protdiff.design import Generation, SamplingSettings
from protdiff.design.engine import check_task
from protdiff.design.secondary_structure import (
    NOTHING_ASKED,
    SecondaryStructure,
    load_native_compositions,
    make_network_input,
    parse_secondary_structure,
)
from protdiff.errors import InputError


def draw(text, length=100, num=200):
    request = parse_secondary_structure(text)
    found = [request.draw(length, np.random.default_rng(k)) for k in range(num)]
    return np.array([(one.helix, one.strand) for one in found], dtype=float)


def test_nature_is_sound():
    table = load_native_compositions()
    assert len(table) > 3000
    assert (table[:, 1:] >= 0).all()
    assert (table[:, 1] + table[:, 2] <= 1.01).all()  # each is rounded to a percent
    assert 0.25 < table[:, 1].mean() < 0.5
    assert 0.15 < table[:, 2].mean() < 0.35


def test_natural_draws_are_those_of_nature():
    """Within four standard errors of the mean over proteins of about that length."""
    table = load_native_compositions()
    near = table[(table[:, 0] > 90) & (table[:, 0] < 110), 1:]
    error = near.std(axis=0) / 200**0.5
    assert (np.abs(draw("natural").mean(axis=0) - near.mean(axis=0)) < 4 * error).all()


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("mainly-alpha", lambda helix, strand: (helix >= 0.4) & (strand < 0.1)),
        ("Mainly beta", lambda helix, strand: (strand >= 0.3) & (helix < 0.15)),
        ("alpha_beta", lambda helix, strand: (helix >= 0.15) & (strand >= 0.15)),
    ],
)
@pytest.mark.parametrize("length", [40, 128, 400])
def test_classes_are_held(text, fits, length):
    helix, strand = draw(text, length).T
    assert fits(helix, strand).all()
    assert len(set(helix)) > 5


def test_one_share_leaves_the_other_to_nature():
    helix, strand = draw("strand=40%").T
    assert (strand == 0.4).all()
    assert len(set(helix)) > 5
    assert helix.mean() < 0.2  # who is nearly half strand has little helix
    assert (draw("helix=0.3, strand=0.2", num=3) == [0.3, 0.2]).all()


def test_residue_by_residue():
    request = parse_secondary_structure("12H 3L6E?")
    assert request.draw(22, np.random.default_rng(0)).states == "H" * 12 + "---" + "E" * 6 + "?"
    with pytest.raises(InputError, match="names 22 residues and the design has 40"):
        request.draw(40, np.random.default_rng(0))
    with pytest.raises(InputError, match="names 22 residues and the design has 40"):
        Generation(40, settings=SamplingSettings(secondary_structure="12H3L6E?"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mainly-betta", "did you mean 'mainly-beta'"),
        ("helix=2", "share of helix is '2'"),
        ("helix=0.7,strand=0.7", "more than the whole protein"),
        ("sheet=0.2", "no kind of secondary structure 'sheet'"),
        ("helix=much", "share of helix is 'much'"),
        ("", "no secondary structure ''"),
        ("12", "no secondary structure '12'"),
        ("99999H", "no secondary structure '99999h'"),
    ],
)
def test_what_is_not_understood_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        SamplingSettings(secondary_structure=text)


def test_the_network_is_told_what_was_asked():
    mask = torch.ones(2, 6, dtype=torch.bool)
    assert make_network_input([NOTHING_ASKED] * 2, mask) is None
    told = make_network_input([SecondaryStructure(helix=0.25, strand=0.5), NOTHING_ASKED], mask)
    assert told.states is None
    assert told.composition[0].tolist() == [0.25, 0.5]
    assert told.composition[1].isnan().all()
    told = make_network_input([SecondaryStructure(states="H-E?"), NOTHING_ASKED], mask)
    assert told.composition is None
    assert told.states.tolist() == [[2, 1, 3, 0, 0, 0], [0] * 6]


def test_a_task_asks_for_what_it_is_told_and_says_so(designer, monkeypatch):
    monkeypatch.setattr("protdiff.model.BackboneModel.knows_secondary_structure", True)
    natural = Generation(40, 0, SamplingSettings(secondary_structure="natural"))
    plan = natural.plan(3)
    assert plan.secondary == Generation(40, 0, natural.settings).plan(3).secondary
    assert plan.secondary.helix is not None
    assert Generation(40, 0).plan(3).secondary == NOTHING_ASKED
    settings = SamplingSettings(steps=2, step_scale=1.0, secondary_structure="natural")
    design = next(designer.make(dataclasses.replace(natural, settings=settings), [3]))
    assert design.extra["asked"] == {"helix": plan.secondary.helix, "strand": plan.secondary.strand}


def test_weights_that_know_nothing_of_it_refuse_a_special_wish(designer):
    check_task(designer.model, Generation(40, 0))
    task = Generation(40, 0, SamplingSettings(secondary_structure="mainly-beta"))
    with pytest.raises(InputError, match="not trained to be told of secondary structure"):
        check_task(designer.model, task)
