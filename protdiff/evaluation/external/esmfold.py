"""ESMFold by import, through the package ``transformers`` or the package ``esm`` (fair-esm).

Its weights are several GB; either package fetches them at the first use unless they are there.

References
----------
Z. Lin et al., Evolutionary-scale prediction of atomic-level protein structure with a language
model, 2023.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protdiff.errors import InputError
from protdiff.evaluation.external.command import ExternalError
from protdiff.evaluation.external.folding import Folder
from protdiff.structure import Backbone, read_backbone

__all__ = ["ESMFold"]

HUGGING_FACE_NAME = "facebook/esmfold_v1"


class ESMFold(Folder):
    """Structure prediction by ESMFold, in this process; loaded at the first sequence.

    Parameters
    ----------
    device
        Default: a GPU if there is one.
    """

    name = "ESMFold"

    def __init__(self, device: str | None = None) -> None:
        self.device = device
        self._model: Any = None

    @staticmethod
    def is_installed() -> bool:
        """Whether a package with ESMFold can be imported, without doing so."""
        if importlib.util.find_spec("transformers") is not None:
            return True
        # There are other packages named esm; fair-esm's has `esm.esmfold`.
        try:
            return importlib.util.find_spec("esm.esmfold") is not None
        except ModuleNotFoundError:
            return False

    def fold(self, sequences: Mapping[str, str]) -> dict[str, Backbone]:
        """Predict the structures of sequences."""
        found: dict[str, Backbone] = {}
        failure = "no sequence was given"
        with tempfile.TemporaryDirectory(prefix="protdiff-") as temporary:
            for name, sequence in sequences.items():
                path = Path(temporary) / f"{len(found)}.pdb"
                try:
                    path.write_text(self._infer(sequence), encoding="utf-8")
                    found[name] = read_backbone(path)
                except ExternalError:
                    raise
                except (RuntimeError, ValueError, MemoryError, InputError) as error:
                    failure = " ".join(str(error).split())[:200]
        if not found:
            raise ExternalError(f"{self.name} folded no sequence: {failure}")
        return found

    def _infer(self, sequence: str) -> str:
        if self._model is None:
            self._model = self._load()
        import torch

        with torch.no_grad():
            return str(self._model.infer_pdb(sequence))

    def _load(self) -> Any:
        from protdiff.device import find_device

        try:
            if importlib.util.find_spec("transformers") is not None:
                transformers = importlib.import_module("transformers")
                model = transformers.EsmForProteinFolding.from_pretrained(HUGGING_FACE_NAME)
            else:
                model = importlib.import_module("esm").pretrained.esmfold_v1()
        except Exception as error:  # whatever a download or an old version may raise
            reason = " ".join(str(error).split())[:200]
            raise ExternalError(f"{self.name} cannot be loaded: {reason}") from error
        return model.eval().to(find_device(self.device or "auto"))
