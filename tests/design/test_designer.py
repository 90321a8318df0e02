"""The Python interface: what it takes, what it leaves alone, what it says of itself."""

import itertools
import json
import typing
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

import protdiff
from protdiff.checkpoint import load_checkpoint
from protdiff.conditioning import Symmetry
from protdiff.design import Designer, Generation, SamplingSettings, run_designs
from protdiff.design.settings import LikelihoodOptions, SamplingOptions
from protdiff.diffusion import DDIM, DormandPrince, EulerODE, KarrasGrid, LogSNRGrid
from protdiff.diffusion.likelihood import compute_log_likelihood
from protdiff.errors import InputError
from protdiff.evaluation.likelihood import LikelihoodSettings

FAST = {"steps": 3, "step_scale": 1.0}


def test_an_outer_autocast_changes_nothing(designer):
    def make():
        backbone = designer.generate(40, conditioners=Symmetry("C2"), **FAST)[0]
        code = designer.encode(backbone, rtol=0.1, atol=0.1)
        return backbone.coordinates, code, designer.decode(code, rtol=0.1, atol=0.1).coordinates

    plain = make()
    with torch.autocast("cpu", torch.bfloat16):
        inside = make()
    assert all(np.array_equal(one, other) for one, other in zip(plain, inside, strict=True))


def test_a_likelihood_is_found_in_full_precision(designer, monkeypatch):
    seen = []

    def look(*arguments, **options):
        seen.append(torch.is_autocast_enabled("cpu"))
        return compute_log_likelihood(*arguments, **options)

    monkeypatch.setattr("protdiff.evaluation.likelihood.compute_log_likelihood", look)
    backbone = designer.generate(30, **FAST)[0]
    with torch.autocast("cpu", torch.bfloat16):
        designer.log_likelihood(backbone, probes=2, rtol=0.5, atol=0.5)
    assert seen == [False]


def test_another_default_precision_changes_nothing(designer):
    plain = designer.generate((40, 44), 2, **FAST)
    torch.set_default_dtype(torch.float64)
    try:
        found = designer.generate((40, 44), 2, **FAST)
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(plain, found, strict=True):
        assert np.array_equal(one.coordinates, other.coordinates)


def test_designs_of_any_number_are_made_as_they_are_taken(designer):
    task = Generation((40, 47), 0, SamplingSettings(**FAST))
    endless = designer.make(task, itertools.count(), batch_size=2)
    taken = [design.index for design in itertools.islice(endless, 4)]
    assert taken == [design.index for design in designer.make(task, range(50), batch_size=2)][:4]


def test_one_conditioner_needs_no_list(designer):
    one, several = (designer.generate(30, conditioners=c, **FAST) for c in (C2, [C2]))
    assert np.array_equal(one[0].coordinates, several[0].coordinates)


C2 = Symmetry("C2")


@pytest.mark.parametrize("wrong", ["C3", Symmetry, [Symmetry], [C2, "C3"], 3, [None]])
def test_what_is_no_conditioner_is_refused_in_a_line(designer, wrong):
    with pytest.raises(InputError, match=r'is no conditioner; give .* such as Symmetry\("C3"\)'):
        designer.generate(40, conditioners=wrong)
    with pytest.raises(InputError, match="is no conditioner"):
        designer.scaffold(designer.generate(40, **FAST)[0], "5/A1-9/5", conditioners=wrong)


def test_a_conditioner_says_what_it_asks():
    assert repr(C2) == "Symmetry(group='C2')"


def test_settings_are_given_whole_or_one_by_one(designer):
    whole = SamplingSettings(sampler="ddim", **FAST)
    first = designer.generate(40, settings=whole)
    second = designer.generate(40, settings=whole, sampler="heun")
    assert [record["sampler"] for record in first.to_records() + second.to_records()] == [
        "ddim",
        "heun",
    ]
    with pytest.raises(InputError, match=r"settings is .*; give SamplingSettings\(...\)"):
        designer.generate(40, settings={"steps": 3})


