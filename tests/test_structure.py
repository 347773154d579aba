"""The house keeps its order: floors import only floors below, no circles, and starting is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vos

PACKAGE = Path(vos.__file__).parent
TESTS = Path(__file__).parent

FLOORS = {
    "version": -1,
    "lazy": -1,
    "errors": -1,
    "caches": 0,
    "compiled": 1,
    "files": 0,
    "forks": 0,
    "progress": 0,
    "settings": 0,
    "machine": 0,
    "scheduling": 1,
    "media": 1,
    "metrics": 1,
    "datasets": 2,
    "backbones": 3,
    "propagation": 4,
    "objectives": 4,
    "segmentation": 6,
    "runs": 5,
    "evaluation": 7,
    "export": 7,
    "analysis": 7,
    "training": 8,
    "benchmarks": 9,
    "demo": 9,
    "cli": 10,
    "__main__": 11,
}
FACE = "vos"  # `import vos` hands names out and stands above all floors

FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the dotted name below ``vos``; that of the package itself is ``vos``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts) or FACE


MODULES = {module_name(path): path for path in FILES}


def imported_modules(path: Path) -> set[str]:
    """Return the files of vos that a file imports, inside functions and for types too.

    A package stands for its ``__init__``; a name imported from it that is a module, for that
    module.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} imports relatively"
            names = [(node.module, tuple(alias.name for alias in node.names))]
        for name, members in names:
            top, _, below = name.partition(".")
            if top != "vos":
                continue
            inside = {f"{below}.{member}" if below else member for member in members}
            modules = {member for member in inside if member in MODULES}
            found |= modules
            if len(modules) < len(members) or not members:
                found.add(below or FACE)
    return found


IMPORTS = {name: imported_modules(path) for name, path in MODULES.items()}


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of files of which each reaches each other by imports."""
    reached: dict[str, set[str]] = {}
    for start in imports:
        seen: set[str] = set()
        waiting = list(imports[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += imports.get(name, ())
        reached[start] = seen
    groups = {
        frozenset(other for other in reached[name] if name in reached.get(other, ()))
        for name in imports
        if name in reached[name]
    }
    return sorted((set(group) for group in groups), key=sorted)


def is_package(name: str) -> bool:
    return MODULES[name].name == "__init__.py"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_floors_import_only_floors_below(name: str) -> None:
    room = name.split(".")[0]
    if name == FACE:
        return
    assert room in FLOORS, f"{room} has no floor"
    for other in IMPORTS[name]:
        assert other in MODULES, f"{name} imports {other}, which does not exist"
        assert other != FACE, f"{name} imports the face of the package: name the room instead"
        floor = other.split(".")[0]
        if floor != room:
            assert FLOORS[floor] < FLOORS[room], f"{name} imports {other}, which is not below"


def test_no_two_files_import_each_other() -> None:
    # The list of names in a package's __init__ is no reason: files name files.
    files = {name: imports for name, imports in IMPORTS.items() if not is_package(name)}
    assert circles(files) == []


def test_a_room_is_not_entered_through_its_own_face() -> None:
    for name, imports in IMPORTS.items():
        for other in imports:
            inside = name != other and name.startswith(f"{other}.")
            assert not (inside and _hands_out(other)), f"{name} imports {other} that it lies in"


def _hands_out(package: str) -> bool:
    """Return whether a package imports files of its own, so that entering it loads them."""
    return is_package(package) and any(
        other.startswith(f"{package}.") for other in IMPORTS[package]
    )


def test_circles_are_seen() -> None:
    chain = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(chain) == [{"b", "c"}]
    assert "backbones.registry" in IMPORTS["backbones.load"]
    assert "backbones.load" in IMPORTS["backbones"]


@pytest.mark.parametrize("statement", ["import vos", "import vos.cli.app"])
def test_starting_loads_nothing_heavy(statement):
    heavy = ("torch", "numpy", "cv2", "av")
    code = f"{statement}; import sys; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_no_two_test_files_share_a_name() -> None:
    """The folders of the tests are no packages: of two files of one name pytest collects one."""
    names = [path.name for path in TESTS.rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
