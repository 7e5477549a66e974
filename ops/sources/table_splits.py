"""The splits that tables give: in a column, as names of splits or as yes and no, or by the names of several tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from ops.errors import UserError
from ops.sources.listing import ALIASES, SPLITS, find_split, guess_split
from ops.sources.tables import find_spellings, simplify

PLACE = "{split}"  # in the name of a table: train, val or test, as in `{split}.csv`
# Names of columns, without case and signs.
COLUMNS = (
    "split",
    "subset",
    "set",
    "partition",
    "phase",
    "datasplit",
    "splitname",
    "splits",
    "dataset",
    "fold",
    "usage",
)
FLAGS = {  # the splits of yes and no
    "istest": ("test", "train"),
    "isval": ("validation", "train"),
    "isvalid": ("validation", "train"),
    "isvalidation": ("validation", "train"),
    "istrain": ("train", "test"),
    "istraining": ("train", "test"),
}
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
_ALIAS = re.compile(
    rf"(.*?)(?<![a-z])({'|'.join(alias for names in ALIASES.values() for alias in names)})(?![a-z])(.*)", re.I
)


def find_split_column(frame: pl.DataFrame) -> str | None:
    """The first column with a known name whose values all stand for splits, two or three of them, train among them."""
    plain = [name for name, kind in frame.schema.items() if not kind.is_nested()]
    for column in find_spellings(plain, [*COLUMNS, *FLAGS]):
        splits = set(name_splits(column, frame[column].unique().to_list()).values())
        if None not in splits and "train" in splits and len(splits) > 1:
            return column
    return None


def name_splits(column: str, values: Iterable[object]) -> dict[object, str | None]:
    """The split of each value of a column; None for a value that stands for none."""
    yes, no = FLAGS.get(simplify(column), (None, None))
    if yes is None:
        return {value: guess_split(str(value).strip()) for value in values}
    texts = {value: str(value).strip().lower() for value in values}
    return {value: yes if text in _YES else no if text in _NO else None for value, text in texts.items()}


def divide(frame: pl.DataFrame, column: str, table: Path) -> dict[str, pl.DataFrame]:
    """The rows of each split, by a column. UserError for a value that stands for no split."""
    wanted = name_splits(column, frame[column].unique().to_list())
    for value, split in wanted.items():
        if split is None:
            raise UserError(
                f"{table}: the column {column} holds {value!r}; allowed: train, validation (or val), test; to ignore"
                " the column, set `split_column: null` in the source's description"
            )
    return {
        split: part
        for split in SPLITS
        if (part := frame.filter(pl.col(column).is_in([v for v, s in wanted.items() if s == split]))).height
    }


def join_names(names: Sequence[str]) -> str | None:
    """The common name of tables of one split each, such as `{split}.csv` of train.csv and test.csv; None without."""
    found = [match for name in names if (match := _ALIAS.fullmatch(name))]
    splits = [find_split(match[2]) for match in found]
    patterns = {f"{match[1]}{PLACE}{match[3]}" for match in found}
    is_common = len(found) == len(names) == len(set(splits)) > 1 and len(patterns) == 1
    return patterns.pop() if is_common and "train" in splits else None


def find_split_tables(root: Path, name: str) -> dict[str, Path]:
    """The tables of a common name in a folder, by split. UserError if two are of one split."""
    pattern = re.compile("([A-Za-z]+)".join(re.escape(part) for part in name.split(PLACE)))
    found: dict[str, Path] = {}
    for path in sorted(root.iterdir()):
        match = pattern.fullmatch(path.name)
        if match is None or (split := find_split(match[1])) is None:
            continue
        if split in found:
            raise UserError(f"{root} has both {found[split].name} and {path.name}; expected one of the two")
        found[split] = path
    return {split: found[split] for split in SPLITS if split in found}
