"""The hostile and odd files that are sent to POST /v1/inputs, and the answer to each: the rows of docs/security.md."""

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import Final

from PIL import Image

from tests.intake import files
from tests.support.picture_files import encoded, picture, tone

BODY_SECONDS: Final = 2.0  # the deadline of the gateway that they are sent to
Parts = Callable[[], Iterator[bytes] | Sequence[bytes]]


@dataclass(frozen=True)
class Case:
    """A request: `head` are its lines after the first, `parts` its body. `code` is empty where the file is taken."""

    name: str
    what: str
    parts: Parts
    status: int
    code: str = ""
    head: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    pause: float = 0.0  # seconds between two parts

    def holds(self, status: int, code: str, warnings: tuple[str, ...]) -> bool:
        """Return whether this is the answer that is promised."""
        return (status, code, warnings) == (self.status, self.code, self.warnings)


def _file(name: str, what: str, make: Callable[[], bytes], status: int, code: str = "", *warnings: str) -> Case:
    made = cache(make)
    return Case(name, what, lambda: [made()], status, code, (), warnings)


def _taken(name: str, what: str, make: Callable[[], bytes], *warnings: str) -> Case:
    return _file(name, what, make, 201, "", *warnings)


UNREADABLE, UNSUPPORTED, LARGE = "input-unreadable", "input-unsupported", "input-too-large"


def cases() -> list[Case]:
    """Return all of them, by kind."""
    return [*_bombs(), *_damaged(), *_disguised(), *_odd_pictures(), *_sounds(), *_bodies()]


def _bombs() -> list[Case]:
    return [
        _file("pixel bomb", "PNG of 225 million pixels, 220 kB", lambda: files.png_of(15_000, 15_000), 413, LARGE),
        _file(
            "size that lies",
            "JPEG whose header says 65,000 x 65,000",
            lambda: files.jpeg_of(65_000, 65_000),
            413,
            LARGE,
        ),
        _taken("rows missing", "PNG of 49 million pixels and 10 rows: the rest is black", _few_rows),
        _taken("largest picture", "PNG of 49 million pixels", lambda: files.png_of(7000, 7000)),
        _taken("progressive", "JPEG of 49 million pixels, 4:4:4, in passes", lambda: files.progressive((7000, 7000))),
        _file("text bomb", "PNG with a packed text of 200 MB", files.text_bomb, 422, UNREADABLE),
        _file("profile bomb", "PNG with a packed profile of 200 MB", files.profile_bomb, 422, UNREADABLE),
        _taken("endless animation", "GIF of 2,000 frames", lambda: files.gif_of(2000), "first-frame"),
        _taken("thin", "PNG of 1 x 30,000 pixels", lambda: files.png_of(1, 30_000)),
    ]


def _damaged() -> list[Case]:
    return [
        _file("0 bytes", "an empty body", lambda: b"", 422, UNREADABLE),
        _file("1 byte", "the first byte of a JPEG", lambda: b"\xff", 415, UNSUPPORTED),
        _file("cut-off PNG", "without its last 40 bytes", lambda: encoded(picture())[:-40], 422, UNREADABLE),
        _file("cut-off JPEG", "its first half", lambda: _half("jpeg"), 422, UNREADABLE),
        _file("cut-off WebP", "its first half", lambda: _half("webp"), 422, UNREADABLE),
        _file("cut-off AVIF", "its first half", lambda: _half("avif"), 422, UNREADABLE),
        _file("cut-off TIFF", "its first half", lambda: _half("tiff"), 422, UNREADABLE),
        _file("header alone", "the first 20 bytes of a PNG", lambda: encoded(picture())[:20], 422, UNREADABLE),
        _file(
            "noise", "a PNG signature before random bytes", lambda: files.PNG + bytes(range(256)) * 40, 422, UNREADABLE
        ),
        _file("no sides", "PNG of 0 x 0 pixels", lambda: files.png_of(0, 0), 422, UNREADABLE),
        _taken("bad EXIF", "JPEG with an EXIF block that is none", files.bad_exif),
        _taken(
            "profile of another space",
            "RGB picture with a profile for Lab",
            files.profile_of_other_space,
            "profile-ignored",
        ),
        _taken(
            "profile of noise",
            "JPEG whose profile is no profile",
            lambda: encoded(picture(), "jpeg", icc_profile=b"\1" * 300),
            "profile-ignored",
        ),
    ]


