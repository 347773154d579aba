"""Label propagation on dense features, whoever made them: context, affinity, presets.

Knows feature tensors, not backbones. `engines/reference.py` states one step plainly; faster
engines are tested against it.
"""

from vos.propagation.config import PropagationConfig
from vos.propagation.frame_size import frame_size
from vos.propagation.presets import PRESETS, preset
from vos.propagation.propagator import Propagator, SoftLabels

__all__ = [
    "PRESETS",
    "PropagationConfig",
    "Propagator",
    "SoftLabels",
    "frame_size",
    "preset",
]
