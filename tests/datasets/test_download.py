"""Downloads against a local server that misbehaves in the ways real ones do."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vos.datasets.download import download_dataset
from vos.errors import MissingError, UsageError, VosError


class Server:
    """What the server has, how it behaves, and what it was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag: str | None = '"one"'
        self.ranges = True
        self.cut_after: list[int] = []  # bytes sent before each of the first answers breaks
        self.statuses: list[int] = []  # answers given instead of the file
        self.asked: list[str | None] = []  # Range of each request
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(archive())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            start = 0
            same = self.headers.get("If-Range") in (None, state.etag)
            if asked and state.ranges and same:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
            total = len(state.content)
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if state.etag:
                self.send_header("ETag", state.etag)
            self.send_header("Content-Length", str(total - start))
            self.end_headers()
            stop = start + state.cut_after.pop(0) if state.cut_after else total
            self.wfile.write(state.content[start:stop])

        def log_message(self, *words: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{http.server_port}/DAVIS.zip"
    yield state
    http.shutdown()
    http.server_close()


def archive(top: str = "DAVIS/", extra: dict[str, str] | None = None) -> bytes:
    files = {
        f"{top}ImageSets/2017/val.txt": "ant\n",
        f"{top}JPEGImages/480p/ant/00000.jpg": "picture " * 5000,
        f"{top}Annotations/480p/ant/00000.png": "mask " * 5000,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name, text in (files | (extra or {})).items():
            content.writestr(name, text)
    return buffer.getvalue()


def get(server: Server, root: Path) -> Path:
    return download_dataset("davis-2017", root, url=server.url, pause=lambda seconds: None)


def assert_whole(root: Path) -> None:
    assert (root / "ImageSets/2017/val.txt").read_text() == "ant\n"
    assert (root / "JPEGImages/480p/ant/00000.jpg").read_text() == "picture " * 5000
    assert [path.name for path in root.parent.iterdir()] == [root.name], "nothing left beside it"


def test_unpacks_to_the_folder_itself(server, tmp_path):
    root = tmp_path / "mes données"
    assert get(server, root) == root
    assert_whole(root)


def test_goes_on_where_the_line_broke(server, tmp_path):
    server.cut_after = [10_000, 20_000]
    get(server, tmp_path / "davis")
    assert_whole(tmp_path / "davis")
    assert server.asked == [None, "bytes=10000-", "bytes=30000-"]


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    server.cut_after = [10_000] + [0] * 20
    with pytest.raises(VosError, match="10000 bytes are kept, run again"):
        get(server, tmp_path / "davis")
    assert not (tmp_path / "davis").exists()
    server.cut_after, server.asked = [], []
    get(server, tmp_path / "davis")
    assert server.asked == ["bytes=10000-"]
    assert_whole(tmp_path / "davis")


@pytest.mark.parametrize("etag", ['"one"', None, 'W/"weak"'])
def test_a_server_without_ranges_or_version_starts_again(server, tmp_path, etag):
    server.ranges, server.etag, server.cut_after = False, etag, [10_000]
    get(server, tmp_path / "davis")
    assert_whole(tmp_path / "davis")


def test_a_file_that_changed_meanwhile_is_not_mixed_with_the_old_one(server, tmp_path):
    server.cut_after = [10_000] + [0] * 20
    with pytest.raises(VosError):
        get(server, tmp_path / "davis")
    server.content, server.etag = archive(extra={"DAVIS/README.md": "new " * 3000}), '"two"'
    server.cut_after = []
    get(server, tmp_path / "davis")
    assert_whole(tmp_path / "davis")
    assert (tmp_path / "davis/README.md").read_text().startswith("new")


def test_an_archive_that_is_complete_is_not_fetched_again(server, tmp_path):
    server.cut_after = [len(server.content) - 1] + [0] * 20
    with pytest.raises(VosError):
        get(server, tmp_path / "davis")
    part = tmp_path / ".davis.zip.part"
    part.write_bytes(server.content)
    server.cut_after, server.asked = [], []
    get(server, tmp_path / "davis")
    assert server.asked == [f"bytes={len(server.content)}-"]
    assert_whole(tmp_path / "davis")


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429, 500]
    get(server, tmp_path / "davis")
    assert_whole(tmp_path / "davis")


def test_a_server_without_the_file(server, tmp_path):
    server.statuses = [404]
    with pytest.raises(MissingError, match=r"HTTP 404.*`url`"):
        get(server, tmp_path / "davis")
    assert len(server.asked) == 1


def test_no_server(tmp_path):
    with pytest.raises(VosError, match=r"cannot download http://127\.0\.0\.1:9/x\.zip"):
        download_dataset("davis-2017", tmp_path / "d", url="http://127.0.0.1:9/x.zip", pause=print)


def test_a_flipped_byte_is_noticed_and_the_archive_removed(server, tmp_path):
    middle = server.content.index(b"mask mask") + 500
    server.content = server.content[:middle] + b"?" + server.content[middle + 1 :]
    with pytest.raises(VosError, match=r"damaged.*CRC.*download it again"):
        get(server, tmp_path / "davis")
    assert list(tmp_path.iterdir()) == []


def test_something_that_is_no_archive(server, tmp_path):
    server.content = b"<html>moved</html>"
    with pytest.raises(VosError, match="damaged"):
        get(server, tmp_path / "davis")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_of_something_else_is_refused(server, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        content.writestr("cats/1.txt", "meow")
    server.content = buffer.getvalue()
    with pytest.raises(VosError, match="not DAVIS"):
        get(server, tmp_path / "davis")
    assert not (tmp_path / "davis").exists()


@pytest.mark.parametrize("name", ["../escaped.txt", "/escaped.txt", "DAVIS/../../escaped.txt"])
def test_an_archive_that_would_write_elsewhere_is_refused(server, tmp_path, name):
    server.content = archive(extra={name: "gotcha"})
    with pytest.raises(VosError, match="outside its folder"):
        get(server, tmp_path / "below" / "davis")
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not (tmp_path / "below" / "davis").exists()


def test_an_archive_without_a_top_folder_unpacks_too(server, tmp_path):
    server.content = archive(top="")
    get(server, tmp_path / "davis")
    assert_whole(tmp_path / "davis")


def test_an_empty_folder_is_filled_and_a_full_one_left_alone(server, tmp_path):
    root = tmp_path / "davis"
    root.mkdir()
    (root / ".DS_Store").write_bytes(b"of the Finder")
    get(server, root)
    assert_whole(root)
    assert (root / ".DS_Store").read_bytes() == b"of the Finder"
    server.asked = []
    with pytest.raises(UsageError, match=r"exists already.*vos data check"):
        get(server, root)
    assert server.asked == []


def test_bad_names_addresses_and_folders(server, tmp_path):
    with pytest.raises(UsageError, match="did you mean davis-2017"):
        download_dataset("davis-2071")
    with pytest.raises(UsageError, match="http"):
        download_dataset("davis-2017", tmp_path / "davis", url="file:///etc/passwd")
    (tmp_path / "file").write_text("")
    with pytest.raises(VosError, match="cannot write"):
        get(server, tmp_path / "file" / "davis")
