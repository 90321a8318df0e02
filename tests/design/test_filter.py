import json
import warnings

import numpy as np
import pytest

from protdiff.conditioning import Conditioner
from protdiff.design import Generation, SamplingSettings, parse_filter, read_designs, run_designs
from protdiff.design.filter import DesignFilter, as_filter, iterate_rounds, limit_draws
from protdiff.design.run_folder import MANIFEST
from protdiff.errors import InputError

SAMPLING = {"steps": 3, "step_scale": 1.0}
TASK = Generation((40, 42), 3, SamplingSettings(**SAMPLING))


@pytest.fixture(scope="module")
def compact(designer):
    """Return a filter that some of the designs meet, and those of the first twelve that do."""
    designs = designer.generate((40, 42), 12, 3, **SAMPLING)
    rg = [quality.rg for quality in designs.qualities]
    # Between two values, where no rounding changes a verdict.
    limit = round(float(np.mean(sorted(rg)[4:6])), 3)
    good = [index for index, value in enumerate(rg) if value < limit]
    return f"rg<{limit}", good


def read_lines(folder):
    lines = map(json.loads, (folder / MANIFEST).read_text().splitlines())
    return {line["index"]: line for line in lines}


def test_rounds_draw_what_one_by_one_would_draw():
    rng = np.random.default_rng(0)
    for _ in range(50):
        passes = rng.random(60) < rng.uniform(0.1, 1)
        num = int(rng.integers(1, 8))
        so_far = np.cumsum([0, *passes])
        drawn = [index for indices in iterate_rounds(num, 60, so_far.item) for index in indices]
        enough = np.flatnonzero(so_far[1:] == num)
        assert drawn == list(range(enough[0] + 1 if len(enough) else 60))


def test_a_run_keeps_the_first_that_pass(designer, compact, tmp_path):
    text, good = compact
    started = []
    result = run_designs(
        designer,
        TASK,
        tmp_path / "run",
        3,
        filter=parse_filter([text]),
        until_kept=True,
        on_start=lambda *counts: started.append(counts),
    )
    assert [record["index"] for record in result.kept] == good[:3]
    assert result.drawn == result.made == good[2] + 1
    assert sum(missing for _, missing in started) == result.drawn
    lines = read_lines(tmp_path / "run")
    assert sorted(lines) == list(range(result.drawn))
    for index, line in lines.items():
        assert (line["file"] is None) == (line.get("rejected") == ["rg"]) == (index not in good)
    files = sorted(path.name for path in (tmp_path / "run").glob("design_*"))
    assert files == [f"design_{index:04d}.pdb" for index in good[:3]]
    designs = read_designs(tmp_path / "run")
    assert (len(designs), designs.drawn) == (3, result.drawn)


def test_a_run_that_was_stopped_draws_the_same(designer, compact, tmp_path):
    text, good = compact
    asked = {"filter": parse_filter([text]), "until_kept": True}
    whole = run_designs(designer, TASK, tmp_path / "whole", 4, **asked)
    # Fewer at first; then killed, with the last line torn; then all of them.
    run_designs(designer, TASK, tmp_path / "stopped", 2, **asked)
    manifest = tmp_path / "stopped" / MANIFEST
    manifest.write_text(manifest.read_text()[:-9])
    result = run_designs(designer, TASK, tmp_path / "stopped", 4, **asked)
    assert [r["index"] for r in result.records] == list(range(good[3] + 1))
    for first, second in zip(whole.records, result.records, strict=True):
        assert (first["file"], first.get("rejected")) == (second["file"], second.get("rejected"))
    again = run_designs(designer, TASK, tmp_path / "stopped", 4, **asked)
    assert (again.made, len(again.kept)) == (0, 4)
    fewer = run_designs(designer, TASK, tmp_path / "stopped", 2, **asked)
    assert [r["index"] for r in fewer.kept] == good[:2]


def test_drawing_ends_at_its_limit(designer, compact, tmp_path):
    text, _ = compact
    asked = {"filter": parse_filter([text, "strand>1"]), "until_kept": True}
    result = run_designs(designer, TASK, tmp_path / "none", 2, max_draws=5, **asked)
    assert (result.drawn, result.kept) == (5, [])
    assert (limit_draws(4, None), limit_draws(4, 4)) == (40, 4)
    with pytest.raises(InputError, match="3 draws cannot give 4 designs"):
        run_designs(designer, TASK, tmp_path / "few", 4, max_draws=3, **asked)
    assert not (tmp_path / "few").exists()
    with pytest.raises(InputError, match=r"max_draws is 5\.5; give a whole number"):
        designer.generate(40, 2, filter="strand>1", max_draws=5.5, **SAMPLING)


