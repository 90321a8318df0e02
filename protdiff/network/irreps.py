"""e3nn's ``o3``, without the second that its import spends on a compiler nobody has asked for.

At import e3nn marks one function with ``torch.compiler.disable``, which imports the whole of
torch's compiler. While e3nn is imported it is given torch's own lazy form of that mark instead,
which is the same from the first call of the function on; `torch.compile` works as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["o3"]


@contextmanager
def _marked_lazily() -> Iterator[None]:
    lazy = getattr(getattr(torch, "_compile", None), "_disable_dynamo", None)
    if lazy is None or "torch._dynamo" in sys.modules:
        yield
        return
    eager = torch.compiler.disable
    torch.compiler.disable = lazy
    try:
        yield
    finally:
        torch.compiler.disable = eager


with _marked_lazily():
    from e3nn import o3
