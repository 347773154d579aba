"""The chosen model of a run: what to load, and which weights it must turn out to have."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos.backbones import Backbone, load, weights_digest
from vos.backbones.adapt import Network, as_backbone
from vos.backbones.inference import FeatureExtractor, check_precision, resolve_precision
from vos.backbones.quantised import quantised_session
from vos.backbones.weight_files import SUFFIXES
from vos.errors import MissingError, VosError
from vos.runs.paths import Input

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Model:
    """A backbone by name, to be loaded where the work is done.

    It can be sent to another process or machine; the loaded network stays behind, unless it is one
    that no name stands for.

    Attributes:
        spec: what `vos.load` takes, as the user gave it; of a network that was given itself, the
            name of its class.
        seed: decides random weights.
        precision: of the network; see `FeatureExtractor`.
        digest: SHA-256 of the weights; a machine with other ones must not take part.
        source: ``spec`` with a folder or file by its absolute path, for processes with other
            working folders; None where the network was given itself.
    """

    spec: str
    seed: int
    precision: str
    digest: str
    source: str | None
    _loaded: Backbone | None = field(default=None, repr=False, compare=False)

    @classmethod
    def choose(
        cls, model: str | Path | Network, *, seed: int = 0, precision: str = "float32"
    ) -> Model:
        """Load the model of a name, or take a network, and remember its weights.

        Raises:
            UsageError: an unknown model or precision, or something that is no model.
            MissingError: weights that cannot be had.
        """
        check_precision(precision)
        spec, source = spec_of(model), None
        if isinstance(model, str | Path):
            backbone, source = load(model, seed=seed), _absolute(spec)
        else:
            backbone = as_backbone(model)
        return cls(spec, seed, precision, weights_digest(backbone), source, backbone)

    def load(self) -> Backbone:
        """Return the backbone.

        Raises:
            VosError: other weights go by this name here.
        """
        if self._loaded is not None:
            return self._loaded
        assert self.source is not None
        backbone = load(self.source, seed=self.seed)
        if weights_digest(backbone) != self.digest:
            raise VosError(f"{self.spec} has other weights here than where the job was started")
        return backbone

    def resolved(self, device: str | torch.device) -> Model:
        """Return the same model with what ``auto`` becomes on ``device``, which a run records.

        Raises:
            UsageError: a precision that cannot be had there.
        """
        asked = self.precision in ("auto", "int8") and str(device).partition(":")[0] == "cpu"
        quantised = asked and quantised_session(self.load(), self.digest) is not None
        return replace(self, precision=resolve_precision(self.precision, quantised=quantised))

    def extractor(
        self, device: str | torch.device, frame_count: int | None = None
    ) -> FeatureExtractor:
        """Return what computes features on ``device``; see `load`.

        Args:
            frame_count: frames of the whole job, for the choice of a runtime: that must not
                depend on how the job is shared out.
        """
        return FeatureExtractor(
            self.load(), device, precision=self.precision, frame_count=frame_count
        )

    def settings(self) -> dict[str, str]:
        """Return what decides the features; the same name may stand for other weights later."""
        return {"model": self.spec, "weights": self.digest, "precision": self.precision}

    def inputs(self) -> list[Input]:
        """Return the folder of the weights, where the model is one of a folder."""
        return weights_inputs(self.spec)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ if self.source is None else {**self.__dict__, "_loaded": None}


def spec_of(model: str | Path | Network) -> str:
    """Return the name that a model goes by: its spec, or that of its class or function."""
    if isinstance(model, str | Path):
        return str(model)
    return str(getattr(model, "__name__", type(model).__qualname__))


def weights_inputs(spec: str) -> list[Input]:
    """Return the checkpoint folder, or the file of weights, that ``spec`` names, as an input."""
    place = Path(spec.partition(",")[0])
    return [Input("the weights", place)] if _is_place(place) else []


def check_shared(path: Path) -> None:
    """See that a file that the driver wrote can be seen here.

    Raises:
        MissingError: it cannot.
    """
    if not path.exists():
        raise MissingError(
            f"{path} cannot be seen: `out` must be on a disk that all machines share"
        )


def _absolute(spec: str) -> str:
    place, comma, options = spec.partition(",")
    return f"{Path(place).absolute()}{comma}{options}" if _is_place(Path(place)) else spec


def _is_place(path: Path) -> bool:
    return path.is_dir() or (path.suffix.lower() in SUFFIXES and path.is_file())
