"""Bytes of a text file as text: by its byte order mark, by the encoding that is named, or as UTF-8."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def marked(data: bytes) -> tuple[str, int]:
    """The encoding that a byte order mark at the beginning says, and the mark's length; ("", 0) without one."""
    return next(((name, len(mark)) for mark, name in _MARKS if data.startswith(mark)), ("", 0))


def text_of(data: bytes, name: str, encoding: str = "") -> str:
    """The text of a file's bytes, without its byte order mark.

    `encoding`: as Python names it; empty takes that of the mark, else UTF-8. Raises `ValueError` that says what to name
    where the bytes are in no such encoding.
    """
    known(encoding)
    said, length = marked(data)
    try:
        return data[length:].decode(said or encoding or "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(refusal(name, said or encoding or "utf-8", error)) from None


def known(encoding: str) -> None:
    """Raises `ValueError` for an encoding that Python does not know."""
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError:
        raise ValueError(
            f"--encoding {encoding}: no such encoding; there are utf-8, latin-1, utf-16, gbk ..."
        ) from None


def refusal(name: str, encoding: str, error: UnicodeDecodeError) -> str:
    """What is said of a file that is not in this encoding."""
    byte = error.object[error.start : error.start + 1].hex()
    said = "UTF-8" if encoding == "utf-8" else encoding
    return (
        f"{name} is not {said} text: byte 0x{byte} at {error.start:,}. Say what "
        "it is written in, such as --encoding latin-1, cp1252, utf-16 or gbk, or save it as UTF-8"
    )
