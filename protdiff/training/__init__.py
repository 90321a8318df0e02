"""Training: prepared data, batches, the objective and the loop. Needs no Biotite but to prepare."""

from protdiff.training.config import TrainingConfig, load_config
from protdiff.training.trainer import Trainer, train

__all__ = ["Trainer", "TrainingConfig", "load_config", "train"]
