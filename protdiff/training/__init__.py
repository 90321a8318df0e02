"""Training: prepared data, batches, the objective and the loop. Needs no Biotite but to prepare."""

from typing import TYPE_CHECKING

from protdiff.lazy import make_lazy

if TYPE_CHECKING:
    from protdiff.training.config import TrainingConfig, load_config
    from protdiff.training.prepare import prepare_dataset
    from protdiff.training.preset import list_presets
    from protdiff.training.trainer import Trainer, train

__all__ = [
    "Trainer",
    "TrainingConfig",
    "list_presets",
    "load_config",
    "prepare_dataset",
    "train",
]

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        "Trainer": "protdiff.training.trainer",
        "TrainingConfig": "protdiff.training.config",
        "list_presets": "protdiff.training.preset",
        "load_config": "protdiff.training.config",
        "prepare_dataset": "protdiff.training.prepare",
        "train": "protdiff.training.trainer",
    },
)
