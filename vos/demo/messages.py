"""What the page says: one line with a kind, read out by screen readers; and what work costs."""

from __future__ import annotations

from html import escape
from typing import Literal

from vos.demo.queue import Step

Kind = Literal["info", "done", "error"]


def message(kind: Kind, text: str) -> str:
    """One line; errors interrupt a screen reader, the rest waits for it."""
    if kind == "error":
        close = '<button type="button" data-dismiss aria-label="Close">×</button>'
        return f'<div class="message error" role="alert"><span>{escape(text)}</span>{close}</div>'
    return f'<div class="message {kind}" role="status">{escape(text)}</div>'


NO_PLACE = (  # `page.js` waits where it sees this
    '<div class="message info" role="status" data-no-place>Too many people are at work here. '
    "Leave this page open: it begins by itself as soon as a place is free.</div>"
)


def progress_bar(step: Step) -> str:
    """A bar with rate and time left."""
    rate = step.done / max(step.seconds, 1e-9)
    text = (
        f"Frame {step.index}: {step.done} of {step.total}, {rate:.1f} per second, "
        f"{duration(step.seconds_left)} left"
    )
    return (
        f'<div class="message info" role="status"><progress max="{step.total}" '
        f'value="{step.done}" aria-label="Propagation"></progress><span>{text}</span></div>'
    )


def waiting(before: int) -> str:
    """A place in the queue."""
    runs = "one run comes" if before == 1 else f"{before} runs come"
    return message(
        "info", f"Number {before + 1} in the queue: {runs} first. Yours starts by itself."
    )


def duration(seconds: float) -> str:
    """``8 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
