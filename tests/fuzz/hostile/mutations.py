"""Strategies: sound files, spoilt as files are spoilt, by accident or by design."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

__all__ = ["PLANTED", "json_values", "make_pickle", "mutated", "mutated_json", "texts"]

PLANTED = "planted-by-a-pickle"

TOKENS = (
    *(b"nan", b"NaN", b"-inf", b"1e999", b"-1e38", b"3e38", b"1e-320", b"0", b"-1", b"?", b"."),
    *(b"9" * 30, b"9" * 5000, b"2147483648", b"-9223372036854775809", b"0x10", b"1_000"),
    *(b"../../../x", b"/etc/passwd", b"..\\..\\x", b"~root", b"con", b"a" * 3000),
    *(b"\0", b"\xff" * 8, b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n", b"\n;\n", b"\t", b" "),
    *(b"'", b'"', b"#", b"{", b"}", b"[", b"]", b"[" * 3000, b'{"a":' * 3000, b"\x1b[31m"),
    *(b"ATOM  ", b"HETATM", b"MODEL        2\n", b"ENDMDL\n", b"TER\n", b"END\n", b"CONECT"),
    *(b"data_", b"data_x\n", b"loop_\n", b"_atom_site.", b"save_", b"global_", b"stop_", b"_a.b"),
    *(
        b"\x1f\x8b",
        b"dataBlocks",
        b"\x80\x04",
        b"PK\x03\x04",
        b"\x93NUMPY",
        b"\xdf\xff\xff\xff\xff",
    ),
    *("²".encode(), "٣".encode(), "Å".encode(), "\u2028".encode(), "\u202e".encode()),
)
NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 2**31, 2**63, -(2**63), 10**30, 10**400, 1.5, -0.0, 1e308),
    *(
        float("nan"),
        float("inf"),
        "",
        "0",
        "nan",
        "../../../x",
        "/etc/passwd",
        "a\0b",
        "\ud800",
        "²",
    ),
    *("x" * 3000, "a\nb", "\x1b[2J", [], {}, [[]], [0], [1, 2], [3, 2], [None, None], {"": None}),
    *(["a"] * 50, {"a": {"b": []}}, "F32", "U8", "I64", "C64", [1, 1 << 62], [0, 10**9]),
)


def make_pickle(folder: Path) -> bytes:
    """Return a pickle that leaves a file behind if anybody loads it."""

    class Planter:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return open, (str(folder / PLANTED), "w")

    return pickle.dumps(Planter())


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Draw one of the seeds, spoilt in one to four places, mostly in one."""
    # What Hypothesis draws itself keeps near zero, which is the start of a file.
    rng = random.Random(draw(st.integers(0, 2**32 - 1)))
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        data = _spoil_bytes(rng, data, seeds)
    return data


def _spoil_bytes(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    kind, place = rng.randrange(12), rng.randint(0, len(data))
    span = rng.randint(1, max(1, min(64, len(data))))
    token = rng.choice(TOKENS)
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]
    if kind == 2:
        return data[:place] + data[place + span :]
    if kind in (3, 4):
        return data[:place] + token + data[place:]
    if kind in (5, 6, 7, 8):
        return _replace_word(data, place, token)
    if kind == 9:
        return data[:place] + data[place : place + span] * rng.randint(2, 4) + data[place:]
    if kind == 10:
        other = rng.choice(seeds)
        return data[:place] + other[rng.randint(0, len(other)) :]
    return data[:place] + rng.randbytes(6) * 3 + data[place:]


def _replace_word(data: bytes, place: int, token: bytes) -> bytes:
    """Put a token in the place of the word around a byte, which is where a parser wants a value."""
    start = max(data.rfind(mark, 0, place) for mark in (b" ", b"\n", b"\t", b'"', b":", b","))
    ends = [data.find(mark, place) for mark in (b" ", b"\n", b"\t", b'"', b":", b",")]
    end = min((at for at in ends if at >= 0), default=len(data))
    return data[: start + 1] + token + data[end:]


def json_values() -> st.SearchStrategy[Any]:
    """Draw a value that JSON can hold and that is wanted nowhere."""
    return st.sampled_from(NASTY)


@st.composite
def mutated_json(draw: st.DrawFn, sound: Any) -> Any:
    """Draw a copy of plain values, spoilt in one to three places."""
    value = copy.deepcopy(sound)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        value = _spoil(draw, value)
    return value


def _spoil(draw: st.DrawFn, value: Any) -> Any:
    kind = draw(st.integers(0, 9))
    if isinstance(value, dict) and value and kind > 1:
        key = draw(st.sampled_from(sorted(value)))
        if kind == 2:
            return {name: item for name, item in value.items() if name != key}
        if kind == 3:
            return {**value, draw(st.sampled_from(("", "x", "../x", key + "x"))): value[key]}
        return {**value, key: _spoil(draw, value[key])}
    if isinstance(value, list) and value and kind > 1:
        place = draw(st.integers(0, len(value) - 1))
        if kind == 2:
            return value[:place] + value[place + 1 :]
        return [*value[:place], _spoil(draw, value[place]), *value[place + 1 :]]
    return draw(json_values())


def texts(words: Sequence[str], *, most: int = 8) -> st.SearchStrategy[str]:
    """Draw words of a language joined as they come, now and then with any character between."""
    word = st.sampled_from(words) | st.text(max_size=3)
    return st.lists(word, max_size=most).map("".join)
