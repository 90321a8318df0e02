"""Tables as a terminal shows them."""

import io
import sys

import pytest
from rich.text import Text

from protdiff.cli.display import print_table

COLUMNS = ["structure", "length", "helix", "strand", "contacts", "verdict"]


@pytest.fixture
def print_lines(monkeypatch):
    """Return a function that prints a table on a terminal of a width, and returns its lines."""

    def print_lines(width, columns, rows):
        terminal = io.StringIO()
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        print_table(columns, rows)
        return Text.from_ansi(terminal.getvalue()).plain.splitlines()

    return print_lines


def test_a_narrow_terminal_takes_the_beginning_of_names_alone(print_lines):
    row = ["a/long/way/to/runs/of/yesterday/design_0007.pdb", "80", "0.41", "0.25", "3.10", "good"]
    for width in (200, 70):
        lines = print_lines(width, COLUMNS, [row])
        assert all(len(line) <= width for line in lines)
        name, *numbers = lines[1].split()
        assert lines[0].split() == COLUMNS
        assert numbers == row[1:]
    assert name.startswith("…")
    assert name.endswith("/yesterday/design_0007.pdb")


def test_lines_are_longer_than_a_terminal_that_has_no_room_for_numbers(print_lines):
    row = ["runs/design_0007.pdb", "80", "0.41", "0.25", "3.10", "clashing, not_compact"]
    lines = print_lines(30, COLUMNS, [row, ["ü" * 30, *row[1:]]])
    assert lines[1].split() == ["…esign_0007.pdb", *row[1:4], "3.10", "clashing,", "not_compact"]
    assert lines[2].startswith("…" + "ü" * 14 + " ")
    assert len({len(line) for line in lines}) == 1
