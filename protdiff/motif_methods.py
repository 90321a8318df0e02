"""The ways to impose a motif, by name: those who ask for one need not wait for torch.

What each does is in :mod:`protdiff.conditioning.motif`.
"""

__all__ = ["METHODS"]

METHODS = (
    "amortized-guidance",
    "guidance",
    "amortized",
    "replacement",
    "repaint",
    "twisted-smc",
)
"""How a motif is imposed on a sampling run; the first, if not told otherwise."""