@pytest.mark.parametrize(
    ("options", "kind"),
    [(SamplingOptions, SamplingSettings), (LikelihoodOptions, LikelihoodSettings)],
)
def test_keyword_arguments_are_the_fields_of_the_settings(options, kind):
    assert list(options.__annotations__) == [field.name for field in fields(kind)]
    assert typing.get_type_hints(Designer.to)["return"] is Designer


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"sampler": DDIM()}, {"sampler": "ddim"}),
        ({"sampler": DDIM}, {"sampler": "ddim"}),
        ({"sampler": EulerODE()}, {"sampler": "euler"}),
        ({"sampler": DormandPrince(1e-1, 1e-1)}, None),
        ({"grid": LogSNRGrid()}, {"grid": "log-snr"}),
        ({"grid": KarrasGrid}, None),
    ],
)
def test_samplers_and_grids_are_given_as_themselves(designer, given, place):
    found = designer.generate(40, 2, **FAST, **given)
    assert all(np.isfinite(backbone.coordinates).all() for backbone in found)
    if place is not None:
        named = designer.generate(40, 2, **FAST, **place)
        assert np.array_equal(found[1].coordinates, named[1].coordinates)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sampler": 3}, "3 is no sampler; give a name, a place as module:object, or a Sampler"),
        ({"sampler": KarrasGrid()}, r"KarrasGrid\(.* is no sampler"),
        ({"grid": DDIM}, "is no time grid"),
        ({"grid": None}, "None is no time grid"),
    ],
)
def test_other_objects_are_refused_in_a_line(designer, given, message):
    with pytest.raises(InputError, match=message):
        designer.generate(40, **given)


def test_a_sampler_without_a_name_is_recorded_by_its_values(designer, tmp_path):
    def run(eta, number):
        settings = SamplingSettings(sampler=DDIM(eta), grid=LogSNRGrid(), **FAST)
        return run_designs(designer, Generation(40, 0, settings), tmp_path, number)

    assert run(0.5, 1).records[0]["sampler"] == "DDIM(eta=0.5, pull=1.25)"
    assert json.loads((tmp_path / "run.json").read_text())["grid"].startswith("LogSNRGrid(")
    assert run(0.5, 2).made == 1
    with pytest.raises(InputError, match="other settings"):
        run(0.25, 2)


OWN = "from protdiff.diffusion import DDIM\nclass Own(DDIM):\n    pull = {}\n"


def test_a_sampler_in_a_file_is_recorded_by_its_source(designer, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def describe(name, pull):
        (tmp_path / f"{name}.py").write_text(OWN.format(pull))
        return SamplingSettings(sampler=f"{name}:Own", **FAST).describe()

    first, second = describe("own_sampler_one", 1.0), describe("own_sampler_two", 2.0)
    assert len(first["sampler_sha256"]) == 64
    assert first["sampler_sha256"] != second["sampler_sha256"]
    assert "sampler_sha256" not in SamplingSettings().describe()


def test_weights_that_were_changed_are_not_mixed_with_their_file_s(tiny_weights, tmp_path):
    designer = Designer(load_checkpoint(tiny_weights))
    task = Generation(40, 0, SamplingSettings(**FAST))
    (record,) = run_designs(designer, task, tmp_path, 1).records
    assert (record["weights"], record["weights_sha256"]) == ("tiny", designer.model.sha256)
    with torch.no_grad():
        next(designer.model.network.parameters()).add_(1e-3)
    (changed,) = designer.generate(40, **FAST).to_records()
    assert changed["weights"] == "modified tiny"
    assert changed["weights_sha256"] not in ("", designer.model.sha256)
    with pytest.raises(InputError, match='weights "tiny", now "modified tiny"'):
        run_designs(designer, task, tmp_path, 2)
    (line,) = run_designs(designer, task, tmp_path / "own", 1).records
    assert (line["weights"], line["weights_sha256"]) == ("modified tiny", changed["weights_sha256"])


def test_a_designer_says_which_it_is_in_a_line(designer):
    named = replace(designer.model, name="mine", metadata={"lengths": [40, 60]})
    assert repr(Designer(named)) == "Designer(BackboneModel(mine, 40-60 residues, cpu))"


def test_a_designer_goes_to_a_device_and_stays(designer):
    assert designer.to("cpu").model is designer.model
    with pytest.raises(InputError, match="abacus"):
        designer.to("abacus")
    assert isinstance(protdiff.Designer, type)
