"""The house keeps its order: floors import only floors below, and starting is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vos

PACKAGE = Path(vos.__file__).parent

FLOORS = {
    "defaults": -1,
    "errors": -1,
    "files": 0,
    "progress": 0,
    "machine": 0,
    "scheduling": 1,
    "media": 1,
    "metrics": 1,
    "datasets": 2,
    "backbones": 3,
    "propagation": 4,
    "objectives": 4,
    "pipeline": 5,
    "runs": 5,
    "segmentation": 6,
    "evaluation": 7,
    "export": 7,
    "analysis": 7,
    "training": 8,
    "benchmarks": 9,
    "demo": 9,
    "cli": 10,
    "__main__": 11,
}


def imported_rooms(path: Path) -> set[str]:
    """Rooms of vos that a file imports, inside functions too."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "vos":
                names = [f"vos.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "vos" and len(parts) > 1 and parts[1] in FLOORS:
                rooms.add(parts[1])
    return rooms


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=str)
def test_floors_import_only_floors_below(path):
    relative = path.relative_to(PACKAGE)
    room = relative.parts[0].removesuffix(".py")
    if room == "__init__":
        return
    assert room in FLOORS, f"{room} has no floor"
    for other in imported_rooms(path) - {room}:
        assert FLOORS[other] < FLOORS[room], f"{relative} imports {other}, which is not below"


@pytest.mark.parametrize("statement", ["import vos", "import vos.cli.app"])
def test_starting_loads_nothing_heavy(statement):
    heavy = ("torch", "numpy", "cv2", "av")
    code = f"{statement}; import sys; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