def _disguised() -> list[Case]:
    named = ("Content-Type: multipart/form-data; boundary=b",)
    return [
        _taken("polyglot", "JPEG with a ZIP archive behind it", lambda: encoded(picture(), "jpeg") + _zip()),
        _taken("script inside", "GIF with JavaScript behind it", lambda: files.gif_of(1) + b"*/=1;alert(1)//"),
        _file(
            "SVG",
            "with a script in it",
            lambda: b'<?xml version="1.0"?><svg onload="alert(1)"></svg>',
            415,
            UNSUPPORTED,
        ),
        _file("PDF", "by its first bytes", lambda: b"%PDF-1.7\n" + b"0" * 500, 415, UNSUPPORTED),
        _file("PSD", "by its first bytes", lambda: b"8BPS\0\1" + b"\0" * 500, 415, UNSUPPORTED),
        _file("HTML", "a page", lambda: b"<html><script>alert(1)</script></html>", 415, UNSUPPORTED),
        _file("ZIP", "an archive", _zip, 415, UNSUPPORTED),
        _file(
            "playlist",
            "of addresses inside of the network",
            lambda: b"#EXTM3U\nhttp://169.254.169.254/\n",
            415,
            UNSUPPORTED,
        ),
        Case(
            "wrong extension",
            "PNG as `mug.exe`, of text/plain",
            lambda: [_form("mug.exe", "text/plain")],
            201,
            "",
            named,
        ),
        Case(
            "name with slashes",
            "PNG as `../../etc/passwd`",
            lambda: [_form("../../etc/passwd", "image/png")],
            201,
            "",
            named,
        ),
        Case(
            "wrong type",
            "PNG declared as audio/wav",
            lambda: [encoded(picture())],
            201,
            "",
            ("Content-Type: audio/wav",),
        ),
    ]


def _odd_pictures() -> list[Case]:
    return [
        _taken("rotation", "JPEG with EXIF orientation 6, a place and a name", lambda: files.turned(6)),
        _taken("wide gamut", "JPEG in a profile of wider primaries", files.in_display_p3),
        _taken("CMYK", "JPEG without a profile", lambda: encoded(picture(mode="CMYK"), "jpeg"), "colours-guessed"),
        _taken("16 bits", "grey PNG of 16 bits", files.sixteen_bits),
        _taken("palette", "GIF with a transparent colour", lambda: encoded(picture(mode="P"), "gif", transparency=0)),
        _taken(
            "pages",
            "TIFF of three pages",
            lambda: encoded(picture(), "tiff", save_all=True, append_images=[picture()] * 2),
            "first-frame",
        ),
        _file(
            "32 bits", "TIFF of 32 bits a channel", lambda: encoded(Image.new("F", (8, 8)), "tiff"), 415, UNSUPPORTED
        ),
    ]


def _sounds() -> list[Case]:
    return [
        _taken("length that lies", "WAV of 0.1 s that says 10 hours", lambda: files.wav_that_says(36_000)),
        _file("too long", "WAV of 31 minutes", lambda: files.long_wav(1860), 413, LARGE),
        _file("no sound", "WAV header alone", lambda: tone(0.0), 422, UNREADABLE),
        _file("video", "MP4 with a picture track", files.as_video, 415, UNSUPPORTED),
        _file("cut-off M4A", "its first half", lambda: _first_half(files.as_audio("ipod", "aac")), 422, UNREADABLE),
        _file(
            "noise as MP3",
            "an ID3 tag before random bytes",
            lambda: b"ID3\4\0\0\0\0\0\0" + bytes(range(1, 255)) * 40,
            422,
            UNREADABLE,
        ),
    ]


def _bodies() -> list[Case]:
    chunked, form = "Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=b"
    return [
        Case(
            "declared too long",
            "Content-Length of 1 GB",
            list,
            413,
            "body-too-large",
            ("Content-Length: 1000000000",),
        ),
        Case(
            "endless chunks", "of 64 KB each", lambda: repeat(_chunk(b"\0" * 65_536)), 413, "body-too-large", (chunked,)
        ),
        Case("crumbs", "chunks of 1 byte", lambda: repeat(_chunk(b"\0")), 400, "bad-request", (chunked,)),
        Case(
            "slow body",
            "a byte every 0.2 s",
            lambda: repeat(b"\0"),
            408,
            "body-timeout",
            ("Content-Length: 1000",),
            (),
            0.2,
        ),
        Case(
            "stalled body",
            "ends after 8 of 1,000 bytes",
            lambda: [files.PNG],
            408,
            "body-timeout",
            ("Content-Length: 1000",),
            (),
            0.0,
        ),
        Case(
            "form of dashes",
            "25 MB that look like the begin of a boundary",
            lambda: [b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + b"\r\n--" * 6_250_000],
            422,
            "validation-error",
            (form,),
        ),
        Case(
            "form without a file",
            "the field has another name",
            lambda: [b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n'],
            422,
            "validation-error",
            (form,),
        ),
        Case(
            "form of many fields",
            "100,000 parts",
            lambda: [b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * 100_000 + b"--b--\r\n"],
            422,
            "validation-error",
            (form,),
        ),
        Case(
            "compressed",
            "Content-Encoding: gzip",
            lambda: [b"\x1f\x8b"],
            415,
            "unsupported-media-type",
            ("Content-Encoding: gzip",),
        ),
    ]


def _few_rows() -> bytes:
    return files.png_of(7000, 7000, rows=10)


def _half(format: str) -> bytes:
    return _first_half(encoded(picture((256, 256)), format))


def _first_half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("run.sh", "#!/bin/sh\n")
    return buffer.getvalue()


def _form(name: str, media_type: str) -> bytes:
    head = (
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {media_type}\r\n\r\n'
    )
    return head.encode() + encoded(picture()) + b"\r\n--b--\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
