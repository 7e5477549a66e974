"""`growset explore` on 100,000 and 1,000,000 images: seconds to write the page, its bytes, and how fast it answers.

Images are 28 x 28: those of the example, moved at random, so that they compress as real ones do. Their scores are
drawn. The page is opened in Debian's Chromium (`make test-browser` installs it) from its file, with an empty cache.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.million import run_step
from benchmarks.parts.harness import Row, write_result
from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.index import locate_rows, write_index
from ops.datasets.pixels import PixelDataset, build_rows, read_split, write_shards
from ops.exploring.page import STAGES, START
from ops.files.manifests import MANIFEST, describe_output
from ops.files.outputs import GENERATED, HELD_OUT_SCORES, PLAN, ROUNDS, RULES
from ops.files.storage import write_json
from ops.filters.reasons import REASONS, SURPLUS
from ops.machine.parallel import available_cores

COUNTS = (100_000, 1_000_000)
EXAMPLE = Path(__file__).parents[1] / "examples" / "fashion-mnist"
CLASSES = 10
SCORES = ("contrast", "structure", "saturation", "label_probability", "label_margin", "typicality", "naturalness",
          "train_distance", "generated_distance", "held_out_distance")  # fmt: skip
REPEATS = 5
STEP = """
from ops.exploring.page import STAGES, write_page
inputs = {stage: root / stage for stage in STAGES}
lines = []
page = write_page(inputs, root / "page", "million", root / "cache", sink=lambda line: lines.append(
    time.perf_counter() - started))
assert not page.reused
assert lines[0] < 2 and max(b - a for a, b in zip(lines, lines[1:])) < 10, lines
"""
QUERIES = {
    "a class and a reason": {"class": "3", "reason": "wrong label", "show": "rejected"},
    "a range of one score": {"typicality": "-0.5..0.5", "show": "accepted,rejected,surplus"},
    "sorted by a score": {"sort": "train_distance", "show": "accepted,rejected,surplus"},
    "an id that contains 99": {"id": "99", "show": "accepted"},
}
DECODE = """
const decode = async () => {  // the sheets of all thumbnails, and a frame in which they are painted
  const sheets = [...document.querySelectorAll('#grid .picture')].map((element) => element.style.backgroundImage)
  await Promise.all([...new Set(sheets)].map((sheet) => {
    const image = new Image()
    image.src = sheet.slice(5, -2)
    return image.decode()
  }))
  await new Promise((next) => requestAnimationFrame(() => setTimeout(next)))
}
"""
FIRST = (
    DECODE
    + """
const done = arguments[arguments.length - 1]
decode().then(() => done(performance.now()))
"""
)
ANSWER = (
    DECODE
    + """
const [address, done] = [arguments[0], arguments[arguments.length - 1]]
explore.readAddress(address)
const started = performance.now()
explore.select(explore.readQuery()).then(async (rows) => {
  const selected = performance.now()
  await explore.showRows(rows, explore.readQuery().sort)
  await decode()
  done([selected - started, performance.now() - started, rows ? rows.length : -1])
})
"""
)


def run() -> Path:
    """Write and open pages of 100,000 and 1,000,000 images, write results/explore.json."""
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    seconds: dict[int, float] = {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            make_outputs(root, count)
            seconds[count], peak = run_step(STEP, root)
            files = [path for path in (root / "page").rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in files)
            rows += [
                Row(f"{count:,} images: write the page", round(seconds[count], 1), "s"),
                Row(f"{count:,} images: memory", round(peak, 2), "GB"),
                Row(f"{count:,} images: size of the page", round(size / 1e6, 1), "MB"),
                Row(f"{count:,} images: files", len(files), "files"),
            ]
            for label, value in measure_page(root / "page" / START, Path(name) / "profile").items():
                rows.append(Row(f"{count:,} images: {label}", round(value), "ms"))
                ratios[f"{label} ({count:,})"] = value
    few, many = (seconds[count] for count in COUNTS)
    found = {
        "explore_seconds_per_100000": many / (COUNTS[1] / 100_000),
        "explore_first_page_ms": ratios[f"first page ({COUNTS[1]:,})"],
        "explore_slowest_filter_ms": max(ratios[f"{query} ({COUNTS[1]:,})"] for query in QUERIES),
        "seconds_for_tenfold_images": many / few,
    }
    return write_result("explore", rows, found, used_cores=available_cores())


def measure_page(page: Path, profile: Path) -> Mapping[str, float]:
    """Milliseconds until the first page's pictures are there, and medians of each query when its columns are loaded;
    the first time of each includes loading them."""
    from tests.browser.chromium import View, open_chromium

    found: dict[str, float] = {}
    with open_chromium(profile) as chromium:
        chromium.show(page, View(1280, "light"))
        chromium.wait("return document.documentElement.dataset.ready")
        found["first page"] = chromium.ask_later(FIRST)
        for name, query in QUERIES.items():
            address = "#" + "&".join(f"{key}={value}" for key, value in query.items())
            times: list[list[float]] = [chromium.ask_later(ANSWER, address) for _ in range(1 + REPEATS)]
            assert 0 < times[0][2] < 1_000_000, (name, times)
            found[f"{name}, first time"] = times[0][1]
            found[name] = float(np.median([time[1] for time in times[1:]]))
    return found


def make_outputs(root: Path, count: int) -> None:
    """Folders of STAGES with manifests: the example's images as real ones, `count` images in all."""
    rng = np.random.default_rng(0)
    train, validation = (read_split(EXAMPLE, split) for split in ("train", "validation"))
    names = tuple(map(str, range(CLASSES)))
    for split, dataset in (("train", train), ("validation", validation)):
        ids = number_repeats(content_ids(dataset.images))
        rows = build_rows(dataset.labels, ids, split=split)
        write_shards(root / "real_images", PixelDataset(dataset.images, rows, names), prefix=split)
    drawn = count - len(train) - len(validation)
    chosen = rng.integers(0, len(train), drawn)
    images = np.empty((drawn, *train.images.shape[1:]), np.uint8)
    for shift in range(-3, 4):
        here = rng.integers(-3, 4, drawn) == shift
        images[here] = np.roll(train.images[chosen[here]], shift, axis=2)
    labels = train.labels[chosen]
    ids = [f"g0000000-{k:07d}" for k in range(drawn)]
    rows = build_rows(labels, ids, split="train", is_generated=True, rounds=[0] * drawn, ks=range(drawn))
    shards = write_shards(root / "generated_images", PixelDataset(images, rows, names), prefix=GENERATED)
    del images
    _write_filters(root, locate_rows(shards), train, validation, rng)
    for stage in STAGES:
        identity = {"stage": stage, "version": 1, "fingerprint": "0" * 64, "settings": {}, "inputs": {}}
        write_json(root / stage / MANIFEST, describe_output(root / stage, identity, {}))


