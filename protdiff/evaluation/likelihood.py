r"""How likely is a structure under a trained model: log p of its backbone, and its latent code.

A backbone of N residues, less its place in space, is a point of the mean-free subspace, which has
d = 9 N - 3 dimensions. Its density there comes from the probability-flow ODE
(:mod:`protdiff.diffusion.likelihood`) in model units and is stated in Å: with x = X / c,

.. math::  \log p(X) = \log p(x) - d \log c  .

Two choices are part of the number. Coordinates in files have errors, and a density of exact
positions rewards nothing but the narrowness of bonds; so what is measured is the density of
structures with a little noise, :data:`NOISE_FLOOR`. And a network that remembers its last estimate
is no function of (x_t, t), so there is no self-conditioning here.

Chain breaks are in the residue index. Only nats of one model, floor and size compare with each
other: between proteins of different lengths, nats per residue do so roughly.

References
----------
Song et al. (2021), Score-based generative modeling through stochastic differential equations,
appendix D.2; Grathwohl et al. (2019), FFJORD.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from protdiff.diffusion import ExactTrace, RademacherProbes, compute_log_likelihood
from protdiff.diffusion import decode as carry_down
from protdiff.diffusion import encode as carry_up
from protdiff.diffusion.trace import TraceEstimator
from protdiff.errors import InputError, ProtdiffError
from protdiff.handedness import Handedness, get_sign
from protdiff.model import DIFFUSED_ATOMS, LENGTH_RANGE, BackboneDenoiser, BackboneModel
from protdiff.structure import Backbone

__all__ = [
    "EXACT_TRACE_LENGTH",
    "NOISE_FLOOR",
    "Likelihood",
    "LikelihoodSettings",
    "check_backbone",
    "decode_backbone",
    "encode_backbone",
    "measure_likelihood",
]

NOISE_FLOOR = 0.03
"""Å: the noise at which the flow starts, about how far refinement lets a bond length vary."""
EXACT_TRACE_LENGTH = 64
"""Residues: the exact trace takes 9 probes a residue."""


@dataclass(frozen=True)
class LikelihoodSettings:
    """How to find a likelihood.

    Parameters
    ----------
    probes
        Random vectors of Hutchinson's trace, at least 2; the standard error falls with the root of
        their number. 0 stands for the exact trace, for short chains.
    seed
        Of the probes. The same for two structures of one length gives them the same probes, so
        that the error of their difference is smaller than their own.
    rtol, atol
        Relative and absolute tolerance of a step of the solver, the latter in model units. What the
        solver errs, a nat or two by default, is not in the standard error.
    noise_floor
        The noise that the measured density allows for, in Å per coordinate.

    Raises
    ------
    InputError
        A number is out of its range.
    """

    probes: int = 4
    seed: int = 0
    rtol: float = 1e-3
    atol: float = 1e-4
    noise_floor: float = NOISE_FLOOR

    def __post_init__(self) -> None:
        if self.probes != 0 and self.probes < 2:
            raise InputError(
                f"{self.probes} probes give no standard error; ask for at least 2, or for the "
                "exact trace"
            )
        for name, most in (("rtol", 1.0), ("atol", 1.0), ("noise_floor", 10.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 < value <= most):
                raise InputError(f"{name} is {value}; give a number above 0, up to {most:g}")

    def make_trace(self) -> TraceEstimator:
        """Return the estimator of the divergence, its random numbers started afresh."""
        if self.probes == 0:
            return ExactTrace()
        # Negative seeds are seeds too: torch takes any number of 64 bits.
        generator = torch.Generator().manual_seed(self.seed % (1 << 63))
        return RademacherProbes(self.probes, generator)


@dataclass(frozen=True)
class Likelihood:
    """Log p of a backbone.

    Attributes
    ----------
    nats
        Log density in Å^-d over the mean-free positions of N, CA and C.
    standard_error
        Of Hutchinson's estimate, in nats; 0 for the exact trace.
    residues
        N.
    evaluations
        How often the network was called.
    """

    nats: float
    standard_error: float
    residues: int
    evaluations: int

    @property
    def dimension(self) -> int:
        """The dimensions, d = 9 N - 3."""
        return 3 * (len(DIFFUSED_ATOMS) * self.residues - 1)

    @property
    def nats_per_residue(self) -> float:
        """Log p / N."""
        return self.nats / self.residues

    @property
    def bits_per_dimension(self) -> float:
        """-log2 p / d: the code length of a coordinate, to a precision of 1 Å."""
        return -self.nats / (self.dimension * math.log(2))


def measure_likelihood(
    model: BackboneModel,
    backbone: Backbone,
    settings: LikelihoodSettings | None = None,
    *,
    handedness: Handedness = "L",
) -> Likelihood:
    """Measure how likely a backbone is under a model.

    Parameters
    ----------
    model
        The trained model.
    backbone
        A structure, anywhere in space.
    settings
        See :class:`LikelihoodSettings`.
    handedness
        Take it for an L- or a D-protein.

    Returns
    -------
    Likelihood

    Raises
    ------
    InputError
        The backbone is too short, too long or not finite; the handedness is neither L nor D.
    ProtdiffError
        The flow could not be solved.
    """
    settings = LikelihoodSettings() if settings is None else settings
    check_backbone(backbone, exact=settings.probes == 0)
    _warn_of_length(model, backbone)
    denoiser = _make_denoiser(model, len(backbone), backbone.residue_index, handedness)
    with model.in_full_precision():
        found = compute_log_likelihood(
            denoiser,
            _to_model(model, backbone),
            model.subspace(denoiser.residue_mask),
            trace=settings.make_trace(),
            noise_ratio_min=settings.noise_floor / model.scale,
            rtol=settings.rtol,
            atol=settings.atol,
        )
    nats = float(found.nats) - int(found.dimension) * math.log(model.scale)
    if not math.isfinite(nats):
        raise ProtdiffError(
            f"the probability flow of {backbone.name} left the finite numbers; "
            "check that the structure is a protein, or allow a smaller tolerance"
        )
    return Likelihood(nats, float(found.standard_error), len(backbone), found.evaluations)


def encode_backbone(
    model: BackboneModel,
    backbone: Backbone,
    settings: LikelihoodSettings | None = None,
    *,
    handedness: Handedness = "L",
) -> Tensor:
    """Carry a backbone up the probability flow to its latent code.

    Parameters and errors are those of :func:`measure_likelihood`; the probes play no part.

    Returns
    -------
    Tensor
        ``(residue, 3, 3)``, mean-free, on the CPU. Codes of natural proteins look standard normal.
    """
    settings = LikelihoodSettings() if settings is None else settings
    check_backbone(backbone)
    denoiser = _make_denoiser(model, len(backbone), backbone.residue_index, handedness)
    with model.in_full_precision():
        code = carry_up(
            denoiser,
            _to_model(model, backbone),
            noise_ratio_min=settings.noise_floor / model.scale,
            rtol=settings.rtol,
            atol=settings.atol,
        )
    return code[0].cpu()


def decode_backbone(
    model: BackboneModel,
    code: Tensor,
    settings: LikelihoodSettings | None = None,
    *,
    residue_index: ArrayLike | None = None,
    handedness: Handedness = "L",
    name: str = "decoded",
) -> Backbone:
    """Carry a latent code down the probability flow: the inverse of :func:`encode_backbone`.

    Codes are decoded one by one, because the solver chooses its steps by all that it is given.

    Parameters
    ----------
    model, settings, handedness
        As for :func:`measure_likelihood`.
    code
        ``(residue, 3, 3)``.
    residue_index
        ``(residue,)``, places along the chain; without it one unbroken chain.
    name
        Of the backbone.

    Returns
    -------
    Backbone
        Its mean at the origin.
    """
    settings = LikelihoodSettings() if settings is None else settings
    if code.ndim != 3 or code.shape[1:] != (len(DIFFUSED_ATOMS), 3):
        raise InputError(
            f"a code has shape (residue, {len(DIFFUSED_ATOMS)}, 3); got {tuple(code.shape)}"
        )
    index = np.arange(len(code)) if residue_index is None else np.asarray(residue_index)
    denoiser = _make_denoiser(model, len(code), index, handedness)
    with model.in_full_precision():
        positions = carry_down(
            denoiser,
            model.subspace(denoiser.residue_mask).project(code[None].float().to(model.device)),
            noise_ratio_min=settings.noise_floor / model.scale,
            rtol=settings.rtol,
            atol=settings.atol,
        )
    coordinates = model.to_angstrom(positions)[0].cpu().numpy()
    return Backbone.from_coordinates(coordinates, residue_index=index, name=name)


def check_backbone(backbone: Backbone, *, exact: bool = False) -> None:
    """Refuse a backbone that the network cannot judge.

    Raises
    ------
    InputError
        It is too short, too long, or not finite; or too long for the exact trace.
    """
    name, length = backbone.name, len(backbone)
    if not backbone.is_finite:
        raise InputError(f"{name} has positions that are not finite; give a complete structure")
    if not LENGTH_RANGE[0] <= length <= LENGTH_RANGE[1]:
        raise InputError(
            f"{name} has {length} residues; the network knows {LENGTH_RANGE[0]} to "
            f"{LENGTH_RANGE[1]}, so choose a chain or residues of that many"
        )
    if exact and length > EXACT_TRACE_LENGTH:
        raise InputError(
            f"{name} has {length} residues; the exact trace is for {EXACT_TRACE_LENGTH} at most, "
            "so take Hutchinson's"
        )


def _warn_of_length(model: BackboneModel, backbone: Backbone) -> None:
    low, high = model.trained_lengths
    if not low <= len(backbone) <= high:
        warnings.warn(
            f"{backbone.name} has {len(backbone)} residues, and {model.name} was trained on "
            f"{low} to {high}; its likelihood means less outside",
            stacklevel=3,
        )


def _to_model(model: BackboneModel, backbone: Backbone) -> Tensor:
    """Give N, CA, C mean-free in model units, ``(1, residue, 3, 3)``."""
    # Files put proteins hundreds of Å from the origin: centre before rounding to single precision.
    atoms: NDArray[np.float64] = backbone.coordinates[:, : len(DIFFUSED_ATOMS)].astype(np.float64)
    positions = torch.from_numpy(atoms - atoms.mean(axis=(0, 1)))[None]
    return model.from_angstrom(positions).float().to(model.device)


def _make_denoiser(
    model: BackboneModel, length: int, residue_index: ArrayLike, handedness: Handedness
) -> BackboneDenoiser:
    return model.denoiser(
        torch.ones(1, length, dtype=torch.bool),
        residue_index=torch.as_tensor(np.asarray(residue_index, dtype=np.int64))[None],
        handedness=get_sign(handedness),
        self_condition=False,
    )
