"""Public names: documented ones are found after `import vos`, errors are builtin ones too."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vos

ROOT = Path(vos.__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def dotted_names() -> set[str]:
    """Return every ``vos.x.y`` that the pages name."""
    return {
        name
        for page in PAGES
        for name in re.findall(r"\bvos(?:\.[A-Za-z_]+)+", page.read_text(encoding="utf-8"))
    }


def test_every_name_of_the_pages_is_found_after_import_vos() -> None:
    names = dotted_names()
    assert {"vos.propagate", "vos.datasets.sample.sample_tracks"} <= names
    program = f"import vos\nfor name in {sorted(names)}:\n    assert eval(name) is not None, name\n"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_public_name_is_there() -> None:
    assert dir(vos) == sorted(vos.__all__)
    for name in vos.__all__:
        assert getattr(vos, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'propogate'"):
        _ = vos.propogate


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^::: vos\.(\w+)$", page, re.M)) | set(re.findall(r"\w+Error", page))
    assert told >= set(vos.__all__) - {"__version__"}


def test_a_public_name_loads_only_its_room() -> None:
    program = "import vos, sys; vos.UsageError; vos.media.read_mask; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == "False", found.stderr


@pytest.mark.parametrize(
    ("error", "builtin"),
    [(vos.UsageError, ValueError), (vos.MissingError, FileNotFoundError)],
)
def test_errors_are_builtin_ones_too(error: type[vos.VosError], builtin: type) -> None:
    with pytest.raises(builtin, match="what is wrong"):
        raise error("what is wrong")
    assert issubclass(error, vos.VosError)
    copy = pickle.loads(pickle.dumps(error("what is wrong")))
    assert type(copy) is error and str(copy) == "what is wrong"


def test_the_commands_are_functions_that_tell_their_arguments() -> None:
    for name in ("evaluate", "score", "train", "propagate", "export_features"):
        text = inspect.getdoc(getattr(vos, name)) or ""
        assert "Args:" in text and "Raises:" in text, name
