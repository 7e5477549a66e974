"""The small files that git holds for DVC's tables and plots: a folder for each figure, in it a file for each expansion.

dvc.yaml names the folders, so it is the same for any expansions. They lie outside of every stage's output: they repeat
what the outputs say, so they change no fingerprint and no version. The module does not know what is in the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.files.storage import write_bytes

FOLDER = "figures"
METRICS = f"{FOLDER}/metrics"  # the table of `dvc metrics show`: one JSON object, numbers and short texts
NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Plot:
    """A plot of DVC's: a JSON list of rows with the columns `x` and `y`, drawn by one of DVC's templates."""

    x: str
    y: str
    template: str


PLOTS = {
    f"{FOLDER}/arms": Plot("validation", "arm", "bar_horizontal_sorted"),
    f"{FOLDER}/classes": Plot("difference", "class", "bar_horizontal_sorted"),
    f"{FOLDER}/outcomes": Plot("images", "outcome", "bar_horizontal_sorted"),
    f"{FOLDER}/learning": Plot("step", "frechet", "linear"),
}
EMPTY: dict[str, Any] = {METRICS: {"decision": NOT_RUN}, **{folder: [] for folder in PLOTS}}  # before the first run


def list_figures(expansion: str) -> list[str]:
    """The files of an expansion, relative to the workspace."""
    return [f"{folder}/{expansion}.json" for folder in EMPTY]


def render_figures(expansion: str, contents: Mapping[str, Any] = EMPTY) -> dict[str, bytes]:
    """The bytes of the expansion's files by path, for a new workspace by default: DVC warns where a folder is missing.

    A list has one row a line, so that git shows which rows changed.
    """
    return {f"{folder}/{expansion}.json": _render(content).encode() for folder, content in contents.items()}


def store_figures(root: Path, expansion: str, contents: Mapping[str, Any]) -> None:
    """Write the files whose content has changed."""
    for name, content in render_figures(expansion, contents).items():
        if not (root / name).is_file() or (root / name).read_bytes() != content:
            write_bytes(root / name, content)


def remove_figures(root: Path, expansion: str) -> None:
    """Delete the expansion's files, so that DVC does not show them; the outputs hold all that they said."""
    for name in list_figures(expansion):
        (root / name).unlink(missing_ok=True)


def _render(content: Mapping[str, Any] | Sequence[Any]) -> str:
    if isinstance(content, Mapping):
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in content)
    return f"[\n{rows}\n]\n" if rows else "[]\n"
