"""Tables of a study's page, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ops.study.summary import Difference

Key = tuple[str, int]  # a setting and a number of steps
WIDE = 12  # columns of a table that can be read beside each other
NOTHING = "–"  # where a block is not complete, or an arm has no value


def format_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table. One of more than WIDE columns and fewer rows is turned over: rows become columns."""
    if len(heads) > max(WIDE, len(rows) + 1):
        heads, *rows = zip(heads, *rows, strict=True)
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def format_difference(gap: Difference | None, scale: float = 100, digits: int = 1) -> str:
    """`+1.2 ± 0.5`, in hundredths unless `scale` says otherwise, with `digits` after the point."""
    if gap is None:
        return NOTHING
    spread = "" if gap.half_width is None else f" ± {scale * gap.half_width:.{digits}f}"
    return f"{scale * gap.mean:+.{digits}f}{spread}"


def order_keys(steps: Sequence[int], settings: Sequence[str], found: Mapping[Key, object]) -> list[Key]:
    """The keys that `found` has, by steps, then in the order of the settings."""
    return [(setting, each) for each in sorted(steps) for setting in settings if (setting, each) in found]
