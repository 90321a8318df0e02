"""Score-based generative modelling for any tensor; it knows no protein."""

from protdiff.diffusion.analytic import GaussianDenoiser, MixtureDenoiser
from protdiff.diffusion.denoiser import Denoiser, FunctionDenoiser, predict_noise, score
from protdiff.diffusion.noise import (
    GaussianNoise,
    Noise,
    PerSampleNoise,
    ProjectedNoise,
    ScaledNoise,
)
from protdiff.diffusion.sampler import (
    Callback,
    ExponentialSDE,
    Sampler,
    StepInfo,
    Trajectory,
    draw_prior,
)
from protdiff.diffusion.sde import (
    SDE,
    VESDE,
    Bridge,
    BrownianSDE,
    CosineVPSDE,
    LinearSDE,
    LinearVPSDE,
    OrnsteinUhlenbeckSDE,
    SubVPSDE,
    Transition,
)
from protdiff.diffusion.subspace import CentredSubspace, FullSpace, Subspace
from protdiff.diffusion.temperature import ScaledScore
from protdiff.diffusion.time_grid import (
    ConstantGrid,
    CosineGrid,
    KarrasGrid,
    LogSNRGrid,
    TimeGrid,
    UniformGrid,
)

__all__ = [
    "SDE",
    "VESDE",
    "Bridge",
    "BrownianSDE",
    "Callback",
    "CentredSubspace",
    "ConstantGrid",
    "CosineGrid",
    "CosineVPSDE",
    "Denoiser",
    "ExponentialSDE",
    "FullSpace",
    "FunctionDenoiser",
    "GaussianDenoiser",
    "GaussianNoise",
    "KarrasGrid",
    "LinearSDE",
    "LinearVPSDE",
    "LogSNRGrid",
    "MixtureDenoiser",
    "Noise",
    "OrnsteinUhlenbeckSDE",
    "PerSampleNoise",
    "ProjectedNoise",
    "Sampler",
    "ScaledNoise",
    "ScaledScore",
    "StepInfo",
    "SubVPSDE",
    "Subspace",
    "TimeGrid",
    "Trajectory",
    "Transition",
    "UniformGrid",
    "draw_prior",
    "predict_noise",
    "score",
]
