"""Makes the Parquet files of this folder from the four IDX files of Fashion-MNIST.

    python examples/fashion-mnist/build.py [--from FOLDER] [--to FOLDER]

Train and validation are 100 images of each class, drawn by a fixed seed from the 60,000 training images; test
is all 10,000 test images. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from pathlib import Path

import numpy as np

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows, write_shard
from ops.errors import DamagedData, UserError

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SEED = 2017
PER_CLASS = 100


def read_idx(path: Path) -> np.ndarray:
    """One gzipped IDX file of unsigned bytes as uint8 of the shape in its header."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; install Debian's dataset-fashion-mnist or give --from")
    with gzip.open(path) as stream:
        content = stream.read()
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DamagedData(f"{path}: magic number {content[:4].hex()}; expected 000008 and the number of axes")
    header = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:header], ">u4").astype(int)
    if len(content) - header != np.prod(shape):
        raise DamagedData(f"{path}: {len(content) - header} bytes of data; expected {np.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def draw_splits(labels: np.ndarray, ids: list[str], barred: set[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ascending indices of train and validation: PER_CLASS of each class, no content twice or in `barred`."""
    generator = np.random.Generator(np.random.Philox(SEED))
    order = generator.permutation(len(labels))
    taken = set(barred)
    chosen: dict[int, list[int]] = {label: [] for label in range(len(CLASS_NAMES))}
    for index in order:
        members = chosen[int(labels[index])]
        if len(members) < 2 * PER_CLASS and ids[index] not in taken:
            members.append(int(index))
            taken.add(ids[index])
    train = sorted(index for members in chosen.values() for index in members[:PER_CLASS])
    validation = sorted(index for members in chosen.values() for index in members[PER_CLASS:])
    return np.array(train), np.array(validation)


def build(source: Path, target: Path) -> list[Path]:
    """Write the three Parquet files and SHA256SUMS into `target`; the answer is their paths."""
    images = read_idx(source / "train-images-idx3-ubyte.gz")[..., np.newaxis]
    labels = read_idx(source / "train-labels-idx1-ubyte.gz")
    test_images = read_idx(source / "t10k-images-idx3-ubyte.gz")[..., np.newaxis]
    test_labels = read_idx(source / "t10k-labels-idx1-ubyte.gz")
    test_ids = content_ids(test_images)
    train, validation = draw_splits(labels, content_ids(images), set(test_ids))
    splits = {
        "train": (images[train], labels[train]),
        "validation": (images[validation], labels[validation]),
        "test": (test_images, test_labels),
    }
    paths = []
    for split, (pixels, classes) in splits.items():
        rows = build_rows(classes, number_repeats(content_ids(pixels)), split=split)
        paths.append(target / f"{split}-00000-of-00001.parquet")
        write_shard(paths[-1], PixelDataset(pixels, rows, CLASS_NAMES))
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(paths)]
    (target / "SHA256SUMS").write_text("".join(sums), encoding="ascii")
    return [*paths, target / "SHA256SUMS"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the Fashion-MNIST example from its IDX files.")
    debian, here = Path("/usr/share/datasets/fashion-mnist"), Path(__file__).parent
    parser.add_argument("--from", dest="source", type=Path, default=debian, help="folder of the 4 .gz files")
    parser.add_argument("--to", dest="target", type=Path, default=here, help="folder to write into")
    options = parser.parse_args()
    try:
        for path in build(options.source, options.target):
            print(f"{path.stat().st_size:>9,} bytes  {path.name}")
    except (UserError, DamagedData) as error:
        parser.exit(error.exit_code, f"{error}\n")


if __name__ == "__main__":
    main()
