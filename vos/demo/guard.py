"""Files that visitors name: only those they uploaded, never a path or an address of their choice.

Gradio itself refuses paths outside its upload folder. It would fetch addresses; here they are
refused before anything is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr


class GuardedBlocks(gr.Blocks):
    """``gr.Blocks`` that takes no address in place of an uploaded file."""

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> Any:
        """Refuse addresses, then do as Gradio does."""
        for path in _named_files(inputs):
            if "://" in path or path.startswith("//"):
                raise gr.Error("Addresses are not fetched: upload the file", print_exception=False)
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)


def _named_files(value: Any) -> Iterator[str]:
    """The path of every file in what a client sent."""
    if isinstance(value, dict):
        path = value.get("path")
        if isinstance(path, str):
            yield path
        for part in value.values():
            yield from _named_files(part)
    elif isinstance(value, list):
        for part in value:
            yield from _named_files(part)
