"""The command `growset generate`: images from a generator alone, inside a workspace or without one."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ops.errors import UserError
from ops.machine.durations import describe_duration
from ops.workspaces.workspace import Workspace
from pipelines.cli.options import as_json, generation_options


@click.command()
@click.argument("generator")
@click.option("--count", required=True, type=int, help="Total number of images, spread evenly over the classes.")
@click.option("--label", "labels", multiple=True, metavar="CLASS", help="A class by name; repeatable. Default: all.")
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same images.")
@click.option(
    "--out",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="A new or empty folder; no file is replaced.",
)
@click.option(
    "--format", "form", default="parquet", show_default=True, metavar="FORMAT",
    help="parquet, folder, fiftyone, webdataset, zip or npz.",
)  # fmt: skip
@as_json
@generation_options
@click.pass_obj
def generate(
    open_workspace: Callable[[], Workspace],
    generator: str,
    count: int,
    labels: tuple[str, ...],
    seed: int,
    folder: Path,
    form: str,
    as_json: bool,
    runtime: Any,
) -> Callable[[], None]:
    """Draw labelled images from GENERATOR: its folder, a sampler .onnx file, or an expansion that has trained one.

    The images are not filtered; to make a dataset for training, use `growset run`.
    """
    from ops.drawing.drawn_dataset import draw_dataset

    path = find_generator(generator, open_workspace)
    drawn = draw_dataset(path, folder, count=count, labels=labels, seed=seed, form=form, runtime=runtime)

    def show() -> None:
        if as_json:
            click.echo(json.dumps({**asdict(drawn), "folder": str(drawn.folder)}))
            return
        for name, images in drawn.classes.items():
            click.echo(f"  {name:<12} {images:>9,} images")
        size = f"{drawn.files:,} file{'s' * (drawn.files != 1)}, {drawn.bytes / 1e6:,.1f} MB"
        click.echo(f"{count:,} images in {drawn.folder}, {size}, drawn in {describe_duration(drawn.seconds)}")

    return show


def find_generator(name: str, open_workspace: Callable[[], Workspace]) -> Path:
    """An existing path, or the exported generator of the expansion of this name; UserError if it is neither."""
    path = Path(name)
    if path.exists():
        return path
    if path.name != name or path.suffix == ".onnx":
        raise UserError(f"{name} does not exist; name a generator's folder, a sampler .onnx file, or an expansion")
    try:
        workspace = open_workspace()
    except UserError as error:
        raise UserError(f"{name} is neither a file or folder nor an expansion: {error}") from None
    workspace.load_recipe(name, active=False)
    folder = workspace.output(name, "generator_onnx")
    if not folder.exists():
        raise UserError(f"'{name}' has no generator yet; run: growset materialize generator_onnx {name}")
    return folder
