"""Any linear SDE, its kernel found by quadrature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import as_floating
from protdiff.diffusion.sde.base import SDE

__all__ = ["LinearSDE"]

_PANELS = 128
_NODES = 10


@dataclass(frozen=True, eq=False)
class LinearSDE(SDE):
    r"""The general linear SDE, for coefficients given as functions.

    .. math::  dx = f(t)\, x\, dt + g(t)\, dw, \qquad
               \log α = \int_0^t f, \qquad k^2 = \int_0^t g^2 / α^2 .

    The integrals are taken by Gauss–Legendre quadrature in double precision, ten nodes on each of
    128 panels, which for smooth coefficients is exact to rounding.

    Parameters
    ----------
    drift_function
        f, a function of time, tensor to tensor.
    diffusion_function
        g, likewise.

    References
    ----------
    Särkkä and Solin (2019), Applied stochastic differential equations, section 6.

    Examples
    --------
    >>> sde = LinearSDE(lambda t: -torch.ones_like(t), lambda t: torch.ones_like(t))
    >>> round(float(sde.alpha(torch.tensor(0.5).double()).log()), 12)
    -0.5
    """

    drift_function: Callable[[Tensor], Tensor]
    diffusion_function: Callable[[Tensor], Tensor]
    _edges: Tensor = field(init=False, repr=False)
    _log_alpha_at: Tensor = field(init=False, repr=False)
    _k_squared_at: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        edges = torch.linspace(0, 1, _PANELS + 1, dtype=torch.float64)
        object.__setattr__(self, "_edges", edges)
        zero = torch.zeros(1, dtype=torch.float64)
        steps = self._integrate_drift(edges[:-1], edges[1:])
        object.__setattr__(self, "_log_alpha_at", torch.cat([zero, steps.cumsum(0)]))
        steps = self._integrate_noise(edges[:-1], edges[1:], self._log_alpha_at[:-1])
        object.__setattr__(self, "_k_squared_at", torch.cat([zero, steps.cumsum(0)]))

    def log_alpha(self, t: Tensor) -> Tensor:
        """Give ∫f."""
        panel, time = self._find_panel(t)
        value = self._log_alpha_at[panel] + self._integrate_drift(self._edges[panel], time)
        return value.to(as_floating(t))

    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give sqrt(∫ g²/α²)."""
        panel, time = self._find_panel(t)
        rest = self._integrate_noise(self._edges[panel], time, self._log_alpha_at[panel])
        return (self._k_squared_at[panel] + rest).sqrt().to(as_floating(t))

    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give f."""
        return self.drift_function(t)

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give g."""
        return self.diffusion_function(t)

    def _find_panel(self, t: Tensor) -> tuple[Tensor, Tensor]:
        time = t.to("cpu", torch.float64)
        return (time * _PANELS).floor().long().clamp(0, _PANELS - 1), time

    def _integrate_drift(self, start: Tensor, end: Tensor) -> Tensor:
        nodes, weights = _place_nodes(start, end)
        return (weights * self.drift_function(nodes)).sum(-1)

    def _integrate_noise(self, start: Tensor, end: Tensor, log_alpha: Tensor) -> Tensor:
        nodes, weights = _place_nodes(start, end)
        inner = log_alpha[..., None] + self._integrate_drift(
            start[..., None].expand_as(nodes), nodes
        )
        return (weights * self.diffusion_function(nodes).square() * (-2 * inner).exp()).sum(-1)


def _place_nodes(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Give Gauss–Legendre nodes and weights on [start, end], each with one more axis."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(_NODES))
    half = (end - start)[..., None] / 2
    return start[..., None] + half * (nodes + 1), half * weights
