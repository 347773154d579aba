"""What axe, the checker of the WCAG, finds on the page in each of its states."""

from __future__ import annotations

import numpy as np
import pytest
from visitor import Visitor

axe_api = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs axe: pip install axe-playwright-python"
)


def violations(visitor: Visitor) -> list[str]:
    """One line for each rule that is broken, with the first place."""
    visitor.page.wait_for_function(  # colours that are just changing are those of no state
        "!document.getAnimations().some(each => each instanceof CSSTransition)"
    )
    found = axe_api.Axe().run(visitor.page).response["violations"]
    return [f"{each['impact']}: {each['help']}: {each['nodes'][0]['html'][:200]}" for each in found]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_nothing_keeps_people_out(browser, running, small_clip, scheme, width):
    visitor = Visitor(browser, running.url, width=width, color_scheme=scheme)
    assert violations(visitor) == [], "at the start"
    visitor.upload(small_clip.path)
    visitor.see_workspace()
    visitor.tool("Brush")
    visitor.set_brush(5)
    rows, columns = np.nonzero(small_clip.masks[0] == 1)
    visitor.click_frame(columns.mean(), rows.mean(), small_clip.masks[0].shape)
    visitor.wait_until_taken_in()
    visitor.add_object()
    assert violations(visitor) == [], "at work"
    visitor.propagate()
    visitor.says("Look through them")
    sections = visitor.page.locator("button.label-wrap")
    for section in sections.all():
        if "open" not in (section.get_attribute("class") or "").split():
            section.click()
    assert sections.count() == visitor.page.locator("button.label-wrap.open").count() > 1
    assert violations(visitor) == [], "when done, with all sections open"
    visitor.close()
