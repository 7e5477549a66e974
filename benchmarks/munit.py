"""`kind: munit` against MUNIT as it was published, its files against eager torch, and the minutes until it is usable.

Three parts; `--only` measures some, and the results of the others are kept.

steps: a training step of ours, through the stage's own `learn` with a recipe's default settings, and one of
`benchmarks.parts.published_munit`, with equal widths and batches, in turn. An image is one whose content a step varies:
one branch varies a batch, two branches and the published networks vary two. Rows in fp32 leave the number format out.
The published batch, a single image, has a row of its own. Time on one core is the processor's, so that programs beside
it disturb little; on several it is that of a clock, which they do disturb.

variants: of seed images, in processor time of one core, from untrained networks: eager torch, the exported sampler in
ONNX Runtime, and its two halves, the first of which encodes each seed image once.

usable: the stage `generator` until a checkpoint passes the gate of variants, and until one lies near enough to real
images too (`benchmarks.parts.usable_munit`). The images are Fashion-MNIST in classes of 500 to 5, with a background
drawn for each. All come from the file of training images. One seed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.parts.harness import RESULTS, Row, describe_commit, interleave, use_cores, write_result
from benchmarks.parts.munit_sides import (
    CODED,
    EAGER,
    EAGER_BF16,
    ONNX,
    PUBLISHED,
    SINGLE,
    Shape,
    build_ours,
    build_published,
    describe_branches,
    make_feeds,
    make_untrained,
    open_engines,
    start_sides,
)
from benchmarks.parts.published_munit import WIDTH
from benchmarks.parts.usable_munit import GENERATOR, LAST, SCORER, Usable, train_until_usable
from benchmarks.sources.drawn import Drawn
from benchmarks.sources.fashion import draw_fashion, read_whole
from ops.errors import UserError
from ops.files.storage import read_json
from ops.machine.parallel import available_cores, use_threads
from ops.recipe.munit import MunitSettings
from ops.workspaces.workspace import suggest

BENCHMARK, PARTS = "munit", ("steps", "variants", "usable")
SHAPE, IMAGES = (1, 28, 28), 1_000
SIZES = tuple(MunitSettings(width=width, halvings=2) for width in (32, WIDTH))  # the content halved as published
ROUNDS, SAMPLING_ROUNDS = 5, 9
SEEDS, EACH = 16, 10  # seed images, and variants of each
COUNTS = {"train": 500, "validation": 50, "test": 10}  # images of each class, before the tail is cut
RECIPE: dict[str, Any] = {
    "data": {
        "long_tail": {"law": "zipf", "head": 500, "exponent": 2.0, "floor": 5, "order": "random"},
        "nuisance": "background",
    },
    "generator": {"kind": "munit", "checkpoints": 10},
    "sampler": {"strength": "auto"},
}


@dataclass(frozen=True)
class Found:
    """What a part found; `notes` are plain JSON."""

    rows: list[Row]
    ratios: dict[str, float]
    notes: dict[str, Any] = field(default_factory=dict)


def run(only: Sequence[str] = ()) -> Path:
    """Measure the parts named, or all, and write results/munit.json after each. UserError for an unknown part."""
    for name in only:
        if name not in PARTS:
            raise UserError(f"there is no part '{name}'; {suggest(name, list(PARTS))}")
    measures: dict[str, Callable[[], Found]] = {"steps": measure_steps, "variants": measure_variants}
    if not only or "usable" in only:  # read first, as the files may be missing
        measures["usable"] = partial(measure_usable, draw_fashion(read_whole(), COUNTS, 0))
    for name in [name for name in measures if name in (only or PARTS)]:
        found = measures[name]()
        for row in found.rows:
            _tell(f"{row.name}: {'none,' if row.value is None else f'{row.value:g}'} {row.unit}")
        path = write(name, found)
    return path


def measure_steps(sizes: Sequence[MunitSettings] = SIZES, *, shape: Shape = SHAPE, rounds: int = ROUNDS) -> Found:
    """Milliseconds of a step and of an image with each of the settings, on one core and on all."""
    images = torch.randint(0, 256, (IMAGES, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows, ratios = list[Row](), dict[str, float]()
    for cores in dict.fromkeys((1, available_cores())):
        for settings in sizes:
            where = f"width {settings.width}, {describe_cores(cores)}"
            with use_cores(cores), use_threads(cores), start_sides(settings, images, cores) as sides:
                takes = {name: side.take for name, side in sides.items()}
                clock = time.process_time if cores == 1 else time.perf_counter
                seconds = interleave(takes, repeats=rounds, clock=clock)
            each = {name: seconds[name] / side.images for name, side in sides.items()}
            for name in sides:
                rows.append(Row(f"steps, {where}: {name}", round(1e3 * seconds[name], 1), "ms a step"))
                rows.append(Row(f"steps, {where}: {name}, for each image", round(1e3 * each[name], 2), "ms"))
            for name in sides.keys() - {PUBLISHED, SINGLE}:
                ratios |= {
                    f"munit_step_vs_published: {where}, {name}": seconds[PUBLISHED] / seconds[name],
                    f"munit_image_vs_published: {where}, {name}": each[PUBLISHED] / each[name],
                    f"munit_image_vs_published_batch_of_1: {where}, {name}": each[SINGLE] / each[name],
                }
    parameters = {f"width {settings.width}": count_parameters(settings, shape) for settings in sizes}
    notes = {"batch_size": sizes[0].batch_size, "rounds": rounds, "parameters": parameters}
    return Found(rows, dict(sorted(ratios.items())), notes)


def count_parameters(settings: MunitSettings, shape: Shape) -> dict[str, int]:
    """Trained numbers of each side."""
    networks: dict[str, torch.nn.Module] = {"published": build_published(settings, shape)}
    for branches in (1, 2):
        networks[f"ours, {describe_branches(branches)}"] = build_ours(
            settings.model_copy(update={"branches": branches}), shape
        )
    return {name: sum(each.numel() for each in network.parameters()) for name, network in networks.items()}


def measure_variants(
    settings: MunitSettings = MunitSettings(),  # noqa: B008
    *,
    shape: Shape = SHAPE,
    seeds: int = SEEDS,
    each: int = EACH,
    rounds: int = SAMPLING_ROUNDS,
) -> Found:
    """Variants per second: `each` of so many seed images; encoded once, also one of each of as many as variants."""
    torch.manual_seed(0)
    several, alone = make_feeds(shape, seeds, each), f"{CODED}, 1 of each seed image"
    with use_cores(1), tempfile.TemporaryDirectory() as name:
        engines = open_engines(make_untrained(settings, shape), Path(name))
        sides: dict[str, Callable[[], object]] = {key: partial(draw, several) for key, draw in engines.items()}
        sides[alone] = partial(engines[CODED], make_feeds(shape, seeds * each, 1))
        seconds = interleave(sides, repeats=rounds, clock=time.process_time)
    rates = {name: seeds * each / value for name, value in seconds.items()}
    ratios = {
        "variants_onnx_vs_eager": rates[ONNX] / rates[EAGER],
        "variants_encoded_once_vs_eager": rates[CODED] / rates[EAGER],
        "variants_encoded_once_vs_onnx": rates[CODED] / rates[ONNX],
        "variants_1_of_each_vs_onnx": rates[alone] / rates[ONNX],
    }
    if EAGER_BF16 in rates:
        ratios |= {
            "variants_onnx_vs_eager_bf16": rates[ONNX] / rates[EAGER_BF16],
            "variants_encoded_once_vs_eager_bf16": rates[CODED] / rates[EAGER_BF16],
        }
    rows = [Row(f"variants: {name}", round(rate, 1), "images/s on one core") for name, rate in rates.items()]
    return Found(rows, ratios, {"width": settings.width, "seed_images": seeds, "variants_of_each": each})


def measure_usable(drawn: Drawn, recipe: Mapping[str, Any] = RECIPE) -> Found:
    """The chain's stages on images, in a workspace that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        return describe_usable(train_until_usable(drawn, recipe, Path(folder), _tell))


