"""Addresses under which `growset ui` shows pictures and reports, and how an asset's metadata refers to them.

A picture's address holds the hash of its output's content, so a picture in an old event is that of its time or none.
The module knows names and addresses, but neither the server nor any file.
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import quote

import dagster as dg

from ops.stages.several import GENERATORS

PREFIX = "/growset"
PICTURES = "/pictures/{expansion}/{stage}/{content}/{name:path}"  # routes below the prefix, in Starlette's notation
REPORTS = "/reports/{expansion}"
HASH = 32  # hexadecimal digits of a content hash: those of Dagster's data version
_PLACE = re.compile(rf"(?:{GENERATORS}/(?P<generator>[0-9]+)/)?(?P<base>[^/]+)")


def list_pictures(files: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The pictures among the names of an output's files, in the order of generators, patterns and names.

    A pattern applies in the output's own folder and in that of each further generator, and nowhere else.
    """
    found = []
    for name in files:
        if placed := _PLACE.fullmatch(name):
            matching = (i for i, pattern in enumerate(patterns) if fnmatchcase(placed["base"], pattern))
            found += [(int(placed["generator"] or 0), i, name) for i in matching]
    return [name for _, _, name in sorted(found)]


def name_picture(name: str) -> str:
    """Its name in metadata: `contact_sheet`, or `contact_sheet_generator_1` for that of a further generator."""
    found = _PLACE.fullmatch(name)
    assert found is not None
    stem = PurePosixPath(name).stem
    return stem if found["generator"] is None else f"{stem}_generator_{found['generator']}"


def show_picture(expansion: str, stage: str, content: str, name: str) -> dg.MarkdownMetadataValue:
    """An image in Markdown, short enough for Dagster to show it at once. Its text names the file in the workspace."""
    address = quote(f"{PREFIX}/pictures/{expansion}/{stage}/{content[:HASH]}/{name}")
    return dg.MetadataValue.md(f"![data/{expansion}/{stage}/{name}]({address})")


def link_report(expansion: str) -> dg.UrlMetadataValue:
    """The report of an expansion as it is now."""
    return dg.MetadataValue.url(quote(f"{PREFIX}/reports/{expansion}"))
