"""Score-based generative modelling for any tensor; it knows no protein."""

from protdiff.diffusion.analytic import GaussianDenoiser, MixtureDenoiser
from protdiff.diffusion.denoiser import (
    Denoiser,
    FunctionDenoiser,
    MovingFrame,
    predict_noise,
    score,
)
from protdiff.diffusion.discrete import DDPMSchedule, NoiseLadder
from protdiff.diffusion.fokker_planck import solve_fokker_planck
from protdiff.diffusion.latent import decode, encode, interpolate, measure_round_trip, slerp
from protdiff.diffusion.likelihood import LogLikelihood, compute_log_likelihood
from protdiff.diffusion.noise import (
    GaussianNoise,
    Noise,
    PerSampleNoise,
    ProjectedNoise,
    ScaledNoise,
)
from protdiff.diffusion.polymer import CorrelatedNoise, PolymerMap, WhitenedDenoiser
from protdiff.diffusion.sampler import (
    DDIM,
    AnnealedLangevin,
    Callback,
    DormandPrince,
    DPMSolverPP2M,
    EulerMaruyama,
    EulerODE,
    ExponentialSDE,
    HeunODE,
    Langevin,
    PredictorCorrector,
    Restart,
    Sampler,
    SamplerAround,
    SDEDPMSolverPP2M,
    StepInfo,
    StochasticHeun,
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
from protdiff.diffusion.simulate import simulate
from protdiff.diffusion.subspace import (
    CentredSubspace,
    FullSpace,
    Subspace,
    SymmetricSubspace,
)
from protdiff.diffusion.temperature import ScaledScore
from protdiff.diffusion.time_grid import (
    ConstantGrid,
    CosineGrid,
    KarrasGrid,
    LogSNRGrid,
    TimeGrid,
    UniformGrid,
)
from protdiff.diffusion.trace import ExactTrace, GaussianProbes, RademacherProbes, TraceEstimator
from protdiff.diffusion.variational import VariationalBound, compute_variational_bound
from protdiff.lazy import make_lazy

__all__ = [
    "DDIM",
    "SDE",
    "VESDE",
    "AnnealedLangevin",
    "Bridge",
    "BrownianSDE",
    "Callback",
    "CentredSubspace",
    "ConstantGrid",
    "CorrelatedNoise",
    "CosineGrid",
    "CosineVPSDE",
    "DDPMSchedule",
    "DPMSolverPP2M",
    "Denoiser",
    "DormandPrince",
    "EulerMaruyama",
    "EulerODE",
    "ExactTrace",
    "ExponentialSDE",
    "FullSpace",
    "FunctionDenoiser",
    "GaussianDenoiser",
    "GaussianNoise",
    "GaussianProbes",
    "HeunODE",
    "KarrasGrid",
    "Langevin",
    "LinearSDE",
    "LinearVPSDE",
    "LogLikelihood",
    "LogSNRGrid",
    "MixtureDenoiser",
    "MovingFrame",
    "Noise",
    "NoiseLadder",
    "OrnsteinUhlenbeckSDE",
    "PerSampleNoise",
    "PolymerMap",
    "PredictorCorrector",
    "ProjectedNoise",
    "RademacherProbes",
    "Restart",
    "SDEDPMSolverPP2M",
    "Sampler",
    "SamplerAround",
    "ScaledNoise",
    "ScaledScore",
    "StepInfo",
    "StochasticHeun",
    "SubVPSDE",
    "Subspace",
    "SymmetricSubspace",
    "TimeGrid",
    "TraceEstimator",
    "Trajectory",
    "Transition",
    "UniformGrid",
    "VariationalBound",
    "WhitenedDenoiser",
    "compute_log_likelihood",
    "compute_variational_bound",
    "decode",
    "draw_prior",
    "encode",
    "interpolate",
    "measure_round_trip",
    "predict_noise",
    "score",
    "simulate",
    "slerp",
    "solve_fokker_planck",
]

__getattr__, __dir__ = make_lazy(__name__, {}, subpackages=("guidance", "objective"))
