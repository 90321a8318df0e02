"""One helper that lines a time-dependent coefficient up with a batch of any shape."""

from __future__ import annotations

from torch import Tensor

__all__ = ["expand"]


def expand(coefficient: Tensor, like: Tensor) -> Tensor:
    """Give a coefficient trailing axes, so that it multiplies a batch of any event shape.

    Parameters
    ----------
    coefficient
        ``()`` or ``(batch,)``.
    like
        ``(batch, *event)``.

    Returns
    -------
    Tensor
        ``()``, untouched (a scalar tensor on the CPU multiplies a tensor on any device and never
        raises its precision), or ``(batch, 1, ..., 1)`` in the precision and place of ``like``.

    Examples
    --------
    >>> import torch
    >>> expand(torch.tensor([1.0, 2.0]), torch.zeros(2, 5, 3)).shape
    torch.Size([2, 1, 1])
    """
    if coefficient.ndim == 0:
        return coefficient
    return coefficient.to(like).reshape(-1, *(1,) * (like.ndim - 1))
