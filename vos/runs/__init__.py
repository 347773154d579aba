"""A resumable run into a folder, under every command that writes.

``paths`` sees that no output is an input, ``folder`` keeps the record of what a run wrote (only
that is ever replaced or removed), ``model`` is the chosen backbone, and ``job`` does the items of
a run that are not done yet.
"""

from vos.runs.folder import RECORD, RunFolder
from vos.runs.paths import Input, Output, check_paths

__all__ = ["RECORD", "Input", "Output", "RunFolder", "check_paths"]
