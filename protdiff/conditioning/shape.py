r"""Shape: a design that fills a given body.

The body is given by points y_j spread over it, in a pose that is free. With the residues at x_i,

.. math:: W(x) = \min_{R, b, P} \sum_{ij} P_{ij} |x_i - R y_j - b|^2
                 + \epsilon\, \mathrm{KL}(P \,|\, a \otimes a'), \qquad
          \log p(y \mid x_t) = -\frac{L\, W(\tilde D)}{2 (r^2 + \tilde v_t / 3)}

over transport plans P that spread the L residues evenly over the body. The gradient draws each
residue towards the mean of the points that it is to fill; at the minimum neither plan nor pose have
a first-order share in it. The plan is found by Sinkhorn's iterations, the pose in turn with it from
four starts that lay the principal axes of body and design on each other. A residue moves as one, so
the variance is that of the mean of three atoms; the tilde means the mean at the size of a sample
(:mod:`~protdiff.conditioning.mean_size`).

References
----------
Cuturi 2013, "Sinkhorn distances: lightspeed computation of optimal transport". Ingraham et al.
2023, "Illuminating protein space with a programmable generative model" (shapes by transport).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.mean_size import LARGEST_NOISE, restore_size
from protdiff.conditioning.superposition import fit_rotation
from protdiff.device import send
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm
from protdiff.errors import InputError
from protdiff.structure.points import fill_shape, read_points

__all__ = ["Shape", "ShapeTerm", "transport"]

_POINTS = 256
# Å³ for each residue of the body that alpha carbons fill: that of balls which are as compact as the
# most compact proteins.
_RESIDUE_VOLUME = 150.0
_BLUR = 4.0  # ε, Å²
_COARSE_BLUR = 20.0  # while the pose is sought
_COARSE_STEPS = 8
_STEPS = 25
_ROUNDS = 3  # of plan and pose


class Shape(Conditioner):
    """Ask for designs that fill a body.

    Parameters
    ----------
    points
        A cloud or the vertices of a mesh, ``(point, 3)`` in any unit and pose, or a file of them
        (:func:`~protdiff.structure.points.read_points`). A surface is filled.
    size
        The radius of gyration that the filled body is to have, Å; without it, it has the volume of
        a protein of the design's length.
    tolerance
        The standard deviation allowed to each residue, Å.

    Raises
    ------
    InputError
        The points cannot be read, or are no body; or a number is not positive.
    """

    reads_mask = True

    def __init__(
        self, points: ArrayLike | str | Path, *, size: float | None = None, tolerance: float = 2.0
    ) -> None:
        if not tolerance > 0 or (size is not None and not 1.0 <= size <= 500.0):
            raise InputError(
                f"a shape of size {size} Å with a tolerance of {tolerance} Å cannot be; give a "
                "radius of gyration from 1 to 500 Å and a tolerance above 0"
            )
        self.name = "points"
        if isinstance(points, str | Path):
            self.name, points = Path(points).name, read_points(points)
        filled = fill_shape(points, _POINTS)
        self.points = filled.points
        self.volume = filled.volume
        self.size = size
        self.tolerance = tolerance

    def describe(self) -> dict[str, Any]:
        """Return the request, with a hash of the points that are filled."""
        return {
            "kind": "shape",
            "points": self.name,
            "sha256": hashlib.sha256(self.points.tobytes()).hexdigest()[:16],
            "size": self.size,
            "tolerance": self.tolerance,
        }

    def scale_to(self, length: int) -> Tensor:
        """Return the points that a design of ``length`` residues is to fill, (point, 3), Å."""
        points = torch.from_numpy(self.points)
        if self.size is None:
            return points * math.cbrt(_RESIDUE_VOLUME * length / self.volume)
        return points * (self.size / math.sqrt(float(points.square().sum(1).mean())))

    def make_term(self, scene: Scene) -> LikelihoodTerm:
        """Return the likelihood of the shape, whose pose is free."""
        lengths = scene.residue_mask.sum(dim=1).tolist()
        # Sampling runs in inference mode, whose tensors cannot take part in a gradient.
        with torch.inference_mode(False):
            body = torch.stack([self.scale_to(int(length)) for length in lengths])
        body = body.to(scene.residue_mask.device)
        term = ShapeTerm(scene.residue_mask, body, scene.scale, self.tolerance)
        return term.within(0.0, LARGEST_NOISE)


@dataclass(frozen=True, eq=False)
class ShapeTerm(LikelihoodTerm):
    """Log-likelihood of a body of free pose, given the denoised mean.

    Parameters
    ----------
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    body
        ``(batch, point, 3)``, Å, centred.
    scale
        Å per model unit.
    tolerance
        r, Å.
    """

    residue_mask: Tensor
    body: Tensor
    scale: float
    tolerance: float

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of each backbone, ``(batch,)``."""
        positions, variance = restore_size(estimate)
        residues = positions.mean(dim=2) * self.scale
        cost = transport(residues, self.residue_mask, self.body.to(residues))
        spread = self.tolerance**2 + variance * self.scale**2 / 3
        return -self.residue_mask.sum(dim=1) * cost / (2 * spread)


