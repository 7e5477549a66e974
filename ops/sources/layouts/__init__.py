"""The layouts of sources, by the `kind:` of the description. To add a layout, add one file and one line here."""

from ops.sources.layouts import (
    cifar,
    dataset_zip,
    folder,
    gtsrb,
    idx,
    metadata,
    npz,
    parquet,
    tiny_imagenet,
    webdataset,
)
from ops.sources.listing import Layout

# In the order in which `growset init` tries them: special layouts before general ones.
LAYOUTS: dict[str, Layout] = {
    "tiny-imagenet": tiny_imagenet.LAYOUT,
    "gtsrb": gtsrb.LAYOUT,
    "cifar": cifar.LAYOUT,
    "idx": idx.LAYOUT,
    "npz": npz.LAYOUT,
    "zip": dataset_zip.LAYOUT,
    "webdataset": webdataset.LAYOUT,
    "metadata": metadata.LAYOUT,
    "parquet": parquet.LAYOUT,
    "folder": folder.LAYOUT,
}
PACKED_KINDS = ("npz", "zip", "webdataset")  # in archives