def describe_usable(found: Usable) -> Found:
    """Minutes and steps until the first checkpoint that is good enough, or that none is; what the stages took."""
    minutes, rows, ratios = f"min on {describe_cores(available_cores())}", list[Row](), dict[str, float]()
    none = f"no checkpoint of {len(found.moments)} does within {found.steps} steps"
    whole = {"the scorer": SCORER, "the whole training": GENERATOR, "the export and its gate": LAST}
    for what, ratio, first in (
        ("passes the gate", "munit_minutes_until_gate", found.first_passed),
        ("passes and lies near enough to real images", "munit_minutes_until_usable", found.first_usable),
    ):
        name = f"usable: training until a checkpoint {what}"
        if first is None:
            rows.append(Row(name, None, none))
            continue
        rows += [Row(name, round(first.minutes, 2), minutes), Row(f"{name}, steps", first.step, f"of {found.steps}")]
        ratios[ratio] = first.minutes
    rows += [Row(f"usable: {name}", round(found.stages[stage] / 60, 2), minutes) for name, stage in whole.items()]
    rows += [
        Row("usable: classes that get variants of the exported generator", found.used, f"of {found.classes}"),
        Row("usable: its way from empty to real images", found.position, f"share, {found.needed} needed"),
    ]
    return Found(rows, ratios, {"moments": [asdict(moment) for moment in found.moments], "gate": found.sentence})


def describe_cores(cores: int) -> str:
    """Such as `2 cores`."""
    return "one core" if cores == 1 else f"{cores} cores"


def write(name: str, found: Found) -> Path:
    """Write a part's results with those that are kept of the others; each part has its own date and commit."""
    path = RESULTS / f"{BENCHMARK}.json"
    kept: dict[str, Any] = read_json(path)["parts"] if path.exists() else {}
    kept[name] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": describe_commit(),
        "rows": [vars(row) for row in found.rows],
        "ratios": found.ratios,
        **found.notes,
    }
    parts = {part: kept[part] for part in PARTS if part in kept}
    rows = [Row(**row) for part in parts.values() for row in part["rows"]]
    ratios = {key: value for part in parts.values() for key, value in part["ratios"].items()}
    return write_result(BENCHMARK, [*rows, Row("on a GPU", None, "not measured")], ratios, parts=parts)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
