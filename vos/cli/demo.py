"""`vos demo`: the web page."""

from __future__ import annotations

from typing import Annotated

import typer

from vos.cli import options


def demo(
    host: Annotated[
        str, typer.Option(help="Address to serve on; 0.0.0.0 opens it to the network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 takes the first free one from 7860 on.")
    ] = 0,
    auth: Annotated[str | None, typer.Option(help="NAME:PASSWORD that visitors must give.")] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Ask Gradio's servers for a public address.")
    ] = False,
    root_path: Annotated[
        str | None,
        typer.Option(help="Path such as /vos under which a server in front of this one shows it."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Offer this model first. Repeatable.")
    ] = None,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Largest upload.")] = 2000,
    max_frames: Annotated[int, typer.Option(min=1, help="Longest video.")] = 20_000,
    max_sessions: Annotated[int, typer.Option(min=1, help="Visitors at once.")] = 32,
    max_gigabytes: Annotated[
        float, typer.Option(min=0.001, help="Files of all visitors together.")
    ] = 100.0,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Serve the web page: upload a video, mark objects, propagate, correct, download.

    Only this machine can reach it, unless --host or --share says otherwise. Nothing is looked up
    on the internet. Visitors' files are removed when they leave, and when the server ends.
    """
    from vos.demo import Limits, Serving, launch

    options.chosen_device(device)
    launch(
        Serving(
            host=host,
            port=port,
            auth=auth,
            share=share,
            root_path=root_path,
            device=device,
            models=tuple(model or ()),
            limits=Limits(
                megabytes=max_megabytes,
                frames=max_frames,
                sessions=max_sessions,
                gigabytes=max_gigabytes,
            ),
        )
    )
