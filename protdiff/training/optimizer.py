r"""Muon for the matrices of the network, AdamW for everything else, as one optimiser.

Muon replaces a matrix's momentum by the nearest orthogonal matrix, so that every direction of the
weights learns at the same speed; measured here it needs fewer samples for the same held-out loss
than AdamW alone (docs/training.md). Processes that share a run share this work too, each one
orthogonalising some of the matrices. torch's own ``torch.optim.Muon`` orthogonalises in bfloat16,
which is sixteen times slower than float32 on CPUs without bfloat16 units; here the precision
follows the device.

References
----------
Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". Liu et al. 2025,
"Muon is scalable for LLM training" (the scale of the update). Loshchilov and Hutter 2019,
"Decoupled weight decay regularization" (AdamW).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from protdiff.training.processes import Processes

__all__ = ["MuonWithAdamW", "orthogonalize", "orthogonalize_by_shape"]

# The quintic iteration's coefficients: steepest at zero; singular values end near one, within 0.68
# and 1.14, but for those under a hundredth of the norm, which end lower.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalize(matrix: Tensor, steps: int = 5) -> Tensor:
    """Bring all singular values of a matrix close to one by Newton-Schulz iteration.

    Parameters
    ----------
    matrix
        ``(rows, columns)``, or a stack of matrices, ``(matrix, rows, columns)``.
    steps
        Number of iterations.

    Returns
    -------
    Tensor
        The same shape, singular vectors as before.
    """
    dtype = torch.bfloat16 if matrix.is_cuda else torch.float32
    multiply = torch.addmm if matrix.ndim == 2 else torch.baddbmm
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = (matrix.mT if tall else matrix).to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = multiply(x, multiply(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return (x.mT if tall else x).to(matrix.dtype)


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon on weight matrices, AdamW on vectors, embeddings and e3nn's flat weights.

    Parameters
    ----------
    module
        The module to train. Matrices are the weights of its ``nn.Linear`` layers.
    learning_rate
        Step size in the sense of AdamW: a Muon update is scaled to the root-mean-square of an
        AdamW update.
    weight_decay
        Decoupled, on matrices only.
    momentum
        Of Muon, in Nesterov's form.
    betas, epsilon
        Of AdamW.
    muon
        If not, AdamW takes the matrices too.
    processes
        Those that share the run and make the same steps; this one alone if not given.
    """

    def __init__(
        self,
        module: nn.Module,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        epsilon: float = 1e-8,
        *,
        muon: bool = True,
        processes: Processes | None = None,
    ) -> None:
        self.processes = processes
        matrices = [layer.weight for layer in module.modules() if isinstance(layer, nn.Linear)]
        known = {id(matrix) for matrix in matrices}
        others = [p for p in module.parameters() if id(p) not in known]
        super().__init__(
            [
                {"params": matrices, "muon": muon, "weight_decay": weight_decay},
                {"params": others, "muon": False, "weight_decay": 0.0},
            ],
            {"lr": learning_rate, "momentum": momentum, "betas": betas, "eps": epsilon},
        )

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the step size of every group."""
        for group in self.param_groups:
            group["lr"] = learning_rate

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one step; parameters without a gradient are left alone."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                gradients = [p.grad for p in parameters]
                (self._step_muon if group["muon"] else self._step_adamw)(
                    parameters, gradients, group
                )
        return loss

    def _step_muon(
        self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]
    ) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        means = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(means, gradients, 1 - group["momentum"])
        wanted = torch._foreach_lerp(gradients, means, group["momentum"])
        directions = _orthogonalize_all(wanted, self.processes)
        sizes = [0.2 * max(p.shape) ** 0.5 for p in parameters]  # rms of an AdamW update
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        for parameter, direction, size in zip(parameters, directions, sizes, strict=True):
            parameter.add_(direction, alpha=-group["lr"] * size)

    def _step_adamw(
        self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]
    ) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] |= {
                    "step": torch.zeros(()),  # on the CPU, where reading it waits for nothing
                    "mean": torch.zeros_like(parameter),
                    "square": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in parameters]
        for state in states:
            state["step"] += 1
        steps = [float(state["step"]) for state in states]
        first, second = group["betas"]
        means, squares = ([state[name] for state in states] for name in ("mean", "square"))
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - second)
        sizes = torch._foreach_div(squares, [1 - second**step for step in steps])
        torch._foreach_sqrt_(sizes)
        torch._foreach_add_(sizes, group["eps"])
        rates = [-group["lr"] / (1 - first**step) for step in steps]
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_addcdiv_(parameters, means, sizes, rates)


def _orthogonalize_all(matrices: Sequence[Tensor], processes: Processes | None) -> list[Tensor]:
    """Orthogonalise, of several processes each its share, whose sum with zeros is all."""
    if processes is None or processes.count == 1:
        return _orthogonalize_here(matrices)
    share = slice(processes.rank, None, processes.count)
    directions = [torch.zeros_like(matrix) for matrix in matrices]
    directions[share] = _orthogonalize_here(matrices[share])
    processes.add_up(directions)
    return directions


def _orthogonalize_here(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Orthogonalise; on a GPU those of one shape together, for fewer and larger kernels."""
    if not matrices or not matrices[0].is_cuda:
        return [orthogonalize(matrix) for matrix in matrices]
    return orthogonalize_by_shape(matrices)


def orthogonalize_by_shape(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Orthogonalise matrices, those of one shape in one stack."""
    places: dict[torch.Size, list[int]] = {}
    for index, matrix in enumerate(matrices):
        places.setdefault(matrix.shape, []).append(index)
    result = list(matrices)
    for indices in places.values():
        stack = orthogonalize(torch.stack([matrices[index] for index in indices]))
        for index, matrix in zip(indices, stack, strict=True):
            result[index] = matrix
    return result
