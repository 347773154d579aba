"""The web page: upload a video, mark objects, propagate, correct, download (Gradio).

`launch` serves it. `page`, `layout`, `scene` and `handlers` are what visitors see and use;
`session` and `store` keep each visitor's state around a `vos.Session`, which holds the masks;
`queue` runs one propagation at a time; `canvas` goes between masks and the canvas of the page.
"""

from vos.demo.launch import RunningPage, Serving, launch, start
from vos.demo.limits import Limits

__all__ = ["Limits", "RunningPage", "Serving", "launch", "start"]
