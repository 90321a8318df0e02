import json

import numpy as np
import pytest

from protdiff.conditioning import Conditioner, Contacts, PartialDiffusion, Partner, Symmetry
from protdiff.design import Generation, SamplingSettings, run_designs
from protdiff.design.binding import Binding
from protdiff.design.engine import choose_task_weights
from protdiff.design.lengths import parse_lengths
from protdiff.design.secondary_structure import load_native_compositions
from protdiff.errors import InputError
from protdiff.structure import Backbone, read_backbone


def draw(length, num=4000):
    """Draw lengths as the designs of a run do."""
    task = Generation(length, seed=0)
    return np.array([task.plan(index).length for index in range(num)])


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("length", "shares"),
    [
        (64, {64: 1.0}),
        ("64,100,128", {64: 1 / 3, 100: 1 / 3, 128: 1 / 3}),
        ("64:2, 100:1", {64: 2 / 3, 100: 1 / 3}),
        ("40-43:1,90:0.25", {40: 0.2, 41: 0.2, 42: 0.2, 43: 0.2, 90: 0.2}),
        ((60, 62), {60: 1 / 3, 61: 1 / 3, 62: 1 / 3}),
    ],
)
def test_designs_are_as_long_as_asked_for(length, shares):
    lengths = draw(length)
    assert set(lengths.tolist()) == set(shares)
    for value, share in shares.items():
        # Four standard errors of a share.
        error = 4 * np.sqrt(share * (1 - share) / len(lengths))
        assert abs((lengths == value).mean() - share) <= error


@pytest.mark.statistical
def test_natural_lengths_are_those_of_natural_proteins():
    native = load_native_compositions()[:, 0]
    native = native[(native >= 40) & (native <= 128)]
    lengths = draw("natural")
    assert (lengths.min() >= 40) & (lengths.max() <= 128)
    grid = np.arange(40, 129)
    shares = [(values[:, None] <= grid).mean(axis=0) for values in (lengths, native)]
    # Kolmogorov and Smirnov: beyond it with a probability of 1e-4.
    assert np.abs(np.subtract(*shares)).max() < 2.2 / np.sqrt(len(lengths))
    # Not uniform, in which a third of that many would be shorter than 70.
    assert (lengths < 70).mean() < 0.27
    assert parse_lengths("natural/100-256").span == (100, 256)


def test_a_run_writes_down_its_law_and_the_lengths_it_drew(designer, tmp_path):
    task = Generation("40:3,42", 0, SamplingSettings(steps=2, step_scale=1.0))
    result = run_designs(designer, task, tmp_path, 6)
    assert json.loads((tmp_path / "run.json").read_text())["length"] == "40:3,42"
    assert [r["length"] for r in result.records] == [task.plan(k).length for k in range(6)]
    assert {r["length"] for r in result.records} == {40, 42}


def test_chains_of_a_complex_have_lengths_of_their_own(designer, tmp_path):
    task = Generation("30-32+40:2,44", 5, SamplingSettings(steps=2, step_scale=1.0))
    assert task.chains == 2
    assert choose_task_weights(task) == "protdiff-complex"
    assert task.length_range == (70, 76)
    assert list(task.lengths) == [70, 71, 72, 74, 75, 76]
    drawn = [np.bincount(task.plan(index).chains.chain_index).tolist() for index in range(60)]
    assert {tuple(pair) for pair in drawn} == {(n, m) for n in (30, 31, 32) for m in (40, 44)}
    result = run_designs(designer, task, tmp_path, 3)
    assert json.loads((tmp_path / "run.json").read_text())["length"] == "30-32+40:2,44"
    for index, record in enumerate(result.records):
        backbone = read_backbone(tmp_path / record["file"])
        assert backbone.chains == ("A", "B")
        lengths = [len(backbone.select_chain(chain)) for chain in backbone.chains]
        assert lengths == drawn[index]
        numbers = [np.arange(1, length + 1) for length in lengths]
        assert np.array_equal(backbone.residue_number, np.concatenate(numbers))


def test_what_goes_with_several_chains_and_what_does_not(designer, four_helices):
    settings = SamplingSettings(steps=2, step_scale=1.0)
    contact = Generation("30+40", 0, settings, [Contacts("A3-B38")])
    assert next(designer.make(contact, [0])).backbone.chains == ("A", "B")
    with pytest.raises(InputError, match="chain B has 40"):
        next(designer.make(Generation("30+40", 0, settings, [Contacts("A3-B41")]), [0]))
    with pytest.raises(InputError, match="has 2 chains already"):
        Generation("30+40", 0, settings, [Symmetry("C2")])
    target = Partner(Backbone.from_coordinates(four_helices[:40], name="target"), "A3,A14")
    binding = Binding("30+40", 0, settings, [target])
    assert binding.chains == 3
    design = next(designer.make(binding, [0])).backbone
    assert [len(design.select_chain(chain)) for chain in design.chains] == [30, 40]


def test_a_start_of_several_chains_has_lengths_of_its_own(four_helices):
    start = Backbone.from_coordinates(four_helices[:70], chain_id=np.repeat(["A", "B"], [30, 40]))
    begin = PartialDiffusion(start)
    for length in (None, 70, "30+40"):
        task = Generation(length, conditioners=[begin])
        assert task.chains == 2
        assert choose_task_weights(task) == "protdiff-complex"
    with pytest.raises(InputError, match=r"chains of 40 and 30 .* has 30 and 40"):
        Generation("40+30", conditioners=[begin])


class EvenOnly(Conditioner):
    def describe(self):
        return {"kind": "even"}

    def check(self, length):
        if length % 2:
            raise InputError(f"{length} residues are odd")


def test_lengths_between_those_of_a_mixture_are_not_asked_for(designer):
    settings = SamplingSettings(steps=2, step_scale=1.0)
    task = Generation("40,44:2", 0, settings, [EvenOnly()])
    assert list(task.lengths) == [40, 44]
    assert len(next(designer.make(task, [0])).backbone) in (40, 44)
    with pytest.raises(InputError, match="41 residues are odd"):
        next(designer.make(Generation("40-44", 0, settings, [EvenOnly()]), [0]))


def test_a_range_is_written_down_as_before():
    described = [parse_lengths(length).describe() for length in (80, "80", "60-80", (60, 80))]
    assert described == [80, 80, [60, 80], [60, 80]]
    assert parse_lengths(" 64 :2,100").describe() == "64:2,100"
    assert parse_lengths("natural").describe() == "natural/40-128"
    assert parse_lengths("60-80 + 100").describe() == "60-80+100"
    assert parse_lengths("64:2,100+natural").describe() == "64:2,100+natural/40-128"


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ("64,", "a number or a range"),
        ("64+", "a number or a range"),
        ("60+0", "at least 1"),
        ("64:0", "above 0"),
        ("64:-1", "above 0"),
        ("64:nan", "above 0"),
        ("64:", "above 0"),
        ("80-60:2", "ends before it begins"),
        ("0,64", "at least 1"),
        ("natural/", "a number or a range"),
        ("natural/2-9", "no natural protein of 2 to 9"),
        ("naturally", "a number or a range"),
    ],
)
def test_what_is_no_law_is_refused_in_a_line(length, message):
    with pytest.raises(InputError, match=message) as caught:
        Generation(length)
    assert "\n" not in str(caught.value)
