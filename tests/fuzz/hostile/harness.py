"""One input at a time: what came of it, and whether that may be."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from hostile.mutations import PLANTED
from protdiff.errors import ProtdiffError
from protdiff.structure import StructureWarning

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["Report", "Target", "attempt", "fuzz"]

LONGEST = 20.0
"""Seconds of the processor's time that one input may take: a hang, not a slow machine."""
MOST_MEMORY = 3 << 30
"""Bytes that one input may ask for beyond what the process has."""


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote.

    Attributes
    ----------
    name
        What reports call it.
    inputs
        Draws the hostile input.
    run
        Reads it, given a folder of its own that it may write into; returns, or raises a
        :class:`~protdiff.errors.ProtdiffError` of one line.
    share
        How many inputs it gets, relative to others.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    run: Callable[[Any, Path], None]
    share: float = 1.0


@dataclass
class Report:
    """What came of the inputs of one target."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    """The first traceback of each kind of fault."""


class Hang(BaseException):
    """An input took too long."""


def fuzz(
    target: Target, count: int, folder: Path, *, number: int = 0, failing: Path | None = None
) -> Report:
    """Give a target some inputs, the same ones for the same ``number``.

    Parameters
    ----------
    target
        What is tried.
    count
        How many inputs.
    folder
        An empty folder: ``folder/in`` is for the input, nothing else in it may change.
    number
        Seeds the inputs.
    failing
        Where inputs that make faults are saved.
    """
    report = Report()

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(value=target.inputs)
    def body(value: Any) -> None:
        outcome, detail = attempt(target, value, folder)
        report.outcomes[outcome] += 1
        if outcome not in ("accepted", "refused") and outcome not in report.faults:
            report.faults[outcome] = detail
        if outcome not in ("accepted", "refused") and failing is not None:
            _save(failing, target, value, detail)

    body()
    return report


def attempt(target: Target, value: Any, folder: Path) -> tuple[str, str]:
    """Return what came of one input, and the details of a fault.

    The outcomes are ``"accepted"``, ``"refused"`` and, for a fault, its kind.
    """
    place = folder / "in"
    place.mkdir(exist_ok=True)
    try:
        with _limits(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", StructureWarning)
            try:
                target.run(value, place)
                outcome, detail = "accepted", ""
            except ProtdiffError as error:
                outcome, detail = "refused", ""
                if not str(error).strip() or len(str(error)) > 20_000:
                    outcome, detail = f"a message of {len(str(error))} characters", str(error)[:500]
    except (Exception, Hang) as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/protdiff/" in frame.filename] or frames[-1:]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        outcome, detail = f"{type(error).__name__} at {where}", traceback.format_exc()
    planted = [path for path in (Path(PLANTED), folder / PLANTED, place / PLANTED) if path.exists()]
    strange = sorted(path.name for path in folder.iterdir() if path.name != "in")
    if planted or strange:
        outcome, detail = "wrote outside its folder or ran code", f"{planted} {strange}"
        for path in (*planted, *(folder / name for name in strange)):
            path.unlink(missing_ok=True)
    _empty(place)
    return outcome, detail


def _empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """Limit the processor's time and the memory of what is done meanwhile, where one can."""
    if resource is None or not Path("/proc/self/statm").exists():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * os.sysconf("SC_PAGE_SIZE") + MOST_MEMORY
    before = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


def _save(folder: Path, target: Target, value: Any, detail: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = value if isinstance(value, bytes) else repr(value).encode("utf-8", "backslashreplace")
    name = f"{target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
    (folder / name).write_bytes(data)
    (folder / f"{name}.txt").write_text(detail, encoding="utf-8", errors="backslashreplace")


def to_json(report: Report) -> str:
    """Return a report on one line."""
    return json.dumps({"outcomes": report.outcomes, "faults": report.faults})
