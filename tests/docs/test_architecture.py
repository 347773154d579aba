"""The page for outsiders names files and folders that exist, and every room of the house."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import vos

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SOURCES = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [PAGE, SOURCES], ids=["architecture", "sources"])
def test_every_file_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"`([a-z_]+/[\w/.-]*)`", page))
    assert len(named) > 50
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_statement_of_the_sources_is_shown_or_says_why_not() -> None:
    rows = [line.split("|")[1:-1] for line in SOURCES.splitlines() if line.startswith("| ")]
    assert len(rows) > 65
    assert [
        row[0] for row in rows if len(row) != 4 or not any(cell.strip() for cell in row[1:])
    ] == []


def test_sections_that_the_sources_are_shown_in_exist() -> None:
    for page, section in re.findall(r"\]\(([\w-]+\.md)#([\w-]+)\)", SOURCES):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        titles = re.findall(r"^#+ (.*)$", text, re.M)
        known = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert section in known, (page, section)


def test_every_room_is_on_the_page() -> None:
    rooms = [path.parent.name for path in Path(vos.__file__).parent.glob("*/__init__.py")]
    assert [room for room in sorted(rooms) if f"`vos/{room}/`" not in PAGE] == []


def test_names_in_code_are_where_the_page_says() -> None:
    for name, path in (
        ("class Objective", "vos/training/objective.py"),
        ("OBJECTIVES", "vos/training/loop.py"),
        ("PRESETS", "vos/propagation/presets.py"),
        ("class Dataset", "vos/datasets/sequence.py"),
        ("def open_store", "vos/export/store.py"),
        ("def check_out", "vos/export/store.py"),
    ):
        assert name in (ROOT / path).read_text(encoding="utf-8"), (name, path)
        assert name.split()[-1] in PAGE


def test_the_readme_links_the_page() -> None:
    assert "(docs/architecture.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