def test_python_draws_as_a_run_does(designer, compact):
    text, good = compact
    designs = designer.generate((40, 42), 3, 3, filter=text, **SAMPLING)
    assert [design.index for design in designs.designs] == good[:3]
    assert designs.drawn == designs[:1].drawn == good[2] + 1
    with pytest.warns(UserWarning, match="0 of 4 designs drawn meet the filter, and 2 are wanted"):
        assert len(designer.generate(40, 2, filter="strand>1", max_draws=4, **SAMPLING)) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert designer.generate(40, 2, **SAMPLING).drawn == 2


def test_designs_that_are_named_are_not_drawn_until_enough_pass(designer, tmp_path):
    asked = {"filter": parse_filter(["pass"]), "until_kept": True}
    with pytest.raises(InputError, match="give a number, not"):
        run_designs(designer, TASK, tmp_path / "run", [5, 6], **asked)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no condition; give a quantity"),
        ("pass,", "'' is no condition"),
        ("passing", "strand>=0.2, or pass"),
        ("stand>0.2", "did you mean 'strand'"),
        ("pass<1", "pass stands alone"),
        ("pas<1", "did you mean 'pass'"),
        ("strand<inf", "give a number, such as strand<0.2"),
    ],
)
def test_what_is_no_filter_is_refused_in_a_line(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_filter([text])
    assert "\n" not in str(caught.value)


def test_one_text_is_a_filter_and_a_function_is_none(designer):
    assert parse_filter("pass, strand>=0.2") == parse_filter(["pass", "strand>=0.2"])
    for wrong in (lambda design: True, [3], 3):
        with pytest.raises(InputError, match="give conditions as text, such as 'pass"):
            designer.generate(40, filter=wrong)


class Beside(Conditioner):
    """Designs that stand beside something, at a distance that was told."""

    beside = "target"

    def __init__(self, gap):
        self.gap = gap

    def describe(self):
        return {"kind": "beside", "gap": self.gap}

    def measure(self, backbone):
        return {"partner_gap": self.gap, "hotspots_touched": 0.5}


def test_numbers_of_what_designs_are_made_beside(designer, tmp_path):
    asked = {"length": 40, "steps": 2, "filter": ["hotspots_touched>=0.5", "partner_gap<3"]}
    (near,) = (made := designer.generate(conditioners=[Beside(2.0)], **asked)).designs
    assert near.quality.partner_gap == 2.0
    assert "target_clash" in near.quality.failed
    assert made.to_records()[0]["partner_gap"] == 2.0
    made.write(tmp_path / "near")
    again = read_designs(tmp_path / "near")
    assert "target_clash" in again.qualities[0].failed
    assert len(again.filter("partner_gap<3, hotspots_touched>0")) == 1
    assert not again.filter("partner_gap>3")
    with pytest.warns(UserWarning, match="0 of 10 designs drawn"):
        assert not designer.generate(conditioners=[Beside(4.0)], **asked)
    with pytest.raises(InputError, match="a number of designs with a target"):
        designer.generate(**asked)
    task = Generation(40, 0, SamplingSettings(steps=2))
    with pytest.raises(InputError, match="number of designs with a motif"):
        run_designs(designer, task, tmp_path / "out", 1, filter=parse_filter("sound_seams>=2"))
    assert not (tmp_path / "out").exists()


def test_a_filter_is_read_as_a_campaign_reads_it():
    table = {"passing": True, "strand": [">=0.2", "<0.5"], "motif_rmsd_sampled": "<=1"}
    assert parse_filter(["sound_seams>=2, motif_clashes<1"]).find_faults(
        {"quality": {"failed": [], "sound_seams": 1, "motif_clashes": 0}}
    ) == ["sound_seams"]
    texts = ["strand>=0.2 , pass", "strand < .5, motif_rmsd_sampled<=1"]
    assert parse_filter(texts) == DesignFilter.from_dict(table)


@pytest.mark.parametrize("condition", ["s>=0.2", "0.2", ">=", ">=inf", ["<0.5", "x"], 0.2, None])
def test_a_condition_of_a_table_is_a_sign_and_a_number(condition):
    with pytest.raises(InputError, match=r"filter: strand = .*expected a condition such as"):
        DesignFilter.from_dict({"strand": condition})


def test_a_filter_that_asks_for_nothing_is_none():
    asked = parse_filter(["pass", "strand>0.1"])
    assert as_filter(asked) is asked
    assert as_filter("pass, strand>0.1") == as_filter(["pass", "strand>0.1"]) == asked
    assert as_filter(DesignFilter()) is as_filter([]) is as_filter(None) is None
