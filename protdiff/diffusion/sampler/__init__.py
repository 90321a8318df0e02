"""Samplers: from the prior to the data, one file each."""

from protdiff.diffusion.sampler.base import Callback, Sampler, StepInfo, Trajectory, draw_prior
from protdiff.diffusion.sampler.exponential_sde import ExponentialSDE

__all__ = [
    "Callback",
    "ExponentialSDE",
    "Sampler",
    "StepInfo",
    "Trajectory",
    "draw_prior",
]
