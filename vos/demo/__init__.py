"""The web page: upload a video, mark objects, propagate, correct, download (Gradio).

`launch` serves it. The rooms: `page`, `layout`, `scene` and `handlers` are what visitors see and
use; `session` and `store` keep each visitor's work on disk; `engine` decides which frames to
segment and leaves the segmenting to `vos.pipeline`; `canvas` goes between masks and the editor.
"""

from vos.demo.launch import RunningPage, Serving, launch, start
from vos.demo.limits import Limits

__all__ = ["Limits", "RunningPage", "Serving", "launch", "start"]
