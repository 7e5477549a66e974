"""Options and completions that several commands of `growset` share."""

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ops.errors import GrowsetError
from ops.recipe.changes import parse_changes
from ops.workspaces.workspace import find_workspace

MOST_SIDE = 512  # pixels that `growset init --size` takes


def complete_active(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Names of active expansions that start with the typed text."""
    return [name for name in _complete_from(context, active=True) if name.startswith(typed)]


def complete_recipe(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Names of recipes that start with the typed text."""
    return [name for name in _complete_from(context, active=False) if name.startswith(typed)]


def complete_study(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Names of the workspace's studies that start with the typed text."""
    from ops.study.design import list_studies

    try:
        workspace = find_workspace(Path.cwd(), explicit=context.find_root().params.get("workspace"))
    except GrowsetError:
        return []
    return [name for name in list_studies(workspace) if name.startswith(typed)]


def _complete_from(context: click.Context, *, active: bool) -> list[str]:
    try:
        workspace = find_workspace(Path.cwd(), explicit=context.find_root().params.get("workspace"))
        return workspace.expansions if active else workspace.available_recipes()
    except GrowsetError:
        return []  # outside a workspace there is nothing to complete, and a completion cannot show a message


class BatchSize(click.ParamType):
    """A whole number of at least 1, or `auto`, which becomes None."""

    name = "auto or integer"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int | None:
        if value is None or value == "auto":
            return None
        try:
            size = int(value)
        except ValueError:
            size = 0
        if size < 1:
            self.fail(f"{value!r} is neither a whole number of at least 1 nor 'auto'", parameter, context)
        return size


DEVICE = click.option(
    "--device",
    default="cpu",
    show_default=True,
    envvar="GROWSET_DEVICE",
    show_envvar=True,
    help="torch device that generators and classifiers are trained on; the scorer trains on the CPU's cores.",
)
GENERATION = (
    click.option(
        "--provider",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where images are drawn: by ONNX Runtime, or by torch where a generator has no graph.",
    ),
    click.option("--allow-cpu-fallback", is_flag=True, help="Generate on the CPU when CUDA is missing."),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Cores to compute on; default and maximum: as many as affinity, cgroup and OMP_NUM_THREADS allow.",
    ),
    click.option(
        "--batch-size",
        type=BatchSize(),
        default="auto",
        show_default=True,
        help="Images per call of the sampler; auto: the fastest number on this machine.",
    ),
)


def runtime_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of hardware and speed. Another device or provider may change bits of outputs; other options do not."""
    return DEVICE(generation_options(command))


def generation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Those of these options that also matter where nothing is trained."""

    @wraps(command)
    def with_runtime(
        *args: Any,
        provider: str,
        allow_cpu_fallback: bool,
        workers: int | None,
        batch_size: int | None,
        device: str = "cpu",
        **kwargs: Any,
    ) -> Any:
        from ops.machine.parallel import share_cores
        from ops.stages.materialization import Runtime
        from pipelines.cli.terminal import progress_sink

        with progress_sink(to_stderr=kwargs.get("as_json", False)) as sink:
            runtime = Runtime(
                device=device,
                provider=provider,
                allow_cpu_fallback=allow_cpu_fallback,
                workers=share_cores(workers),
                batch_size=batch_size,
                sink=sink,
                report_every=1.0 if sys.stdout.isatty() else 30.0,
            )
            finish = command(*args, runtime=runtime, **kwargs)
        if finish:  # prints the result after the progress line is gone
            finish()

    for option in reversed(GENERATION):
        with_runtime = option(with_runtime)
    return with_runtime


def _parse_set(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> Mapping[str, Any]:
    return parse_changes(texts)


def set_option(help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --set of commands that read a recipe; the command gets its values as `changes`, by dotted key."""
    return click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", callback=_parse_set, help=help)


LOOK = set_option(
    "Look at the recipe with this change, such as generator.steps=800; repeatable. The file stays as it is."
)
WRITE = set_option("Write this change into the recipe first, such as generator.steps=800; repeatable.")

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, for scripts.")
