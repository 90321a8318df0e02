"""The names by which users choose samplers and time grids.

Names are known without importing torch, so that ``protdiff --help`` stays quick; each stands for
one constructor with its default values. A new sampler gets one line in the table.

What has no name is reached by its place, ``module:object`` as Python's entry points are written: a
class that takes no arguments, or an instance with the values wanted. So a sampler or a grid of
one's own, in a file of one's own, is used from the command line and recorded in a run as it is.
From Python the object itself will do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from protdiff.errors import InputError, shorten
from protdiff.motif_methods import METHODS
from protdiff.names import check_name, find_object

if TYPE_CHECKING:
    from protdiff.diffusion import Sampler, TimeGrid

__all__ = [
    "ADAPTIVE_SAMPLERS",
    "FAST",
    "GRID_NAMES",
    "LONG",
    "METHODS",
    "SAMPLER_NAMES",
    "count_rungs",
    "describe_choice",
    "hash_choice",
    "is_adaptive",
    "make_grid",
    "make_sampler",
]

_SAMPLERS = {
    "heun-churn": "StochasticHeun",
    "exponential": "ExponentialSDE",
    "euler-maruyama": "EulerMaruyama",
    "predictor-corrector": "PredictorCorrector",
    "annealed-langevin": "AnnealedLangevin",
    "sde-dpm++2m": "SDEDPMSolverPP2M",
    "dpm++2m": "DPMSolverPP2M",
    "ddim": "DDIM",
    "euler": "EulerODE",
    "heun": "HeunODE",
    "dormand-prince": "DormandPrince",
}
SAMPLER_NAMES = tuple(_SAMPLERS)
ADAPTIVE_SAMPLERS = ("dormand-prince",)
"""They choose steps by the error of the whole batch: their batches are of one design, or it would
depend on the others. And they reject steps, so their denoiser must have no memory."""
GRID_NAMES = ("karras", "coarse", "log-snr", "cosine", "uniform")
FAST = {
    "sampler": "sde-dpm++2m",
    "steps": 15,
    "grid": "coarse",
    "step_scale": 1.4,
    "autoguidance": 2.0,
}
"""Sampling in 16 evaluations, half the default's; what it loses is in docs/samplers.md."""
LONG, RUNG = 128, 16
"""Residues above which a design takes more steps, from more noise, and by how many at a time."""
DEFAULT_METHOD = METHODS[0]
DEFAULT_PARTICLES = 4
HOLDS = ("hard", "soft")
"""How strictly: to the last noise level, or to the last but a few."""
DEFAULT_HOLD = "hard"


def make_sampler(name: str | Sampler | type[Sampler]) -> Sampler:
    """Return the sampler of a name.

    Parameters
    ----------
    name
        One of :data:`SAMPLER_NAMES`, or the place of another, ``"module:object"``; or a sampler,
        which is given back, or a class of them.

    Raises
    ------
    InputError
        There is no such sampler.

    Examples
    --------
    >>> type(make_sampler("heun")).__name__
    'HeunODE'
    >>> type(make_sampler("protdiff.diffusion:HeunODE")).__name__
    'HeunODE'
    """
    from protdiff.diffusion import Sampler

    if isinstance(name, str) and ":" not in name:
        check_name("sampler", name, SAMPLER_NAMES)
        name = f"protdiff.diffusion.sampler:{_SAMPLERS[name]}"
    found: Sampler = _take("sampler", name, Sampler)
    return found


def is_adaptive(name: str | Sampler) -> bool:
    """Return whether the sampler of a name is one of :data:`ADAPTIVE_SAMPLERS`, or like them."""
    return name in ADAPTIVE_SAMPLERS or (not _is_name(name) and make_sampler(name).adaptive)


def describe_choice(choice: str | Sampler | TimeGrid) -> str:
    """Return a sampler or a grid as a run records it: by name, or by class and plain values.

    Examples
    --------
    >>> from protdiff.diffusion import KarrasGrid
    >>> describe_choice(KarrasGrid(rho=5.0))
    'KarrasGrid(rho=5.0, noise_ratio_min=None, noise_ratio_max=None)'
    """
    if isinstance(choice, str):
        return choice
    # What is private is another's, such as a sampler within a sampler; the hash has it all.
    values = {name: value for name, value in vars(choice).items() if not name.startswith("_")}
    plain = [
        f"{name}={value!r}"
        for name, value in values.items()
        if isinstance(value, bool | int | float | str | None)
    ]
    return f"{type(choice).__name__}({', '.join(plain)})"


def hash_choice(
    choice: str | Sampler | TimeGrid, make: Callable[[Any], Sampler | TimeGrid]
) -> str | None:
    """Return the fingerprint of a sampler or a grid that has no name; None of one that has.

    Parameters
    ----------
    choice
        A sampler or a grid.
    make
        :func:`make_sampler` or :func:`make_grid`.
    """
    if _is_name(choice):
        return None
    from protdiff.fingerprint import fingerprint

    return fingerprint(make(choice))


def _is_name(choice: object) -> bool:
    return isinstance(choice, str) and ":" not in choice


def _take(kind: str, given: Any, base: type) -> Any:
    """Return an object that is given by its place, by its class or as itself."""
    if isinstance(given, str):
        return find_object(kind, given, base)
    try:
        made = given() if isinstance(given, type) and issubclass(given, base) else given
    except TypeError as error:
        raise InputError(f"{given.__name__} cannot be made ({error}); give an instance") from error
    if not isinstance(made, base):
        raise InputError(
            f"{shorten(repr(given))} is no {kind}; give a name, a place as module:object, or a "
            f"{base.__name__}"
        )
    return made


def count_rungs(length: int) -> int:
    """Return by how many stretches of 16 residues a design is longer than 128, rounded up.

    Padding, to multiples of 8, does not change it.
    """
    return max(0, -((LONG - length) // RUNG))


def make_grid(name: str | TimeGrid | type[TimeGrid], length: int = LONG) -> TimeGrid:
    """Return the time grid of a name.

    Parameters
    ----------
    name
        One of :data:`GRID_NAMES`, or the place of another, ``"module:object"``; or a grid, which
        is given back, or a class of them.
    length
        Residues of a design, all chains together, with padding or without. Where it is above 128,
        ``karras`` and ``coarse`` begin at more noise, by the square of how much larger the protein
        is.
    """
    from protdiff.diffusion import CosineGrid, KarrasGrid, LogSNRGrid, TimeGrid, UniformGrid
    from protdiff.structure.size import expect_radius

    if not isinstance(name, str) or ":" in name:
        found: TimeGrid = _take("time grid", name, TimeGrid)
        return found
    check_name("time grid", name, GRID_NAMES)
    larger = (expect_radius(LONG + RUNG * count_rungs(length)) / expect_radius(LONG)) ** 2
    grids: dict[str, TimeGrid] = {
        # At 80 Å of noise little of a protein is left: its radius of gyration is 10 to 20 Å.
        "karras": KarrasGrid(noise_ratio_max=10.0 * larger),
        # From 40 Å, where little of a fold is decided: few steps are better spent below.
        "coarse": KarrasGrid(noise_ratio_max=5.0 * larger),
        "log-snr": LogSNRGrid(),
        "cosine": CosineGrid(),
        "uniform": UniformGrid(),
    }
    return grids[name]