def transport(design: Tensor, mask: Tensor, body: Tensor) -> Tensor:
    """Measure how far designs are from filling a body, in its best pose.

    Parameters
    ----------
    design
        x, ``(batch, residue, 3)``, Å.
    mask
        ``(batch, residue)``, True where x exists.
    body
        y, ``(batch, point, 3)``, centred.

    Returns
    -------
    Tensor
        W, ``(batch,)``, Å²; its gradient takes plan and pose as they are.
    """
    weight = mask.to(design) / mask.sum(dim=1, keepdim=True)
    design = design - (design * weight[..., None]).sum(dim=1, keepdim=True)
    with torch.no_grad():
        posed = _find_pose(design, weight, body)
        plan, _ = _find_plan(design, weight, posed, _BLUR, _STEPS)
        even = weight[..., None] / body.shape[1]
        entropy = _BLUR * torch.xlogy(plan, plan / even.clamp(min=1e-30)).sum(dim=(1, 2))
    return (plan * _square_distance(design, posed)).sum(dim=(1, 2)) + entropy


def _find_pose(design: Tensor, weight: Tensor, body: Tensor) -> Tensor:
    """Turn the body so that the design fills it best, ``(batch, point, 3)``."""
    batch = len(design)
    own = torch.linalg.eigh((design * weight[..., None]).mT @ design)[1]
    theirs = torch.linalg.eigh(body.mT @ body)[1]
    flips = send(torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]), own)
    # One reflection makes every start proper, whichever way the axes point.
    hand = torch.linalg.det(own @ theirs.mT)
    theirs = torch.cat([theirs[..., :2], theirs[..., 2:] * hand[:, None, None]], dim=-1)
    turns = torch.einsum("bxi,si,byi->bsxy", own, flips, theirs)
    posed = torch.einsum("bsxy,bpy->bspx", turns, body).flatten(0, 1)
    wide, heavy = design.repeat_interleave(4, 0), weight.repeat_interleave(4, 0)
    plan, cost = _find_plan(wide, heavy, posed, _COARSE_BLUR, _COARSE_STEPS)
    posed = _turn(wide, plan, posed)
    plan, cost = _find_plan(wide, heavy, posed, _COARSE_BLUR, _COARSE_STEPS)
    best = cost.reshape(batch, 4).argmin(dim=1) + 4 * torch.arange(batch, device=cost.device)
    posed, plan = posed[best], plan[best]
    for _ in range(_ROUNDS):
        posed = _turn(design, plan, posed)
        plan, _ = _find_plan(design, weight, posed, _BLUR, _COARSE_STEPS)
    return _turn(design, plan, posed)


def _turn(design: Tensor, plan: Tensor, body: Tensor) -> Tensor:
    """Turn a body about its centre to where the plan wants it."""
    turned: Tensor = body @ fit_rotation(body.mT @ plan.mT @ design)
    return turned


def _find_plan(
    design: Tensor, weight: Tensor, body: Tensor, blur: float, steps: int
) -> tuple[Tensor, Tensor]:
    """Return the plan of Sinkhorn's iterations, ``(batch, residue, point)``, and its cost."""
    distance = _square_distance(design, body)
    # Padding has no mass; a number in place of −∞ keeps it out without 0 · ∞.
    mass = weight.clamp(min=1e-30).log()[..., None]
    share = -math.log(body.shape[1])
    kernel = -distance / blur + mass + share
    first = torch.zeros_like(mass)
    for _ in range(steps):
        second = share - (kernel + first).logsumexp(dim=1, keepdim=True)
        first = mass - (kernel + second).logsumexp(dim=2, keepdim=True)
    plan = (kernel + first + second).exp()
    return plan, (plan * distance).sum(dim=(1, 2))


def _square_distance(design: Tensor, body: Tensor) -> Tensor:
    return (design[:, :, None] - body[:, None]).square().sum(dim=-1)
