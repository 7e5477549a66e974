"""Make folder names of class names, for every file system.

Different names stay different on file systems that ignore case or the way an accent is composed (macOS, Windows), and
no name is hidden, reserved or a path. The rules:

- Letters, marks and numbers of any script, `-`, `_` and inner spaces stay. Every other character becomes `%` and two
  upper-case hex digits for each byte of its UTF-8; so do a first or last space, the first letter of a name that Windows
  reserves (`con`, `nul`, `com1`, ...), and the first letter of a word that names a split (`test`, `dev`, ...), because
  `datasets` looks for splits in the names of all folders. The empty name becomes `%`.
- Names that are equal without regard to case and composition are written with `a-z 0-9 - _` and `%XX` alone: of `Bag`
  and `bag`, the first becomes `%42ag`.
- A name longer than 160 bytes is cut, and ends in `%-` and 16 hex digits of the name's SHA-256.

This module knows nothing of datasets.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
_SPLIT = re.compile("(?<![a-z])(?:train|training|validation|valid|dev|val|test|testing|eval|evaluation)(?![a-z])")
_LONGEST = 160


def name_folders(class_names: Sequence[str]) -> list[str]:
    """One folder name for each class name, by the rules of this module. ValueError where two names are equal."""
    if len(set(class_names)) != len(class_names):
        raise ValueError("two classes have the same name")
    readable = [_escape(name) for name in class_names]
    counts = Counter(map(_fold, readable))
    return [
        _shorten(_escape(name, strict=True) if counts[_fold(folder)] > 1 else folder, name)
        for name, folder in zip(class_names, readable, strict=True)
    ]


def _escape(name: str, *, strict: bool = False) -> str:
    if not name:
        return "%"
    last = len(name) - 1
    escaped = {word.start() for word in _SPLIT.finditer(name)}
    if name.casefold() in _RESERVED:
        escaped.add(0)
    parts = []
    for at, letter in enumerate(name):
        stays = letter in _PLAIN if strict else _is_readable(letter) or (letter == " " and 0 < at < last)
        parts.append(letter if stays and at not in escaped else _encode(letter))
    return "".join(parts)


def _is_readable(letter: str) -> bool:
    return letter in "-_" or unicodedata.category(letter)[0] in "LMN"


def _encode(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())


def _fold(folder: str) -> str:
    """A key that is equal for names that some file system treats as the same."""
    folded = unicodedata.normalize("NFKC", folder).casefold()
    return unicodedata.normalize("NFKC", folded).casefold()


def _shorten(folder: str, name: str) -> str:
    if len(folder.encode()) <= _LONGEST:
        return folder
    start = folder.encode()[: _LONGEST - 18].decode(errors="ignore")
    return f"{start}%-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
