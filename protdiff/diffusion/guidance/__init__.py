"""Controllable generation by Bayes' rule: denoisers made of denoisers, one idea a file."""

from protdiff.diffusion.guidance.classifier import ClassifierGuidance, NoisyClassifier
from protdiff.diffusion.guidance.exact import (
    GaussianPosterior,
    GaussianPriorObservation,
    MixturePosterior,
    gaussian_posterior,
    mixture_posterior,
)
from protdiff.diffusion.guidance.extrapolation import (
    Autoguidance,
    ClassifierFreeGuidance,
    NoiseSpan,
)
from protdiff.diffusion.guidance.guided import (
    FrozenGuided,
    Guided,
    GuidedDenoiser,
    GuidedEstimate,
)
from protdiff.diffusion.guidance.moment_matching import MomentMatching
from protdiff.diffusion.guidance.observation import (
    LinearObservation,
    MaskedObservation,
    ResidualObservation,
)
from protdiff.diffusion.guidance.replacement import (
    KnownCoordinates,
    LinearConstraint,
    ProjectedMean,
    RePaint,
    Replacement,
)
from protdiff.diffusion.guidance.resampling import effective_sample_size, resample_systematically
from protdiff.diffusion.guidance.smc import SMCDiff, SMCResult, TwistedSMC
from protdiff.diffusion.guidance.terms import (
    Estimate,
    LikelihoodTerm,
    Potential,
    ScaledTerm,
    SpanTerm,
    SumOfTerms,
)
from protdiff.diffusion.guidance.variance import (
    IsotropicVariance,
    PosteriorVariance,
    ProportionalVariance,
    ZeroVariance,
)

__all__ = [
    "Autoguidance",
    "ClassifierFreeGuidance",
    "ClassifierGuidance",
    "Estimate",
    "FrozenGuided",
    "GaussianPosterior",
    "GaussianPriorObservation",
    "Guided",
    "GuidedDenoiser",
    "GuidedEstimate",
    "IsotropicVariance",
    "KnownCoordinates",
    "LikelihoodTerm",
    "LinearConstraint",
    "LinearObservation",
    "MaskedObservation",
    "MixturePosterior",
    "MomentMatching",
    "NoiseSpan",
    "NoisyClassifier",
    "PosteriorVariance",
    "Potential",
    "ProjectedMean",
    "ProportionalVariance",
    "RePaint",
    "Replacement",
    "ResidualObservation",
    "SMCDiff",
    "SMCResult",
    "ScaledTerm",
    "SpanTerm",
    "SumOfTerms",
    "TwistedSMC",
    "ZeroVariance",
    "effective_sample_size",
    "gaussian_posterior",
    "mixture_posterior",
    "resample_systematically",
]
