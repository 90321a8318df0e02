"""Shapes: coefficients lined up with a batch, events made vectors, what a function gave checked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from protdiff.device import send
from protdiff.errors import InputError

__all__ = ["as_floating", "check_fit", "check_shape", "expand", "flatten_event", "sum_event"]


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

    Raises
    ------
    InputError
        The coefficient, hence the time that it was made of, has another shape.

    Examples
    --------
    >>> expand(torch.tensor([1.0, 2.0]), torch.zeros(2, 5, 3)).shape
    torch.Size([2, 1, 1])
    """
    if coefficient.ndim == 0:
        return coefficient
    if coefficient.ndim > 1 or len(coefficient) not in (1, len(like)):
        raise InputError(
            f"a time or coefficient of shape {tuple(coefficient.shape)} came with a batch of "
            f"shape {tuple(like.shape)}; give one for all, (), or one for each element, "
            f"({len(like)},)"
        )
    return send(coefficient, like).reshape(-1, *(1,) * (like.ndim - 1))


def flatten_event(x: Tensor, axes: int = 1) -> Tensor:
    """Make a vector of each event, ``(batch, d)``; of an event that is one number, d = 1.

    Parameters
    ----------
    x
        ``(batch, *event)``.
    axes
        How many axes the batch has.

    Examples
    --------
    >>> flatten_event(torch.zeros(4)).shape, flatten_event(torch.zeros(4, 5, 3)).shape
    (torch.Size([4, 1]), torch.Size([4, 15]))
    """
    return x.reshape(*x.shape[:axes], x.shape[axes:].numel())


def sum_event(x: Tensor, axes: int = 1) -> Tensor:
    """Sum over each event, ``(batch,)``; arguments as of :func:`flatten_event`."""
    return flatten_event(x, axes).sum(-1)


def check_shape(value: Tensor, shape: Sequence[int], what: str) -> Tensor:
    """Give back what a function gave, if it has the shape that was asked for.

    Of another shape it would be broadcast, over the batch too, to numbers that mean nothing.

    Parameters
    ----------
    value
        What came.
    shape
        Its shape as it should be.
    what
        Its name in the message.

    Raises
    ------
    InputError
        The shape is another.

    Examples
    --------
    >>> check_shape(torch.zeros(2, 1), (2,), "the energy")
    Traceback (most recent call last):
    ...
    protdiff.errors.InputError: the energy has the shape (2, 1); give (2,)
    """
    if value.shape != tuple(shape):
        raise InputError(f"{what} has the shape {tuple(value.shape)}; give {tuple(shape)}")
    return value


def check_fit(value: Tensor, like: Tensor, what: str) -> Tensor:
    """Give back a tensor that broadcasts to the shape of another, and does not enlarge it.

    Parameters
    ----------
    value
        What came.
    like
        Of the shape to broadcast to, ``(batch, *event)``.
    what
        Its name in the message.

    Raises
    ------
    InputError
        The shape is another; ``(batch, 1)`` beside ``(batch,)`` would make every pair of elements.

    Examples
    --------
    >>> check_fit(torch.zeros(3), torch.zeros(2, 3), "the mask").shape
    torch.Size([3])
    """
    lengths = value.shape[::-1], like.shape[::-1]
    fits = value.ndim <= like.ndim and all(
        own in (1, other) for own, other in zip(*lengths, strict=False)
    )
    if not fits:
        raise InputError(
            f"{what} has the shape {tuple(value.shape)}; give one that broadcasts to "
            f"{tuple(like.shape)}"
        )
    return value


def as_floating(x: Tensor) -> Tensor:
    """Turn integers into torch's default floating point, and leave everything else as it is."""
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())
