"""Dagster's pools: which steps may not run at the same time, over all runs of a workspace.

dagster.yaml lets one step at a time into each pool. A step takes its slot when it starts and gives it back when it
has ended, and never holds two, so pools alone cannot block each other.
"""

import os
import re

from ops.errors import UserError
from ops.files.manifests import PUBLISHED

COMPUTE, GPU, DVC = "compute", "gpu", "dvc"
ON_DEVICE = frozenset(  # the assets that compute on the torch device; the others use the processor's cores
    {
        "training_policy",
        "prior",
        "generator",
        "generated_images",
        "baseline_classifiers",
        "expanded_classifiers",
        "label_curve",
        "folds",
    }
)
VARIABLE = "GROWSET_DEVICE"
CPU, CUDA = "cpu", re.compile(r"cuda(:\d+)?")


def read_device() -> str:
    """The torch device that $GROWSET_DEVICE names, by default the CPU; UserError if it is none that Growset uses."""
    device = os.environ.get(VARIABLE) or CPU
    if device != CPU and not CUDA.fullmatch(device):
        raise UserError(f"{VARIABLE} is {device!r}; allowed: cpu, cuda and cuda:N")
    return device


def find_pool(asset: str, device: str) -> str:
    """The pool of an asset where chains compute on this torch device."""
    if asset == PUBLISHED:
        return DVC  # they go one after another to the remote and to git
    return GPU if asset in ON_DEVICE and CUDA.fullmatch(device) else COMPUTE
