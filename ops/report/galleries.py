"""Galleries of what the filters did: rejected beside accepted images, near copies beside what they resemble.

Which images are shown is drawn with a fixed seed, or is the worst; nobody picks them by eye. Test images are never
shown, so an image that resembles one stands without it. It knows the index and where pixels lie, no thresholds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image, ImageDraw, ImageFont

from ops.datasets.index import locate_rows
from ops.datasets.shards import find_shards
from ops.files.storage import replace_file
from ops.filters.reasons import REASONS, Reason
from ops.filters.results import Results
from ops.pictures.sheets import GAP, tile
from ops.pictures.strips import draw_strip, find_places, read_places, shrink

NEAREST = 8  # pairs of the worst near copies, and as many of held-out images
MOST, FEWEST = 8, 2  # rejected images shown per reason
BYTES = 100_000  # of uncompressed pixels in all galleries together, so that the page stays small
SIDE = 32  # pixels that a gallery's pictures are shrunk to
PER_ROW = 12  # images of a reason on the sheet
# Test images are never shown.
_TWINS = {"train": "training", "generated": "generated", "validation": "validation", "parent": "seed"}


def choose_rejected(index: pl.DataFrame, reason: str, most: int, seed: int = 0) -> pl.DataFrame:
    """At most `most` rows whose first reason this is, of as many classes as there are, in order of class and row.

    The first draw of every class comes before the second of any; equal indices give equal choices.
    """
    rows = index.with_row_index("position").filter(pl.col("reasons").list.first() == reason)
    shuffled = rows[np.random.default_rng(seed).permutation(len(rows)).tolist()]
    turns = shuffled.with_columns(turn=pl.int_range(pl.len()).over("label"))
    return turns.sort("turn", maintain_order=True).head(most).sort("label", "position").drop("turn", "position")


def collect_galleries(results: Results, inputs: Mapping[str, Path]) -> list[dict[str, Any]]:
    """For each reason that rejected something: its images, each beside its twin, if it has one, and an accepted one.

    `inputs` are output folders: real_images, generated_images. The accepted image is of the same class. The score is
    that of the rule that the image breaks: of two rules of one reason the first broken one.
    """
    rejected = results.funnel.total.rejected
    found = [REASONS[reason] for reason in REASONS if rejected[reason]]
    if not found:
        return []
    pixels = shrink(read_places(inputs["generated_images"], results.index.head(1)), SIDE)[0].nbytes
    each = max(FEWEST, min(MOST, BYTES // (sum(3 if reason.original else 2 for reason in found) * pixels)))
    frames = {reason.name: choose_rejected(results.index, reason.name, each) for reason in found}
    chosen = {name: frame.to_dicts() for name, frame in frames.items()}
    company = _Company(_choose_accepted(results.index), results.class_names)
    lines = {reason.name: [company.gather(reason, row) for row in chosen[reason.name]] for reason in found}
    pictures = _read_pictures(results, inputs, [who for line in lines.values() for shown in line for who, _ in shown])
    scores = {reason.name: _name_scores(results, reason, frames[reason.name]) for reason in found}
    return [
        {
            "reason": reason.name,
            "title": reason.title,
            "meaning": reason.meaning,
            "score": " or ".join(dict.fromkeys(scores[reason.name])).replace("_", " "),
            "count": rejected[reason.name],
            "has_twins": reason.original is not None,
            "items": [
                {
                    "picture": draw_strip(np.stack([pictures[who] for who, _ in shown]), side=SIDE),
                    "score": _read_score(row[score]),
                    "score_name": score.replace("_", " "),
                    "name": results.class_names[row["label"]],
                    "taken_for": results.class_names[row["predicted"]] if reason.name == "wrong_label" else None,
                    "alt": ", ".join(words for _, words in shown),
                }
                for row, shown, score in zip(chosen[reason.name], lines[reason.name], scores[reason.name], strict=True)
            ],
        }
        for reason in found
    ]


def collect_nearest(results: Results, inputs: Mapping[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """The accepted images, and the held-out real ones, that lie closest to a training image, each beside it."""
    labels = locate_rows(find_shards(inputs["real_images"], "train")).select("image_id", train_label="label")
    closest = {
        kind: rows.drop_nulls("train_distance")
        .sort("train_distance", "image_id")
        .head(NEAREST)
        .join(labels, left_on="nearest_train_id", right_on="image_id", how="left", maintain_order="left")
        .to_dicts()
        for kind, rows in (("generated", results.index.filter("keep")), ("held_out", results.held_out))
    }
    wanted = [row[key] for rows in closest.values() for row in rows for key in ("image_id", "nearest_train_id")]
    pictures = _read_pictures(results, inputs, wanted)
    return {
        kind: [
            {
                "picture": draw_strip(
                    np.stack([pictures[row["image_id"]], pictures[row["nearest_train_id"]]]), side=SIDE
                ),
                "distance": row["train_distance"],
                "name": results.class_names[row["label"]],
                "train_name": results.class_names[row["train_label"]],
            }
            for row in rows
        ]
        for kind, rows in closest.items()
    }


def write_rejected_sheet(path: Path, index: pl.DataFrame, folder: Path) -> None:
    """A contact sheet of rejected images, one named row per reason; nothing is written where none was rejected.

    `index` is that of the accepted images, `folder` where its shards of generated images lie.
    """
    rows, titles = [], []
    for reason in REASONS.values():
        chosen = choose_rejected(index, reason.name, PER_ROW)
        if len(chosen):
            rows.append(read_places(folder, chosen))
            titles.append(reason.title)
    if not rows:
        return
    scale = 2 if rows[0].shape[1] < 48 else 1
    sheet = tile(rows)
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet)
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    # The bitmap font is part of Pillow and looks the same everywhere: the picture is part of the stage's bytes.
    font = ImageFont.load_default_imagefont()
    margin = 8 + max(int(font.getbbox(title)[2]) for title in titles)
    labelled = Image.new(picture.mode, (margin + picture.width, picture.height), "white")
    labelled.paste(picture, (margin, 0))
    pen, step = ImageDraw.Draw(labelled), scale * (rows[0].shape[1] + GAP)
    for row, title in enumerate(titles):
        pen.text((2, row * step + step // 2 - 6), title, fill="black", font=font)
    with replace_file(path) as temporary:
        labelled.save(temporary, "PNG", optimize=True)


def _choose_accepted(index: pl.DataFrame) -> dict[int, list[str]]:
    """Up to MOST accepted images of each class that has any, evenly through its rows, by id."""
    kept = index.filter("keep").select("label", "image_id")
    chosen = {}
    for (label,), rows in kept.group_by("label", maintain_order=True):
        places = np.unique(np.arange(MOST) * len(rows) // MOST)
        chosen[int(str(label))] = rows["image_id"].gather(places).to_list()
    return chosen


def _name_scores(results: Results, reason: Reason, rows: pl.DataFrame) -> list[str]:
    """The name of the score by which each row has the reason: that of the first of its rules that the row breaks."""
    rules = [rule for rule in results.rules if rule.reason == reason.name]
    if not rules:
        return [reason.score] * len(rows)
    broken = np.stack([rule.find_broken(rows) for rule in rules])
    return [rules[first].score for first in broken.argmax(axis=0)]


def _read_score(value: Any) -> float | None:
    """A number to print; None where it was not measured, or says no more than the reason itself."""
    return None if value is None or isinstance(value, bool) or not np.isfinite(value) else float(value)


class _Company:
    """Who stands beside a rejected image: the one that it resembles and an accepted one, by id and in words."""

    def __init__(self, accepted: Mapping[int, Sequence[str]], class_names: Sequence[str]) -> None:
        self._accepted, self._names = accepted, class_names
        self._turns: Counter[int] = Counter()

    def gather(self, reason: Reason, row: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Ids with words, the rejected image first; a twin that may not be shown and an accepted one that is not there
        are left out."""
        label = row["label"]
        shown = [(row["image_id"], f"rejected {self._names[label]}")]
        if reason.original is not None and (twin := row[reason.original_column]) is not None:
            split = row["held_out_split"] if reason.original == "held_out" else reason.original
            if split in _TWINS:
                shown.append((twin, f"the {_TWINS[split]} image that it resembles"))
        if accepted := self._accepted.get(label):
            shown.append((accepted[self._turns[label] % len(accepted)], "an accepted one of its class"))
            self._turns[label] += 1
        return shown


def _read_pictures(results: Results, inputs: Mapping[str, Path], ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Generated, training and validation images by id; each file is read once."""
    unique = list(dict.fromkeys(ids))
    generated = results.index.select("image_id", "shard", "row").filter(pl.col("image_id").is_in(unique))
    real = pl.concat(locate_rows(find_shards(inputs["real_images"], split)) for split in ("train", "validation"))
    drawn = set(generated["image_id"])
    pictures: dict[str, np.ndarray] = {}
    for stage, located, wanted in (
        ("generated_images", generated, [name for name in unique if name in drawn]),
        ("real_images", real, [name for name in unique if name not in drawn]),
    ):
        images = read_places(inputs[stage], find_places(pl.Series(wanted, dtype=pl.String), located))
        pictures |= dict(zip(wanted, images, strict=True))
    return pictures
