"""The command `growset bench`: a benchmark of a clone, found by its name in the folder of benchmarks."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ops.errors import UserError
from ops.files.shipped import CODE, is_clone

BENCHMARKS = CODE / "benchmarks"


class BenchmarkName(click.ParamType):
    """A file in the folder of benchmarks, or a folder there with a `bench.py`; listed only when needed."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> str:
        if value not in (known := self.list_known()):
            self.fail(f"there is no benchmark '{value}'; there are: {', '.join(known)}", param, context)
        return value

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in self.list_known() if name.startswith(incomplete)]

    def list_known(self) -> list[str]:
        files = [path.stem for path in BENCHMARKS.glob("[!_]*.py")]
        return sorted([*files, *(path.parent.name for path in BENCHMARKS.glob("*/bench.py"))])


@click.command()
@click.argument("name", type=BenchmarkName())
@click.option("--only", multiple=True, metavar="PART", help="This part alone; may be repeated.")
@click.option("--until", metavar="STAGE", help="Run no stage of the chain after this one.")
@click.option(
    "--stop-after",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Stop then; the next call goes on.",
)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Where its work is kept.")
@click.option("--queued", type=click.IntRange(min=1), metavar="RUNS", help="Launch so many runs in the UI as well.")
def bench(name: str, **options: Any) -> None:
    """Run a benchmark of a clone and write benchmarks/results/NAME.json. Options are for benchmarks that have them."""
    from importlib import import_module
    from inspect import signature

    if not is_clone():
        raise UserError("benchmarks measure a clone of Growset's repository; this Growset is installed without one")
    package = BENCHMARKS.name
    run = import_module(f"{package}.{name}" if (BENCHMARKS / f"{name}.py").exists() else f"{package}.{name}.bench").run
    given = {option: value for option, value in options.items() if value}
    if unknown := [option for option in given if option not in signature(run).parameters]:
        raise click.UsageError(f"the benchmark '{name}' has no option --{unknown[0].replace('_', '-')}")
    click.echo(run(**given).read_text(encoding="utf-8"))
