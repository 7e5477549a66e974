"""The exported sampler beside the images that it drew, where these are variants: classifiers may draw more of them.

The stage that trains them reads the images' folder and no generator, so what draws is kept there, as links.
"""

from __future__ import annotations

from pathlib import Path

from ops.files.storage import link_file
from ops.generators.drawers import DrawerSpec
from ops.generators.folder import CONFIG, NET, WEIGHTS
from ops.generators.registry import find_drawer

FOLDER = "sampler"


def keep_sampler(generator_onnx: Path, generated: Path) -> None:
    """Link all graphs that draw, and the description of the generator, into the folder of its images.

    A generator that was exported without a graph draws in torch: its trained weights, if it has some, are linked.
    """
    graphs = sorted(generator_onnx.glob("*.onnx")) or sorted(generator_onnx.glob(WEIGHTS))
    for path in (generator_onnx / CONFIG, *graphs):
        if path.name != NET:  # the network alone does not draw
            link_file(path, generated / FOLDER / path.name)


def find_kept_sampler(generated: Path) -> DrawerSpec:
    """The drawer that `keep_sampler` kept; DamagedData if there is none."""
    return find_drawer(generated / FOLDER)
