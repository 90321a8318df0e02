"""Forward processes: linear SDEs with Gaussian kernels, one file each."""

from protdiff.diffusion.sde.base import SDE, Bridge, Transition
from protdiff.diffusion.sde.brownian import BrownianSDE
from protdiff.diffusion.sde.cosine_vp import CosineVPSDE
from protdiff.diffusion.sde.linear import LinearSDE
from protdiff.diffusion.sde.linear_vp import LinearVPSDE
from protdiff.diffusion.sde.ornstein_uhlenbeck import OrnsteinUhlenbeckSDE
from protdiff.diffusion.sde.sub_vp import SubVPSDE
from protdiff.diffusion.sde.ve import VESDE

__all__ = [
    "SDE",
    "VESDE",
    "Bridge",
    "BrownianSDE",
    "CosineVPSDE",
    "LinearSDE",
    "LinearVPSDE",
    "OrnsteinUhlenbeckSDE",
    "SubVPSDE",
    "Transition",
]
