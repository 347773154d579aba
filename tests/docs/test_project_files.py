"""What is said of the project beside its code agrees with the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from huggingface_hub import ModelCard
from packaging.requirements import Requirement

import vos

ROOT = Path(__file__).parents[2]


def test_the_citation_and_the_changelog_name_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == vos.__version__
    assert len(citation["references"]) == 4
    assert f"## {vos.__version__}\n" in (ROOT / "docs/changelog.md").read_text(encoding="utf-8")
    assert f"{{{vos.__version__}}}" in (ROOT / "docs/citing.md").read_text(encoding="utf-8")


def test_the_space_starts_the_page_with_a_gradio_that_it_takes() -> None:
    head = (ROOT / "tools/space/README.md").read_text(encoding="utf-8").split("---\n")[1]
    space = yaml.safe_load(head)
    assert (ROOT / space["app_file"]).is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (gradio,) = project["optional-dependencies"]["demo"]
    assert Requirement(gradio).specifier.contains(space["sdk_version"])


def test_the_cards_of_shipped_weights_have_what_a_hub_reads() -> None:
    cards = list((ROOT / "weights").glob("*/README.md"))
    assert cards
    for path in cards:
        card = ModelCard.load(path)
        assert card.data.license == "apache-2.0"
        assert card.data.pipeline_tag == "image-feature-extraction"
        assert card.data.library_name == "vos-propagation"
        assert card.text.strip().startswith(f"# {path.parent.name}\n")


def test_extras_that_the_pages_name_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pages = [ROOT / "README.md", ROOT / "tools/Dockerfile", *(ROOT / "docs").glob("*.md")]
    named = {
        extra
        for page in pages
        for extras in re.findall(r"(?:\.|\))\[([a-z,]+)\]", page.read_text(encoding="utf-8"))
        for extra in extras.split(",")
    }
    assert {"demo", "docs", "export"} <= named <= project["optional-dependencies"].keys()
