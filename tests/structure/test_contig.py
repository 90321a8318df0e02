import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protdiff.errors import InputError
from protdiff.structure import CHAIN_JUMP, ContigError, parse_contig, parse_length
from protdiff.structure.segments import DesignedSegment, MotifSegment


def describe(contig):
    return [[str(segment) for segment in chain] for chain in contig.chains]


@pytest.mark.parametrize(
    ("text", "chains"),
    [
        ("10-40/A163-181/10-40", [["10-40", "A163-181", "10-40"]]),
        ("10-40,A163-181,10-40", [["10-40", "A163-181", "10-40"]]),
        (" 10-40 , A163-181 / 10 ", [["10-40", "A163-181", "10"]]),
        ("['10-40/A163-181/10-40']", [["10-40", "A163-181", "10-40"]]),
        ("[A1-7/20/A28-79]", [["A1-7", "20", "A28-79"]]),
        ("A100-100/5", [["A100", "5"]]),
        ("A100/5", [["A100", "5"]]),
        ("A1-150/0 70-100", [["A1-150"], ["70-100"]]),
        ("A1-9/0 B1-9/0 5/C3/5", [["A1-9"], ["B1-9"], ["5", "C3", "5"]]),
        ("5,0,6", [["5"], ["6"]]),
        ("0-35/A45-65/0-35", [["0-35", "A45-65", "0-35"]]),
        ("5/A-5-10/5/A-9--7/5/A-11", [["5", "A-5-10", "5", "A-9--7", "5", "A-11"]]),
        ("5/H52A-60/5/H82-82C/5", [["5", "H52A-60", "5", "H82-82C", "5"]]),
        ("5/A10-A20/5", [["5", "A10-20", "5"]]),
        ("5/AA10-20/5/1:3-9/5", [["5", "AA10-20", "5", "1:3-9", "5"]]),
        ("B/0 60-80", [["B"], ["60-80"]]),
        ("0-100;A1-21;0-100", [["0-100", "A1-21", "0-100"]]),
        ("A1-79;/;B1-41;/;70-150", [["A1-79"], ["B1-41"], ["70-150"]]),
        ("38;A;43;B;90", [["38", "A", "43", "B", "90"]]),
    ],
)
def test_reading(text, chains):
    contig = parse_contig(text)
    assert describe(contig) == chains
    # A segment knows where it was written.
    for segment in contig.segments:
        assert text[segment.position :].startswith(str(segment)[0])


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "empty"),
        ("  ", 2, "empty"),
        ("10-40/A163-x/10", 11, "expected a residue number"),
        ("10-40/A163-181x9/10", 15, "expected the end"),
        ("10-40/A163_181/10", 10, "expected - and the last residue"),
        ("10-40/A181-163/10", 11, "ends before it begins"),
        ("10-40/A163-/10", 11, "expected a residue number"),
        ("10-40/A163-B181/10", 11, "stays in one chain"),
        ("40-10/A163", 3, r"ends before it begins \(40 > 10\)"),
        ("10-/A163", 2, "expected a length"),
        ("10.5/A163", 2, "expected a length"),
        ("163A-181/5", 3, "residues begin with their chain"),
        ("-5/A163", 0, "cannot be negative"),
        ("*/A163", 0, "expected a chain id"),
        ("10//A163", 3, "between these two separators"),
        ("10,/A163", 3, "between these two separators"),
        ("/10/A163", 0, "before this"),
        ("10/A163/", 7, "after this"),
        ("10 A163", 3, "separated by / , or ;"),
        ("10;/;/A1", 3, "between these two separators"),
        (";/;A1", 0, "before this"),
        ("0/A163", 0, "chain break"),
        ("A163/0", 5, "chain break"),
        ("A163/0 ", 5, "chain break"),
        ("A163/0 0 A5", 7, "chain break"),
        ("0-0/A163", 0, "length 0"),
        ("0-5/0 A163", 0, "no residue at all"),
        ("10-99999/A163", 0, "99999 residues are more than"),
        ("5/A1-10001", 2, "10001 residues are more than the 10000 allowed"),
        ("A1-6000/A1-4001", 0, "up to 10001 residues in all are more than the 10000"),
        ("6000/A1-4001", 0, "up to 10001 residues in all are more than the 10000"),
    ],
)
def test_errors_point_at_the_character(text, position, message):
    with pytest.raises(ContigError, match=message) as caught:
        parse_contig(text)
    error = caught.value
    assert isinstance(error, InputError)
    assert error.position == position
    assert str(error).startswith(f"contig {text!r}, character {position + 1}: ")
    assert "\n" not in str(error)
    assert error.pointer == f"{text}\n{' ' * position}^"


@pytest.mark.parametrize("before", [0, 10, 100, 150])
def test_the_part_of_a_very_long_contig_around_the_character_is_shown(before):
    segments = ["A1-5"] * 150
    text = "/".join([*segments[:before], "?", *segments[before:]])
    with pytest.raises(ContigError) as caught:
        parse_contig(text)
    assert text[caught.value.position] == "?"
    shown, mark = caught.value.pointer.split("\n")
    assert shown[len(mark) - 1] == "?"
    assert len(shown) < 200
    assert shown.startswith("...") == (before > 10)
    assert shown.endswith("...") == (before < 150)
    assert shown.strip(".") in text
    assert len(str(caught.value)) < 400


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789AB-/,; :x", max_size=14))
def test_any_text_is_read_or_refused_in_one_line(text):
    error = None
    try:
        contig = parse_contig(text)
    except ContigError as caught:
        error = caught
    if error is None:
        assert contig.segments
    else:
        assert "\n" not in str(error)
        assert 0 <= error.position <= len(text)


