"""Tables become the dataclasses that they describe, or are refused in one line."""

from dataclasses import dataclass, field

import pytest

from protdiff.errors import InputError
from protdiff.fields import read_dataclass


@dataclass(frozen=True)
class Inner:
    size: int = 1
    range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self):
        if self.size < 1:
            raise InputError("size is too small")


@dataclass(frozen=True)
class Outer:
    name: str
    other: str
    inner: Inner = field(default_factory=Inner)
    share: float | None = None


def test_tables_in_a_table_are_dataclasses():
    values = {"name": "a", "inner": {"size": 3.0, "range": [1, 2]}, "share": 1}
    read = read_dataclass(Outer, values, "x", other="b")
    assert read == Outer("a", "b", Inner(3, (1.0, 2.0)), 1.0)
    assert [type(value) for value in (read.inner.size, read.share)] == [int, float]
    assert read_dataclass(Outer, {"name": "a", "other": "b"}, "x") == Outer("a", "b")
    assert (
        read_dataclass(Outer, {"name": "a", "other": "b", "inner": read.inner}, "x").inner.size == 3
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "x: name and other must be given"),
        ({"other": "b"}, "x: name must be given"),
        ({"nam": "a"}, "x: unknown key 'nam'; did you mean 'name'?"),
        ({"inner": 3}, "x: inner = 3; expected a table"),
        ({"inner": [{}]}, "x: inner = [{}]; expected a table"),
        ({"inner": {"sise": 3}}, "x [inner]: unknown key 'sise'; did you mean 'size'?"),
        ({"inner": {"size": 2.5}}, "x [inner]: size = 2.5; expected a whole number"),
        ({"inner": {"size": float("inf")}}, "x [inner]: size = inf; expected a whole number"),
        ({"inner": {"range": [1]}}, "x [inner]: range = [1]; expected [a number, a number]"),
        ({"inner": {"size": 0}}, "x [inner]: size is too small"),
        ({"share": 10**400}, f"x: share = 1{'0' * 59}...; expected a number"),
    ],
)
def test_the_fault_is_named_with_its_table(values, message):
    with pytest.raises(InputError) as caught:
        read_dataclass(Outer, values, "x")
    assert str(caught.value) == message


def test_what_is_made_already_is_no_key():
    with pytest.raises(InputError, match="unknown key 'other'"):
        read_dataclass(Outer, {"name": "a", "other": "b"}, "x", other="c")
