"""What a worker that may be on another machine needs: the same weights, the same disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vos.backbones import Backbone, load, weights_digest
from vos.backbones.inference import FeatureExtractor, check_precision
from vos.errors import MissingError, VosError


@dataclass(frozen=True)
class ModelChoice:
    """A backbone by name, to be loaded where the work is done.

    Attributes:
        spec: what `vos.load` takes; a folder by its absolute path.
        seed: decides random weights.
        digest: of the weights; a machine with other ones must not take part.
        precision: see `FeatureExtractor`.
        frame_count: frames of the whole job, for the choice of an engine: that must not depend on
            how the job is shared out.
    """

    spec: str
    seed: int
    digest: str
    precision: str = "float32"
    frame_count: int | None = None

    @classmethod
    def of(
        cls,
        spec: str,
        backbone: Backbone,
        *,
        seed: int = 0,
        precision: str = "float32",
        frame_count: int | None = None,
    ) -> ModelChoice:
        """The choice that gave ``backbone`` here.

        Raises:
            UsageError: an unknown precision.
        """
        check_precision(precision)
        digest = weights_digest(backbone)
        return cls(absolute_spec(spec), seed, digest, precision, frame_count)

    def load(self) -> Backbone:
        """The backbone.

        Raises:
            VosError: other weights go by this name here.
        """
        backbone = load(self.spec, seed=self.seed)
        if weights_digest(backbone) != self.digest:
            raise VosError(f"{self.spec} has other weights here than where the job was started")
        return backbone

    def extractor(self, device: str) -> FeatureExtractor:
        """What makes features on ``device``; see `load`."""
        return FeatureExtractor(
            self.load(), device, precision=self.precision, frame_count=self.frame_count
        )


def check_shared(path: Path) -> None:
    """See that a file that the driver wrote can be seen here.

    Raises:
        MissingError: it cannot.
    """
    if not path.exists():
        raise MissingError(
            f"{path} cannot be seen: --out must be on a disk that all machines share"
        )


def absolute_spec(spec: str) -> str:
    """Workers have working folders of their own."""
    folder, comma, options = spec.partition(",")
    return f"{Path(folder).absolute()}{comma}{options}" if Path(folder).is_dir() else spec
