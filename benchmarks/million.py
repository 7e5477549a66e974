"""A million images of 28 x 28 through import, split, storage, reading, comparing and exporting: seconds and memory.

Each step runs in a process of its own, whose peak memory is the operating system's figure; a tenth of the images
goes first, so that the ratio of the two tells whether time is linear.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.parts.harness import Row, write_result
from ops.files.outputs import CARD, VERDICT
from ops.machine.parallel import available_cores

COUNTS = (100_000, 1_000_000)
FORMATS = ("npz", "huggingface")
PRELUDE = """
import resource, sys, time
from pathlib import Path
started = time.perf_counter()
root = Path(sys.argv[1])
"""
EPILOGUE = """
import json
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([time.perf_counter() - started, peak]))
"""
STEPS = {
    "import, split and write": """
from ops.datasets.pixels import write_shards
from ops.sources.reading import read_source
from ops.sources.spec import SourceSpec
spec = SourceSpec(name="million", kind="npz", path=str(root / "source.npz"), licence="MIT",
                  split={"validation": 0.05, "test": 0.1})
splits = read_source(spec).splits
for name in list(splits):
    write_shards(root / "published" / "data", splits.pop(name), prefix=name)
""",
    "read all pixels": """
from ops.datasets.pixels import read_split
assert read_split(root / "published" / "data", "train").images.shape[1:] == (28, 28, 1)
""",
    "compare two versions": """
import polars as pl
from ops.history.comparison import compare_rows
from ops.datasets.pixels import read_rows
rows = read_rows(sorted((root / "published" / "data").glob("*.parquet")))
rows = rows.with_columns(pl.col("label").cast(pl.String).alias("class")).select(
    "image_id", "split", "is_generated", "weight", "class")
found = compare_rows(rows.head(rows.height * 9 // 10), rows.tail(rows.height * 9 // 10))
assert found["added"].sum() == found["removed"].sum() > 0
""",
    **{
        f"export to {name}": f"""
from ops.exports.exporting import export_dataset
export_dataset(root / "published", root / "{name}", "{name}")
"""
        for name in FORMATS
    },
}


def run() -> Path:
    """Measure 100,000 and 1,000,000, write results/million.json."""
    rows, totals = [], {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            write_source(root / "source.npz", count)
            totals[count] = 0.0
            for step, code in STEPS.items():
                seconds, peak = run_step(code, root)
                totals[count] += seconds
                rows.append(Row(f"{count:,}: {step}", round(seconds, 1), "s"))
                rows.append(Row(f"{count:,}: {step}, memory", round(peak, 2), "GB"))
                if step == "import, split and write":
                    describe(root / "published")
            files = len(list((root / "published" / "data").iterdir()))
            rows.append(Row(f"{count:,}: files of a version", files + 3, "files"))
    few, many = (totals[count] for count in COUNTS)
    return write_result("million", rows, {"seconds_for_tenfold_images": many / few}, used_cores=available_cores())


def write_source(path: Path, count: int) -> None:
    """Random images: no two alike, and nothing compresses."""
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
    np.savez(path, image=images, label=np.arange(count, dtype=np.int64) % 10)


def describe(folder: Path) -> None:
    """What makes the written shards a published dataset: card, verdict and manifest."""
    from ops.files.manifests import MANIFEST, describe_output
    from ops.files.storage import write_json

    (folder / CARD).write_text("---\nlicense: mit\n---\n\n# million\n", encoding="utf-8")
    write_json(folder / VERDICT, {"decision": "no evidence"})
    identity = {"stage": "published_dataset", "fingerprint": "0" * 64, "inputs": {}}
    write_json(folder / MANIFEST, describe_output(folder, identity, {}))


def run_step(code: str, root: Path) -> tuple[float, float]:
    """Seconds and peak gigabytes of a step."""
    command = [sys.executable, "-c", PRELUDE + code + EPILOGUE, str(root)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, stdout=subprocess.PIPE, text=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak
