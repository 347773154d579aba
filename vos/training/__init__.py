"""Training: pairs of frames, augmentations, the loop, run folders.

:func:`train` runs or resumes a :class:`TrainConfig`; :func:`load_config` reads one.
"""

from vos.training.config import TrainConfig, load_config, shipped_configs
from vos.training.loop import Trained, train

__all__ = ["TrainConfig", "Trained", "load_config", "shipped_configs", "train"]
