"""Draw images from a generator into a new folder, in any export format: no recipe, no stage, no filter.

The folder appears complete by one rename, or not at all; the next run to the same target deletes what a crash left.
The same generator and seed give the same image k of a class, however many images are drawn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.datasets.shards import find_shards
from ops.drawing.assembly import Assembly
from ops.drawing.drawing import Drawing
from ops.drawing.inspection import inspect_folder, inspect_sampler
from ops.drawing.pieces import Draws
from ops.errors import UserError
from ops.exports.exporting import check_target, staged
from ops.exports.formats import FORMATS
from ops.exports.published import Published
from ops.files.hashing import hash_file
from ops.files.storage import write_text
from ops.generators.drawers import SamplerInfo
from ops.generators.feeds import IMAGE
from ops.generators.onnx.engine import OnnxFile, choose_provider
from ops.generators.units import list_classes
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import suggest

PARQUET = "parquet"
DRAWN_FORMATS = (PARQUET, *(name for name, form in FORMATS.items() if not form.is_parquet))


@dataclass(frozen=True)
class Drawn:
    """The written dataset: images by class, number of files, their bytes, and the seconds that drawing took."""

    folder: Path
    format: str
    classes: dict[str, int]
    provider: str
    files: int
    bytes: int
    seconds: float


def draw_dataset(
    generator: Path, target: Path, *, count: int, labels: Sequence[str], seed: int, form: str, runtime: Runtime
) -> Drawn:
    """Write `count` images of the classes `labels` (empty: all) to the new or empty folder `target`.

    `generator` is a generator's folder or a sampler file. Raises, before anything is drawn, UserError for an invalid
    count, class, format, target or generator, and EnvironmentFault for a provider that is not available.
    """
    if form not in DRAWN_FORMATS:
        raise UserError(f"there is no format '{form}'; there are: {', '.join(DRAWN_FORMATS)}")
    if count < 1:
        raise UserError(f"--count must be at least 1; got {count}")
    if seed < 0:
        raise UserError(f"--seed must be at least 0; got {seed}")
    generator, target = generator.resolve(), target.resolve()
    check_target(target, generator)
    sampler = inspect_folder(generator) if generator.is_dir() else generator
    info = inspect_sampler(sampler)
    if IMAGE in info.inputs:
        raise UserError(
            f"{sampler} makes variants of seed images, and this command takes no seed images; use it in a recipe"
        )
    draws = Draws(list_classes(info.class_names), share_out(count, labels, info.class_names))
    channels, height, width = info.shape
    if channels not in (1, 3):
        raise UserError(f"{sampler} draws images of {channels} channels; allowed: 1 and 3")
    shape = (height, width, channels)
    provider = choose_provider(runtime.provider, allow_fallback=runtime.allow_cpu_fallback)
    drawn_by = hash_file(sampler)
    counts = {"train": count}
    if form != PARQUET:
        FORMATS[form].check(Published(target, info.class_names, shape, {}, counts, "all"))
    with staged(target, generator) as folder:
        parquet = (folder if form == PARQUET else folder.parent / PARQUET) / "data"
        prefix = "g" + hashlib.sha256(f"{drawn_by}/{seed}".encode()).hexdigest()[:8]
        assembly = Assembly(draws, shape, info.class_names, folder.parent / "pieces", parquet, prefix, "train")
        seconds = Drawing(assembly, OnnxFile(sampler), seed, runtime).run()
        if form != PARQUET:
            shards = {"train": find_shards(parquet, "train")}
            FORMATS[form].write(Published(target, info.class_names, shape, shards, counts, "all"), folder)
        classes = {name: n for name, n in zip(info.class_names, draws.counts, strict=True) if n}
        write_text(folder / "README.md", write_card(info, classes, seed, drawn_by, provider, form))
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return Drawn(target, form, classes, provider, len(sizes), sum(sizes), seconds)


def share_out(count: int, labels: Sequence[str], class_names: Sequence[str]) -> tuple[int, ...]:
    """Images for each class, equal to within one; the first of the wanted classes get one more.

    `labels` are class names, each once; empty means all. UserError for a name that is not a class, or is given twice.
    """
    for name in labels:
        if name not in class_names:
            raise UserError(f"'{name}' is not a class of this generator; {suggest(name, list(class_names))}")
        if list(labels).count(name) > 1:
            raise UserError(f"--label {name} is given more than once; name each class once")
    wanted = [name for name in class_names if not labels or name in labels]
    each, more = divmod(count, len(wanted))
    return tuple(each + (wanted.index(name) < more) if name in wanted else 0 for name in class_names)


def write_card(info: SamplerInfo, classes: dict[str, int], seed: int, drawn_by: str, provider: str, form: str) -> str:
    """The text of README.md: what the images are and how they were drawn; equal draws give equal cards."""
    channels, height, width = info.shape
    head = ""
    if form == PARQUET:  # `datasets.load_dataset` reads it to find the images
        head = "---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: train, path: data/train-*}\n---\n\n"
    how = f", {info.solver}, {info.steps} steps" if info.solver else ""
    return (
        f"{head}# Generated images\n\n"
        f"{sum(classes.values())} images of {height}x{width}x{channels}, all of them generated and none filtered.\n\n"
        f"- sampler: sha256 {drawn_by}{how}\n- seed: {seed}\n- provider: {provider}, {info.precision}\n"
        f"- images by class: {json.dumps(classes, ensure_ascii=False)}\n"
    )
