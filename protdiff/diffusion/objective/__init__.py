"""Training objectives: what a score network is fitted to, one idea a file."""

from protdiff.diffusion.objective.action_matching import (
    action_matching_loss,
    action_velocity,
    transport,
)
from protdiff.diffusion.objective.denoising import DenoisingLoss, DenoisingTerms
from protdiff.diffusion.objective.elbo import DiscreteBound, compute_discrete_bound, step_weights
from protdiff.diffusion.objective.ncsn import ncsn_loss
from protdiff.diffusion.objective.parametrisation import (
    DataTarget,
    FlowTarget,
    NetworkDenoiser,
    NoiseTarget,
    Parametrisation,
    PreconditionedTarget,
    ScoreTarget,
    TargetCoefficients,
    VelocityTarget,
)
from protdiff.diffusion.objective.score_matching import (
    denoising_score_matching,
    explicit_score_matching,
    implicit_score_matching,
    sliced_score_matching,
)
from protdiff.diffusion.objective.time_sampling import (
    LogNormalTimes,
    LogSNRTimes,
    TimeSampler,
    UniformTimes,
)
from protdiff.diffusion.objective.weighting import (
    DataWeighting,
    EDMWeighting,
    LikelihoodWeighting,
    MinSNRWeighting,
    UnitWeighting,
    VarianceWeighting,
    Weighting,
)

__all__ = [
    "DataTarget",
    "DataWeighting",
    "DenoisingLoss",
    "DenoisingTerms",
    "DiscreteBound",
    "EDMWeighting",
    "FlowTarget",
    "LikelihoodWeighting",
    "LogNormalTimes",
    "LogSNRTimes",
    "MinSNRWeighting",
    "NetworkDenoiser",
    "NoiseTarget",
    "Parametrisation",
    "PreconditionedTarget",
    "ScoreTarget",
    "TargetCoefficients",
    "TimeSampler",
    "UniformTimes",
    "UnitWeighting",
    "VarianceWeighting",
    "VelocityTarget",
    "Weighting",
    "action_matching_loss",
    "action_velocity",
    "compute_discrete_bound",
    "denoising_score_matching",
    "explicit_score_matching",
    "implicit_score_matching",
    "ncsn_loss",
    "sliced_score_matching",
    "step_weights",
    "transport",
]