def enumerate_layouts(contig, low, high):
    ranges = [range(s.low, s.high + 1) for s in contig.segments if isinstance(s, DesignedSegment)]
    given = sum(s.length for s in contig.segments if isinstance(s, MotifSegment))
    return [n for n in itertools.product(*ranges) if low <= sum(n) + given <= high]


ranges = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(ranges=ranges, low=st.integers(1, 25), width=st.integers(0, 8))
def test_counting_is_exact(ranges, low, width):
    text = "/".join(f"{a}-{a + b}" for a, b in ranges if a + b) + "/A5-6"
    contig = parse_contig(text.lstrip("/"))
    expected = enumerate_layouts(contig, low, low + width)
    assert contig.count_layouts((low, low + width)) == len(expected)
    everything = enumerate_layouts(contig, 0, 10_000)
    assert contig.count_layouts() == len(everything)
    totals = [sum(n) + 2 for n in everything]
    assert contig.length_span == (min(totals), max(totals))
    rng = np.random.default_rng(0)
    if expected:
        layout = contig.sample_layout(rng, (low, low + width))
        assert low <= layout.length <= low + width
        made = tuple(s.length for s in layout.segments if s.motif is None)
        assert made in expected
    else:
        with pytest.raises(InputError, match=f"it can have {min(totals)}"):
            contig.sample_layout(rng, (low, low + width))


@pytest.mark.statistical
@pytest.mark.parametrize("total", [None, 14, (12, 15)])
def test_layouts_are_drawn_uniformly(rng, total):
    contig = parse_contig("0-4/A1-5/2-6/B7/1-3")
    low, high = (0, 99) if total is None else parse_length(total)
    layouts = enumerate_layouts(contig, low, high)
    draws = 4000
    counts = Counter(
        tuple(s.length for s in contig.sample_layout(rng, total).segments if s.motif is None)
        for _ in range(draws)
    )
    assert set(counts) <= set(layouts)
    expected = draws / len(layouts)
    chi2 = sum((counts[layout] - expected) ** 2 for layout in layouts) / expected
    # Chi-squared has mean k and variance 2k; five standard deviations.
    freedom = len(layouts) - 1
    assert abs(chi2 - freedom) < 5 * np.sqrt(2 * freedom)


def test_many_ranges_stay_exact_and_quick(rng):
    contig = parse_contig("/".join(["5-60", "A1-3"] * 20) + "/1-100")
    assert contig.count_layouts() == 56**20 * 100
    layout = contig.sample_layout(rng, 300)
    assert layout.length == 300
    assert contig.count_layouts((contig.length_span[0], contig.length_span[1])) > 2**64


def test_an_infeasible_length_names_the_feasible_span(rng):
    contig = parse_contig("10-40/A163-181/10-40")
    for total, shown in ((38, "38"), ("100-200", "100-200"), ((1, 5), "1-5")):
        with pytest.raises(InputError, match=f"total length of {shown}; it can have 39-99"):
            contig.sample_layout(rng, total)
    with pytest.raises(InputError, match="it can have 79,"):
        parse_contig("A1-7/20/A28-79").sample_layout(rng, 80)
    assert contig.sample_layout(rng, 39).length == 39
    assert contig.sample_layout(rng, "99").length == 99


def test_a_layout_knows_its_places(rng):
    layout = parse_contig("3/A5-6/0-0005/0 B9/4").sample_layout(rng, "10-15")
    extra = layout.length - 10
    assert layout.motif_positions.tolist() == [3, 4, 5 + extra]
    assert layout.chain_breaks == (5 + extra,)
    steps = np.diff(layout.residue_index)
    assert steps[4 + extra] == CHAIN_JUMP
    assert (np.delete(steps, 4 + extra) == 1).all()
    assert parse_contig(str(layout)).length_span == (layout.length, layout.length)
    again = parse_contig(str(layout)).sample_layout(rng)
    assert again.motif_positions.tolist() == layout.motif_positions.tolist()
    assert again.chain_breaks == layout.chain_breaks
    with pytest.raises(InputError, match="resolve the contig first"):
        _ = layout.source_places


def test_the_seed_decides():
    contig = parse_contig("10-40/A163-181/10-40")
    drawn = [
        str(contig.sample_layout(np.random.default_rng(seed), "50-75")) for seed in (1, 1, 2, 3)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


def test_lengths_hidden_without_the_structure(rng):
    for text in ("5/H52A-60/5", "5/B/5"):
        with pytest.raises(ContigError, match="cannot be told without the structure"):
            parse_contig(text).sample_layout(rng)


@pytest.mark.parametrize("length", ["", "a", "5-", "9-5", 0, "0-5", (5, 3), (1, 2, 3)])
def test_bad_lengths(length):
    with pytest.raises(InputError):
        parse_length(length)
