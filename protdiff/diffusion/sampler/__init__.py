"""Samplers: from the prior to the data, one file each."""

from protdiff.diffusion.sampler.annealed_langevin import AnnealedLangevin
from protdiff.diffusion.sampler.around import SamplerAround
from protdiff.diffusion.sampler.base import Callback, Sampler, StepInfo, Trajectory, draw_prior
from protdiff.diffusion.sampler.ddim import DDIM
from protdiff.diffusion.sampler.dormand_prince import DormandPrince
from protdiff.diffusion.sampler.dpm_solver_pp_2m import DPMSolverPP2M
from protdiff.diffusion.sampler.euler_maruyama import EulerMaruyama
from protdiff.diffusion.sampler.euler_ode import EulerODE
from protdiff.diffusion.sampler.exponential_sde import ExponentialSDE
from protdiff.diffusion.sampler.heun_ode import HeunODE
from protdiff.diffusion.sampler.langevin import Langevin
from protdiff.diffusion.sampler.predictor_corrector import PredictorCorrector
from protdiff.diffusion.sampler.restart import Restart
from protdiff.diffusion.sampler.sde_dpm_solver_pp_2m import SDEDPMSolverPP2M
from protdiff.diffusion.sampler.stochastic_heun import StochasticHeun

__all__ = [
    "DDIM",
    "AnnealedLangevin",
    "Callback",
    "DPMSolverPP2M",
    "DormandPrince",
    "EulerMaruyama",
    "EulerODE",
    "ExponentialSDE",
    "HeunODE",
    "Langevin",
    "PredictorCorrector",
    "Restart",
    "SDEDPMSolverPP2M",
    "Sampler",
    "SamplerAround",
    "StepInfo",
    "StochasticHeun",
    "Trajectory",
    "draw_prior",
]
