"""`growset verify` on a million images: seconds and memory until every byte, row and link was looked at.

An expansion of 200,000 real and 800,000 generated images of 28 x 28 is made without training anything: its real,
generated, accepted, mixed and published datasets, the latter in DVC's cache and in a remote that is a folder. Verifying
reads each image twice, where it was made and where it is published, and each published byte in cache and remote too. A
tenth of the images goes first, so that the ratio of the two tells whether time is linear.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.million import run_step
from benchmarks.parts.harness import Row, write_result
from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.index import locate_rows, read_index, write_index
from ops.datasets.mixed import read_mixed
from ops.datasets.pixels import PixelDataset, build_rows, read_split, write_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import MANIFEST, PUBLISHED, describe_output, read_manifest
from ops.files.outputs import DATA, GENERATED, INDEX
from ops.files.storage import write_json
from ops.history.dvc_repository import track
from ops.machine.parallel import available_cores
from ops.recipe.fingerprints import stage_fingerprint
from ops.recipe.stages import STAGES
from ops.remotes.transfer import push
from ops.workspaces.workspace import Workspace

COUNTS = (100_000, 1_000_000)
NAME, CLASSES, SIDE = "million", 10, 28
SHARES = {"train": 0.17, "validation": 0.01, "test": 0.02}  # of all images; the rest is generated
STEP = """
from ops.verification.verification import verify
from ops.workspaces.workspace import Workspace
found = verify(Workspace(root), "million", sink=print)
assert not found.findings and found.unreachable is None, found
"""


def run() -> Path:
    """Verify 100,000 and 1,000,000 images, write results/verify.json."""
    rows, seconds = [], {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            root = make_expansion(Path(folder), count)
            seconds[count], peak = run_step(STEP, root)
            rows.append(Row(f"{count:,} images", round(seconds[count], 1), "s"))
            rows.append(Row(f"{count:,} images, memory", round(peak, 2), "GB"))
    few, many = (seconds[count] for count in COUNTS)
    ratios = {"verify_million_seconds": many, "seconds_for_tenfold_images": many / few}
    return write_result("verify", rows, ratios, used_cores=available_cores())


def make_expansion(folder: Path, count: int) -> Path:
    """A workspace with an expansion of `count` images, published and pushed to a remote beside it."""
    root = _make_workspace(folder / "workspace")
    workspace = Workspace(root)
    rng, names = np.random.default_rng(0), tuple(map(str, range(CLASSES)))
    sizes = {split: round(count * share) for split, share in SHARES.items()}
    out = workspace.output(NAME, "real_images")
    for split, size in sizes.items():
        images, labels = _draw(rng, size)
        rows = build_rows(labels, number_repeats(content_ids(images)), split=split)
        write_shards(out, PixelDataset(images, rows, names), prefix=split)
    _describe(workspace, "real_images", {**sizes, "class_names": list(names)})

    images, labels = _draw(rng, count - sum(sizes.values()))
    ids = [f"g0000000-{k:07d}" for k in range(len(images))]
    rows = build_rows(labels, ids, split="train", is_generated=True, rounds=[0] * len(ids), ks=range(len(ids)))
    write_shards(workspace.output(NAME, "generated_images"), PixelDataset(images, rows, names), prefix=GENERATED)
    _describe(workspace, "generated_images", {"images": len(images)})
    del images

    _write_indices(workspace)
    index = read_index(workspace.output(NAME, "mixed_dataset"))
    mixed = read_mixed(index, workspace.output(NAME, "real_images"), workspace.output(NAME, "generated_images"))
    published = workspace.published(NAME)
    weighted = PixelDataset(mixed.images, mixed.rows.with_columns(weight=index["weight"]), names)
    write_shards(published / DATA, weighted, prefix="train")
    for split in ("validation", "test"):
        write_shards(published / DATA, read_split(out, split), prefix=split)
    identity = {"stage": PUBLISHED, "fingerprint": "0" * 64, "inputs": {}}
    write_json(published / MANIFEST, describe_output(published, identity, {**sizes, "train": len(mixed)}))
    push(root, [str(track(root, published))])
    return root


def _make_workspace(root: Path) -> Path:
    """params.yaml, the generated dvc.yaml and a DVC repository with a remote beside it."""
    root.mkdir()
    project = Path(__file__).parents[1]
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copyfile(project / name, root / name)
    (root / "recipes").mkdir()
    shutil.copyfile(project / "recipes" / "smoke.yaml", root / "recipes" / f"{NAME}.yaml")
    versions = "".join(f"  {stage}: 1\n" for stage in STAGES)
    (root / "params.yaml").write_text(
        f"expansions: [{NAME}]\nstage_versions:\n{versions}source_versions: {{{NAME}: none}}\n", encoding="utf-8"
    )
    for command in (
        ["git", "init", "--quiet"],
        [sys.executable, "-m", "dvc", "init", "--quiet"],
        [sys.executable, "-m", "dvc", "remote", "add", "--default", "storage", "../storage"],
    ):
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return root


def _draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images: no two alike, and nothing compresses."""
    return rng.integers(0, 256, (count, SIDE, SIDE, 1), np.uint8), np.arange(count, dtype=np.int64) % CLASSES


def _write_indices(workspace: Workspace) -> None:
    columns = ["image_id", "shard", "row", "label"]
    drawn = locate_rows(find_shards(workspace.output(NAME, "generated_images"), GENERATED)).select(columns)
    accepted = workspace.output(NAME, "accepted_images")
    write_index(accepted / INDEX, drawn.with_columns(keep=pl.lit(True)))
    _describe(workspace, "accepted_images", {})
    train = locate_rows(find_shards(workspace.output(NAME, "real_images"), "train")).select(columns)
    index = pl.concat([
        train.with_columns(is_generated=pl.lit(False), weight=pl.lit(10.0)),
        drawn.with_columns(is_generated=pl.lit(True), weight=pl.lit(1.0)),
    ])  # fmt: skip
    write_index(workspace.output(NAME, "mixed_dataset") / INDEX, index)
    _describe(workspace, "mixed_dataset", {})


def _describe(workspace: Workspace, stage: str, metrics: dict[str, Any]) -> None:
    """A manifest that follows from the inputs that are there; of stages that are not it names a content of its own."""
    inputs = {}
    for name in STAGES[stage].inputs:
        folder = workspace.output(NAME, name)
        inputs[name] = read_manifest(folder)["content"] if (folder / MANIFEST).exists() else "0" * 64
    identity = {
        "stage": stage,
        "version": 1,
        "fingerprint": stage_fingerprint(stage, 1, {}, inputs),
        "settings": {},
        "inputs": inputs,
    }
    folder = workspace.output(NAME, stage)
    write_json(folder / MANIFEST, describe_output(folder, identity, metrics))
