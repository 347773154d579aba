"""Serving the page."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos.demo.limits import Limits
from vos.errors import MissingError, UsageError

if TYPE_CHECKING:
    import gradio as gr

    from vos.demo.queue import RunQueue
    from vos.demo.store import SessionStore

_UPLOADS = "GRADIO_TEMP_DIR"
INSTALL = "pip install 'vos-propagation[demo]'"


@dataclass(frozen=True)
class Serving:
    """Where and for whom the page is served.

    Attributes:
        host: ``127.0.0.1`` serves this machine only, ``0.0.0.0`` the network.
        port: 0 takes the first free one from 7860 on.
        auth: ``name:password`` that visitors must know, or None.
        share: whether a public address is asked of Gradio's servers.
        root_path: the path, such as ``/vos``, under which a server in front of this one shows it.
        models: offered beside the shipped ones.
    """

    host: str = "127.0.0.1"
    port: int = 0
    auth: str | None = None
    share: bool = False
    root_path: str | None = None
    device: str = "auto"
    models: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    work_folder: Path | None = None


class RunningPage:
    """A page that is being served. Closing it removes all sessions and their files."""

    def __init__(
        self, page: gr.Blocks, store: SessionStore, queue: RunQueue, uploads: str | None = None
    ) -> None:
        self.page = page
        self.store = store
        self.queue = queue
        self._uploads = uploads  # where Gradio kept them before: another page may be served

    @property
    def url(self) -> str:
        return str(self.page.local_url)

    def __enter__(self) -> RunningPage:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close(verbose=False)
        self.store.close()
        _keep_uploads_in(self._uploads)

    def wait(self) -> None:
        """Return when the server ends, or the person at the terminal interrupts it."""
        with suppress(KeyboardInterrupt):
            self.page.block_thread()


def start(serving: Serving | None = None, *, quiet: bool = True) -> RunningPage:
    """Serve the page from a thread.

    Raises:
        MissingError: Gradio is not installed.
        UsageError: ``auth`` is not NAME:PASSWORD, ``root_path`` no path, the port is taken, or a
            model is unknown.
    """
    serving = serving or Serving()
    auth = _auth(serving.auth)
    if serving.root_path is not None and not serving.root_path.startswith(("/", "http")):
        raise UsageError("--root-path takes a path such as /vos, or a whole address")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise MissingError(f"the web page needs Gradio: {INSTALL}") from error
    from vos.demo.page import build_page, page_assets
    from vos.demo.queue import Models, RunQueue
    from vos.demo.store import SessionStore

    models, queue = Models(serving.device), RunQueue()
    names = _model_names(serving.models)
    for name in serving.models:
        models.get(name)  # one that cannot be had is found out now
    models.warm_up(names[0])
    store = SessionStore(serving.limits, folder=serving.work_folder)
    uploads = os.environ.get(_UPLOADS)
    _keep_uploads_in(str(store.root))  # where sessions are
    try:
        page = build_page(
            store,
            models,
            queue,
            model_names=names,
            examples=_examples(),
        )
        page.launch(
            server_name=serving.host,
            server_port=serving.port or None,
            auth=auth,
            share=serving.share,
            root_path=serving.root_path,
            max_file_size=f"{serving.limits.project_megabytes}mb",  # the most; videos have less
            max_threads=serving.limits.sessions + 40,  # each may watch a run
            prevent_thread_lock=True,
            quiet=quiet,
            footer_links=["api"],
            ssr_mode=False,
            enable_monitoring=False,
            **page_assets(),
        )
    except BaseException as error:
        store.close()
        _keep_uploads_in(uploads)
        if isinstance(error, OSError):
            raise UsageError(f"cannot serve on {serving.host}: {error}; try --port") from error
        raise
    return RunningPage(page, store, queue, uploads)


def launch(serving: Serving | None = None) -> None:
    """Serve the page until Ctrl-C or SIGTERM; then all files of visitors are removed.

    Raises as `start` does.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `systemctl stop`, `docker stop`
    with start(serving, quiet=False) as running:
        running.wait()


def _keep_uploads_in(folder: str | None) -> None:
    """Tell Gradio, which asks the environment each time, where uploads go."""
    if folder is None:
        os.environ.pop(_UPLOADS, None)
    else:
        os.environ[_UPLOADS] = folder


def _auth(text: str | None) -> Any:
    """Return what checks a name and a password; wrong ones are answered one per second."""
    if text is None:
        return None
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise UsageError("--auth takes NAME:PASSWORD")
    one_at_a_time = asyncio.Lock()

    async def check(given_name: str, given_password: str) -> bool:
        given = f"{given_name}:{given_password}".encode()
        if secrets.compare_digest(given, text.encode()):
            return True
        async with one_at_a_time:
            await asyncio.sleep(1)
        return False

    return check


def _model_names(more: tuple[str, ...]) -> list[str]:
    from vos.backbones.checkpoint import shipped_checkpoints

    return list(dict.fromkeys([*more, *shipped_checkpoints(), "lab"]))


def _examples() -> dict[str, Path]:
    """Return the folders of frames of the sample's clips, by name."""
    from vos.datasets import open_dataset

    return {clip.name: clip.frame_paths[0].parent for clip in open_dataset("sample")}
