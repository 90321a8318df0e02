"""The names by which users choose samplers and time grids.

Names are known without importing torch, so that ``protdiff --help`` stays quick; each stands for
one constructor with its default values. A new sampler gets one line in :func:`make_sampler`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from protdiff.errors import InputError

if TYPE_CHECKING:
    from protdiff.diffusion import Sampler, TimeGrid

__all__ = [
    "ADAPTIVE_SAMPLERS",
    "GRID_NAMES",
    "SAMPLER_NAMES",
    "check_name",
    "make_grid",
    "make_sampler",
]

SAMPLER_NAMES = (
    "heun-churn",
    "exponential",
    "euler-maruyama",
    "predictor-corrector",
    "annealed-langevin",
    "sde-dpm++2m",
    "dpm++2m",
    "ddim",
    "euler",
    "heun",
    "dormand-prince",
)
ADAPTIVE_SAMPLERS = ("dormand-prince",)
"""They choose steps by the error of the whole batch: their batches are of one design, or it would
depend on the others. And they reject steps, so their denoiser must have no memory."""
GRID_NAMES = ("karras", "log-snr", "cosine", "uniform")
METHODS = ("amortized-guidance", "guidance", "amortized", "replacement")
"""How a motif is imposed on a sampling run."""
DEFAULT_METHOD = "amortized-guidance"


def make_sampler(name: str) -> Sampler:
    """Return the sampler of a name.

    Parameters
    ----------
    name
        One of :data:`SAMPLER_NAMES`.

    Raises
    ------
    InputError
        There is no such sampler.
    """
    from protdiff.diffusion import sampler

    check_name("sampler", name, SAMPLER_NAMES)
    makers: dict[str, Callable[[], Sampler]] = {
        "heun-churn": sampler.StochasticHeun,
        "exponential": sampler.ExponentialSDE,
        "euler-maruyama": sampler.EulerMaruyama,
        "predictor-corrector": sampler.PredictorCorrector,
        "annealed-langevin": sampler.AnnealedLangevin,
        "sde-dpm++2m": sampler.SDEDPMSolverPP2M,
        "dpm++2m": sampler.DPMSolverPP2M,
        "ddim": sampler.DDIM,
        "euler": sampler.EulerODE,
        "heun": sampler.HeunODE,
        "dormand-prince": sampler.DormandPrince,
    }
    return makers[name]()


def make_grid(name: str) -> TimeGrid:
    """Return the time grid of a name, one of :data:`GRID_NAMES`."""
    from protdiff.diffusion import CosineGrid, KarrasGrid, LogSNRGrid, UniformGrid

    check_name("time grid", name, GRID_NAMES)
    grids: dict[str, TimeGrid] = {
        # From 320 Å of noise nothing of a protein is left; beyond it steps are wasted.
        "karras": KarrasGrid(noise_ratio_max=40.0),
        "log-snr": LogSNRGrid(),
        "cosine": CosineGrid(),
        "uniform": UniformGrid(),
    }
    return grids[name]


def check_name(kind: str, name: str, names: Sequence[str]) -> None:
    """Refuse a name that is not among ``names``, with the nearest one as a hint.

    Raises
    ------
    InputError
        The name is not there.

    Examples
    --------
    >>> check_name("sampler", "hen", ["heun", "ddim"])
    Traceback (most recent call last):
    protdiff.errors.InputError: there is no sampler 'hen', did you mean 'heun'? There are heun, ddim
    """
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    hint = f", did you mean {near[0]!r}?" if near else "."
    raise InputError(f"there is no {kind} {name!r}{hint} There are {', '.join(names)}")
