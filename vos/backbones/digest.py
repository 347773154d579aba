"""SHA-256 of a safetensors file that is never made: tensor by tensor, in little memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import safetensors.torch
import torch
from torch import Tensor

METADATA = {"format": "pt"}

# Names of element types in the format, in the order in which tensors lie in a file (last to first).
_TYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int32: "I32",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int64: "I64",
}
_ORDER = list(_TYPES)


def weights_file_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the bytes that `safetensors.torch.save` gives with `METADATA`.

    Args:
        tensors: by name; types that a network seldom has are written out and hashed at once.

    Returns:
        64 hexadecimal digits.
    """
    if any(tensor.dtype not in _TYPES for tensor in tensors.values()):
        whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        return hashlib.sha256(safetensors.torch.save(whole, metadata=METADATA)).hexdigest()
    names = sorted(tensors, key=lambda name: (-_ORDER.index(tensors[name].dtype), name))
    digest = hashlib.sha256(_header({name: tensors[name] for name in names}))
    for name in names:
        flat = tensors[name].cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _header(tensors: Mapping[str, Tensor]) -> bytes:
    """Return what stands before the numbers: a length of 8 bytes, then JSON."""
    entries: dict[str, object] = {"__metadata__": METADATA}
    start = 0
    for name, tensor in tensors.items():
        stop = start + tensor.numel() * tensor.element_size()
        entries[name] = {
            "dtype": _TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