def _write_filters(
    root: Path, located: pl.DataFrame, train: PixelDataset, validation: PixelDataset, rng: np.random.Generator
) -> None:
    """index, rules, rounds and held-out scores: 77 % are accepted, 6 % rejected, 17 % surplus."""
    drawn, accepted, plan = len(located), root / "accepted_images", root / "expansion_plan"
    train_ids, held_ids = (number_repeats(content_ids(dataset.images)) for dataset in (train, validation))
    reasons: list[list[str]] = [[], [SURPLUS], *([reason] for reason in REASONS)]
    shares = np.array([0.77, 0.17, *([0.06 / len(REASONS)] * len(REASONS))])
    outcome = rng.choice(len(reasons), drawn, p=shares)

    def draw_scores(size: int) -> dict[str, Any]:
        return {name: rng.normal(0, 1, size).astype(np.float32) for name in SCORES}

    index = located.with_columns(
        keep=pl.Series(outcome == 0),
        reasons=pl.Series([reasons[place] for place in outcome], dtype=pl.List(pl.String)),
        predicted=pl.Series(rng.integers(0, CLASSES, drawn)),
        nearest_train_id=pl.Series(np.array(train_ids)[rng.integers(0, len(train), drawn)]),
        nearest_generated_id=located["image_id"].shift(1),
        nearest_held_out_id=pl.Series(np.array(held_ids)[rng.integers(0, len(validation), drawn)]),
        held_out_split=pl.Series(np.where(rng.random(drawn) < 0.3, "validation", "test")),
        round=pl.lit(0, pl.Int32),
        **{name: pl.Series(values) for name, values in draw_scores(drawn).items()},
    )
    write_index(accepted / "index.parquet", index)
    held_out = pl.DataFrame({"image_id": held_ids, "label": validation.labels, **draw_scores(len(validation))})
    held_out.write_parquet(accepted / HELD_OUT_SCORES)
    rule = {
        "reason": "atypical", "score": "typicality", "side": "below", "thresholds": [-2.0] * CLASSES,
        "calibrated": True, "calibration_images": [25] * CLASSES, "real_rejected": [0.01] * CLASSES,
        "pooled": [False] * CLASSES,
    }  # fmt: skip
    write_json(accepted / RULES, {"rules": [rule]})
    counts = np.bincount(located["label"].to_numpy(), minlength=CLASSES).tolist()
    write_json(accepted / ROUNDS, {"rounds": [{"drawn": counts, "accepted": counts}], "stopped": ["quota"] * CLASSES})
    entries = [
        {"name": str(label), "real": 100, "wanted": n, "drawn": n, "limit": 4 * n} for label, n in enumerate(counts)
    ]
    totals = {key: sum(entry[key] for entry in entries) for key in ("wanted", "drawn", "limit")}
    plan.mkdir(parents=True)
    write_json(plan / PLAN, {**totals, "rounds": 5, "classes": entries})
