"""Files of weights as researchers publish them: read without running what is in them.

Such a file is a pickle of tensors, often in a wrapper beside optimiser and arguments, under names
with prefixes such as ``module.encoder.``. PyTorch's restricted unpickler reads it, which builds
tensors, plain values and the few harmless types below, and calls nothing else.
"""

from __future__ import annotations

import argparse
import pickle
import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vos.errors import MissingError, VosError

SUFFIXES = (".pth", ".pt", ".tar", ".bin", ".ckpt", ".safetensors")
# What holds the weights; of a student and its teacher, the teacher is what is published.
_WRAPPERS = ("teacher", "model_ema", "state_dict", "model_state_dict", "model", "net", "student")
_SCALAR = np.float64(0).__reduce__()[0]  # what a numpy number is made by, such as a best score
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)),
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),  # as numpy 1 wrote it
]
# Names of the ConvModule of mmcv, and of convolutions behind a padding of their own.
_RENAMED = (
    (r"\b(conv\d)\.(?:conv|1)\.(weight|bias)$", r"\1.\2"),
    (r"\bconv(\d)\.bn\.", r"bn\1."),
    (r"\bdownsample\.conv\.", "downsample.0."),
    (r"\bdownsample\.bn\.", "downsample.1."),
)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file, out of its wrapper, by the names that torchvision would use.

    Raises:
        MissingError: there is no such file.
        VosError: no such file can be read safely, or it holds no tensors.
    """
    if not path.is_file():
        raise MissingError(f"there is no file of weights {path}")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"an object of {found[1]}" if found else "more than tensors"
        raise VosError(
            f"{path} holds {what}, which could run code when it is read: load it where you trust "
            "it, and save the weights alone with torch.save(network.state_dict(), FILE)"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise VosError(f"{path} is no file of weights that PyTorch reads ({reason})") from error
    tensors = _unwrapped(content)
    if not tensors:
        raise VosError(f"{path} holds no weights: neither tensors nor {', '.join(_WRAPPERS)}")
    return {_plain_name(name): tensor for name, tensor in tensors.items()}


def without_prefix(tensors: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Return the tensors below the prefix under which most of the ``wanted`` names are found.

    >>> without_prefix({"module.a": 1, "module.b": 2, "c": 3}, ["a", "b"])
    {'a': 1, 'b': 2}
    """
    known = set(wanted)
    prefixes: Counter[str] = Counter()
    for name in tensors:
        cuts = [0, *(match.end() for match in re.finditer(r"\.", name))]
        prefixes.update(name[:cut] for cut in cuts if name[cut:] in known)
    if not prefixes:
        return {}
    prefix = max(prefixes, key=lambda text: (prefixes[text], -len(text)))
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _unpickled(path: Path) -> Any:
    with torch.serialization.safe_globals(_HARMLESS):
        return torch.load(path, map_location="cpu", weights_only=True)


def _unwrapped(content: Any) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        tensors = {str(name): item for name, item in content.items() if isinstance(item, Tensor)}
        if tensors:
            return tensors
        inner = (content[name] for name in _WRAPPERS if isinstance(content.get(name), Mapping))
        content = next(inner, None)
    return {}


def _plain_name(name: str) -> str:
    for pattern, plain in _RENAMED:
        name = re.sub(pattern, plain, name)
    return name
