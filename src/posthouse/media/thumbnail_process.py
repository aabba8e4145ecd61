"""The process in which pictures of strangers are decoded; run by its path, by `thumbnailer`.

It imports libvips once and forks for each picture, so that a picture that takes over, eats up or
breaks its decoder has that one process, and the next picture has a clean one. It knows nothing of
the server and imports nothing of it; it is given no environment, no socket and no database.

(1) Each picture has bounds that the kernel enforces: address space, seconds of CPU and of time,
    bytes written. libvips' own way to stop (`set_kill`) waits for the decoder to ask.
(2) Only the decoders of `_LOADERS` exist, and a picture is refused by the size in its header before
    any of it is decoded.
(3) What is written carries no metadata: no place, no camera, no profile; pixels are upright sRGB.

Jobs come as lines of JSON on standard input, outcomes leave as lines on standard output; the end of
the input ends the process.
"""

import json
import os
import resource
import select
import signal
from typing import Any, Final, NoReturn

MADE: Final = 0
UNREADABLE: Final = 1
TOO_LARGE: Final = 2
STOPPED: Final = 3
"""It took more than it may, or its decoder broke: reported for any other end of the child."""

_LOADERS: Final = (
    "VipsForeignLoadJpeg",
    "VipsForeignLoadPng",
    "VipsForeignLoadNsgif",
    "VipsForeignLoadWebp",
    "VipsForeignLoadHeif",
)

_JPEG_QUALITY: Final = 80
_WEBP_QUALITY: Final = 75
_WEBP_EFFORT: Final = 2
"""Of 0 to 6: an animation is encoded once, but somebody waits for it."""


def main() -> None:
    """Serves jobs until standard input ends."""
    vips = _prepared_vips()
    ended, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    jobs: dict[int, int] = {}  # the job of each child, by its process id
    lines = _Lines()
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == ended:
                _drain(ended)
                _report_ended(jobs)
                continue
            data = os.read(0, 65_536)
            if not data:
                _kill(jobs)
                return
            for line in lines.added(data):
                job = json.loads(line)
                child = os.fork()
                if child == 0:
                    _end_with(vips, job)
                jobs[child] = job["number"]


def _prepared_vips() -> Any:
    """libvips with nothing but the loaders that are wanted (2), and no threads before a fork."""
    os.environ["VIPS_BLOCK_UNTRUSTED"] = "1"
    os.environ["VIPS_CONCURRENCY"] = "1"
    import pyvips  # type: ignore[import-untyped]  # it has none

    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in _LOADERS:
        pyvips.operation_block_set(loader, False)
    pyvips.cache_set_max(0)
    return pyvips


class _Lines:
    """Puts lines together that arrive in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def added(self, data: bytes) -> list[bytes]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        return whole


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        pass


def _report_ended(jobs: dict[int, int]) -> None:
    while jobs:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        outcome = code if code in (MADE, UNREADABLE, TOO_LARGE) else STOPPED
        os.write(1, b'{"number":%d,"outcome":%d}\n' % (jobs.pop(child), outcome))


def _kill(jobs: dict[int, int]) -> None:
    for child in jobs:
        os.kill(child, signal.SIGKILL)


def _end_with(vips: Any, job: dict[str, Any]) -> NoReturn:
    """The child's whole life: bounded, silent, and never back in the parent's code."""
    code = STOPPED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        _bound(job)
        code = _make(vips, job)
    except BaseException:
        code = STOPPED
    finally:
        os._exit(code)


def _bound(job: dict[str, Any]) -> None:
    """What the kernel holds the child to (1)."""
    for kind, most in (
        (resource.RLIMIT_AS, job["memory_bytes_max"]),
        (resource.RLIMIT_CPU, job["cpu_seconds_max"]),
        (resource.RLIMIT_FSIZE, job["output_bytes_max"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    # The default action ends the process, whatever its decoder is doing.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, job["seconds_max"])


def _make(vips: Any, job: dict[str, Any]) -> int:
    try:
        header = vips.Image.new_from_file(job["source"], access="sequential")
        frames = header.get("n-pages") if job["animated"] and header.get_typeof("n-pages") else 1
        if header.width * header.height > job["pixels_max"]:
            return TOO_LARGE
        if header.width * header.height * frames > job["pixels_max"] or frames > job["frames_max"]:
            return STOPPED  # as an animation; the caller asks for a still one then
        image = _thumbnail(vips, job, header, frames)
        _write(image, job["target"], frames)
    except vips.Error as error:
        return STOPPED if "memory" in str(error) else UNREADABLE
    return MADE


def _thumbnail(vips: Any, job: dict[str, Any], header: Any, frames: int) -> Any:
    """The picture made smaller, upright and in sRGB; never larger than it was."""
    source = job["source"] + ("[n=-1]" if frames > 1 else "")
    width, height = job["width"], job["height"]
    if job["crop"]:
        width, height = _covering(_upright(header), (width, height))
    small = vips.Image.thumbnail(
        source,
        width,
        height=height,
        size="down",
        export_profile="srgb",
        fail_on="error",
    )
    if not job["crop"]:
        return small
    page = small.height // frames
    inner = _largest_within((small.width, page), (job["width"], job["height"]))
    return _cropped(vips, small, frames, inner)


def _upright(header: Any) -> tuple[int, int]:
    """Width and height as the picture is seen: the orientations from 5 on lie on their side."""
    turned = header.get_typeof("orientation") and header.get("orientation") in (5, 6, 7, 8)
    return (header.height, header.width) if turned else (header.width, header.height)


def _covering(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """How large the whole picture is to be made, so that the box lies within it."""
    inner = _largest_within(size, box, bounded=False)
    share = min(1.0, box[0] / inner[0])
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _largest_within(
    size: tuple[int, int], box: tuple[int, int], *, bounded: bool = True
) -> tuple[int, int]:
    """The largest part of `size` that has the aspect of `box`, and with `bounded` at most its size."""
    width = min(size[0], size[1] * box[0] / box[1])
    height = width * box[1] / box[0]
    if bounded and width > box[0]:
        width, height = box
    return max(1, min(size[0], round(width))), max(1, min(size[1], round(height)))


def _cropped(vips: Any, image: Any, frames: int, inner: tuple[int, int]) -> Any:
    """The middle of each frame; the frames of an animation stand one below the other."""
    width, height = inner
    page = image.height // frames
    left, top = (image.width - width) // 2, (page - height) // 2
    if frames == 1:
        return image.crop(left, top, width, height)
    # The frames are read from top to bottom once, but each crop asks for its own part.
    whole = image.copy_memory()
    parts = [whole.crop(left, number * page + top, width, height) for number in range(frames)]
    joined = vips.Image.arrayjoin(parts, across=1).copy()
    joined.set_type(vips.GValue.gint_type, "page-height", height)
    return joined


def _write(image: Any, target: str, frames: int) -> None:
    if frames > 1:
        image.webpsave(target, Q=_WEBP_QUALITY, effort=_WEBP_EFFORT, keep="none")
    elif image.hasalpha():
        image.pngsave(target, keep="none")
    else:
        image.jpegsave(target, Q=_JPEG_QUALITY, keep="none")


if __name__ == "__main__":
    main()
