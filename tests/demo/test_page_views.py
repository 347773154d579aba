"""Pictures of a run and of a visitor who looks around are made at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from vos.demo.limits import Limits
from vos.demo.session import Session
from vos.demo.views import VIEWS_KEPT, picture


def test_pictures_that_are_made_at_once_do_not_remove_each_other(tmp_path, clip):
    session = Session(tmp_path / "session", Limits())
    session.open(clip.path)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda index: picture(session, index % 10, opacity=0.5), range(80)))
    assert len(set(made)) == len(made)
    left = list((session.folder / "views").iterdir())
    assert len(left) <= VIEWS_KEPT + 4 and made[-1] in left
