"""The official DAVIS archives: fetched in pieces that survive a broken line, unpacked whole.

A download is kept beside its target as ``<archive>.part`` with a note of which version of the
file it is (``<archive>.part.json``), so that the next attempt, or the next run, goes on where it
stopped. A server that cannot send ranges, or whose file has changed meanwhile, makes it start
again; both are seen from the answer, never assumed.
"""

from __future__ import annotations

import http.client
import re
import shutil
import ssl
import stat
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from tqdm import tqdm

from vos.errors import MissingError, UsageError, VosError, near_names
from vos.files import check_new_folder, move_into, read_json, write_json
from vos.progress import progress

CHUNK = 1 << 20
TIMEOUT = 30.0
ATTEMPTS = 6  # without a byte of progress between them
BROKEN = (ConnectionError, TimeoutError, ssl.SSLError)
LAYOUT = ("JPEGImages", "Annotations", "ImageSets")


@dataclass(frozen=True)
class Archive:
    """Where a data set is published, and by the rules of which year it is read."""

    url: str
    year: int


ARCHIVES = {
    "davis-2017": Archive(
        "https://data.vision.ee.ethz.ch/csergi/share/davis/DAVIS-2017-trainval-480p.zip", 2017
    ),
    "davis-2016": Archive("https://graphics.ethz.ch/Downloads/Data/Davis/DAVIS-data.zip", 2016),
}


def download_dataset(
    name: str,
    root: Path | None = None,
    *,
    url: str | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch, check and unpack a data set; nothing is done when ``root`` holds files already.

    Args:
        name: ``davis-2017`` or ``davis-2016``.
        root: the folder that will hold JPEGImages and Annotations; ``name`` when None.
        url: another place to fetch the archive from.
        pause: how to wait, in seconds, between attempts.

    Returns:
        ``root``.

    Raises:
        UsageError: an unknown data set, a URL that is not http(s), or ``root`` holds files.
        MissingError: the server has no such file.
        VosError: no connection, a damaged archive, or a folder that cannot be written.
    """
    if name not in ARCHIVES:
        raise UsageError(f"unknown data set {name!r}: {near_names(name, ARCHIVES)}")
    root = Path(name) if root is None else root
    address = url or ARCHIVES[name].url
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"{address!r} is not an http or https address")
    check_new_folder(
        root,
        f"the data set (`vos data check {root} --year {ARCHIVES[name].year}` says whether one "
        "that is there is whole)",
    )
    part = root.parent / f".{root.name}.zip.part"
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        fetch(address, part, pause=pause)
        unpack(part, root)
        _forget(part)
    except MissingError:
        raise
    except OSError as error:
        raise VosError(f"cannot write {root}: {error.strerror or error}") from error
    return root


def fetch(url: str, part: Path, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Download ``url`` into ``part``, going on from what is there, until it has its full size.

    Raises:
        MissingError: the server answers that there is no such file.
        VosError: no progress in several attempts, or a file shorter or longer than announced.
    """
    failures = 0
    with progress(description="downloading", unit="B", scale=True) as bar:
        while True:
            had = _size(part)
            try:
                _receive(url, part, bar)
                return
            except urllib.error.HTTPError as error:
                if 400 <= error.code < 500 and error.code not in (408, 429):
                    raise MissingError(
                        f"{url} is not there (HTTP {error.code}): give another with `url`"
                    ) from error
                reason = f"HTTP {error.code}"
            except (urllib.error.URLError, http.client.HTTPException, *BROKEN) as error:
                reason = str(getattr(error, "reason", None) or error)
            failures = 0 if _size(part) > had else failures + 1
            if failures >= ATTEMPTS:
                kept = f"; {_size(part)} bytes are kept, run again to go on" if _size(part) else ""
                raise VosError(f"cannot download {url}: {reason}{kept}")
            pause(min(2.0**failures, 30.0))


def unpack(archive: Path, root: Path) -> None:
    """Check every byte of a zip file and unpack it to ``root``, which appears whole or not at all.

    A single folder at the top of the archive (``DAVIS/``) is left out.

    Raises:
        VosError: the archive is damaged (it is then removed, so that a new run starts afresh) or
            names files outside its own folder.
    """
    temporary = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        with zipfile.ZipFile(archive) as content:
            members = [_safe(member, archive) for member in content.infolist()]
            for member in progress(members, description="unpacking", unit="file"):
                content.extract(member, temporary)  # reads to the end, so the CRC is checked
        folders = [entry for entry in temporary.iterdir() if entry.name != "__MACOSX"]
        single = len(folders) == 1 and folders[0].is_dir()
        top = folders[0] if single and folders[0].name not in LAYOUT else temporary
        if not (top / "JPEGImages").is_dir() or not (top / "Annotations").is_dir():
            raise VosError(
                f"the archive is not DAVIS (no JPEGImages and Annotations in it); kept at {archive}"
            )
        top.chmod(0o755)
        move_into(root, top)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        _forget(archive)
        raise VosError(
            f"the downloaded archive is damaged ({error}) and was removed: download it again"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _receive(url: str, part: Path, bar: tqdm[NoReturn]) -> None:
    """Make one request, and write the answer to disk as it comes.

    Raises ConnectionError when the line ends early; the bytes that came are kept.
    """
    had = _size(part)
    version = _known_version(part, url) if had else None
    headers = {"User-Agent": "vos", "Accept-Encoding": "identity"}
    if version:
        # If-Range: the rest if the file is still the same, all of it if it is not
        headers |= {"Range": f"bytes={had}-", "If-Range": version}
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if error.headers.get("Content-Range") == f"bytes */{had}":
            return  # all of it is here already
        _forget(part)
        raise ConnectionError("the file on the server has changed") from error
    with answer:
        start, total = _extent(answer, had)
        if start == 0:
            _remember(part, url, answer)
        if total is not None and shutil.disk_usage(part.parent).free < total - start:
            raise VosError(f"cannot download {url}: {part.parent} has no room for {total} bytes")
        bar.total = total
        bar.n = start
        bar.refresh()
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) < total:
        raise ConnectionError(f"the connection broke at {_size(part)} of {total} bytes")
    if total is not None and _size(part) > total:
        _forget(part)
        raise ConnectionError(f"received more than the {total} bytes announced")


def _extent(answer: http.client.HTTPResponse, had: int) -> tuple[int, int | None]:
    """Return (first byte of the answer, bytes of the whole file), with a range granted or not."""
    if answer.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if found and int(found[1]) == had:
            return had, None if found[2] == "*" else int(found[2])
        raise http.client.HTTPException("the server sent another range than the one asked for")
    length = answer.headers.get("Content-Length")
    return 0, int(length) if length and length.isdecimal() else None


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _remember(part: Path, url: str, answer: http.client.HTTPResponse) -> None:
    """Note which version of the file this is; a weak ETag cannot vouch for equal bytes."""
    etag = answer.headers.get("ETag", "")
    version = etag if etag.startswith('"') else answer.headers.get("Last-Modified")
    write_json(_note(part), {"url": url, "version": version})


def _known_version(part: Path, url: str) -> str | None:
    try:
        note = read_json(_note(part))
    except VosError:
        return None
    known = isinstance(note, dict) and note.get("url") == url
    return note.get("version") if known else None


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _safe(member: zipfile.ZipInfo, archive: Path) -> zipfile.ZipInfo:
    """Refuse members that would land outside the folder, and links."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    link = stat.S_ISLNK(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in member.filename or link:
        raise VosError(f"{archive} names a file outside its folder ({member.filename!r}): refused")
    return member
