"""The page under a path of another server, as behind nginx."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from visitor import Visitor

from vos.errors import UsageError

PREFIX = "/tools/vos"


@pytest.fixture
def address() -> Iterator[str]:
    """Serve the page behind a server that knows it under `PREFIX` only."""
    pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'gradio>=6.31,<7'")
    from vos.demo import Limits, Serving, start

    limits = Limits(megabytes=20)
    serving = Serving(limits=limits, device="cpu", models=("lab",), root_path=PREFIX)
    with start(serving) as page, Proxy(page.url.rstrip("/")) as outside:
        yield f"{outside}{PREFIX}/"


class Proxy:
    """Another server: it hands requests below `PREFIX` on to ``inside``; to others it says 404."""

    def __init__(self, inside: str) -> None:
        import httpx
        import uvicorn
        from starlette.applications import Starlette
        from starlette.responses import Response, StreamingResponse
        from starlette.routing import Route

        client = httpx.AsyncClient(base_url=inside, timeout=None)

        async def hand_on(request):
            path = request.url.path
            if not path.startswith(PREFIX):
                return Response(status_code=404)
            onward = client.build_request(
                request.method,
                httpx.URL(path=path[len(PREFIX) :] or "/", query=request.url.query.encode()),
                headers=request.headers.raw,  # with the host that the visitor asked
                content=request.stream(),
            )
            answer = await client.send(onward, stream=True)
            headers = {k: v for k, v in answer.headers.items() if k != "transfer-encoding"}
            return StreamingResponse(answer.aiter_raw(), answer.status_code, headers)

        methods = ["GET", "HEAD", "POST"]
        application = Starlette(routes=[Route("/{path:path}", hand_on, methods=methods)])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = uvicorn.Config(application, port=port, log_level="critical", lifespan="off")
        self.server, self.address = uvicorn.Server(config), f"http://127.0.0.1:{port}"
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.05)
        return self.address

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join()


def test_the_page_works_under_a_path(browser, address, small_clip):
    visitor = Visitor(browser, address)
    failed = []
    visitor.page.on("response", lambda r: r.status >= 400 and failed.append((r.status, r.url)))
    visitor.upload(small_clip.path)
    visitor.see_workspace()
    visitor.tool("Brush")
    visitor.set_brush(5)
    rows, columns = np.nonzero(small_clip.masks[0] == 1)
    visitor.click_frame(columns.mean(), rows.mean(), small_clip.masks[0].shape)
    visitor.wait_until_taken_in()
    visitor.page.click("#play")
    visitor.page.wait_for_selector("#frame :text('Frame 9 of')")
    visitor.propagate()
    visitor.says("Look through them")
    assert failed == [] and visitor.errors == []
    outside = [url for url in visitor.requests if not url.startswith((address, "data:", "blob:"))]
    assert outside == []
    visitor.close()


def test_what_is_no_path() -> None:
    from vos.demo import Serving, start

    with pytest.raises(UsageError, match="--root-path takes a path such as /vos"):
        start(Serving(root_path="vos", device="cpu"))
