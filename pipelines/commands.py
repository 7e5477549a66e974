"""What the longer commands of `growset` do: run, materialize, pull, ui."""

import os
import sys
import time
from pathlib import Path

import click

from ops.chain.running import Chain, validate
from ops.errors import EnvironmentFault
from ops.recipe.stages import PUBLISHED, STAGES
from ops.stage import Runtime
from ops.storage import read_json
from ops.versioning import address, changed_stages, pull, stage_addresses
from ops.workspace import Workspace, check_stage_name
from pipelines.instance import prepare_home

PULLS = {
    "real": ("real_images",),
    "accepted": ("generated_images", "accepted_images"),
    "mixed": ("real_images", "generated_images", "mixed_dataset"),
}


def run_expansion(workspace: Workspace, expansion: str, runtime: Runtime) -> None:
    """Ask DVC once what is not current; run that, and publish. Nothing to do costs seconds."""
    started = time.monotonic()
    recipe = validate(workspace, expansion)
    from ops.chain.real import source_content
    from ops.publishing import is_published

    content = source_content(workspace, recipe)
    if content != workspace.source_version(expansion):
        workspace.edit_params(source_versions={expansion: content})
    changed = changed_stages(workspace.root, stage_addresses(expansion))
    stale = [stage for stage in STAGES if address(stage, expansion) in changed]
    if not stale and is_published(workspace, expansion, recipe):
        click.echo(f"{expansion}: unchanged")
    else:
        click.echo(f"{expansion}: {len(stale)} of {len(STAGES)} stages to bring up to date")
        _materialize(Chain(workspace, runtime), expansion, downstream(stale))
    show_result(workspace, expansion, time.monotonic() - started)


def downstream(stale: list[str]) -> list[str]:
    """The stale stages and all that depend on them, in order, and publication."""
    selected = set(stale)
    for name, stage in STAGES.items():
        if selected.intersection(stage.inputs):
            selected.add(name)
    return [name for name in STAGES if name in selected] + [PUBLISHED]


def materialize_stage(workspace: Workspace, stage: str, expansion: str, runtime: Runtime) -> None:
    """One asset with its checks."""
    if stage != PUBLISHED:
        check_stage_name(stage)
    validate(workspace, expansion)
    _materialize(Chain(workspace, runtime), expansion, [stage])


def _materialize(chain: Chain, expansion: str, assets: list[str]) -> None:
    from pipelines.running import materialize_assets

    def report_check(name: str, passed: bool, sentence: str) -> None:
        if not passed:
            click.echo(f"  check failed: {name}: {sentence}", err=True)

    materialize_assets(chain, expansion, assets, report_check)


def show_result(workspace: Workspace, expansion: str, seconds: float) -> None:
    """The verdict and the table of arms, from the outputs on disk."""
    verdict = read_json(workspace.output(expansion, "verdict") / "verdict.json")
    click.echo()
    for row in verdict["arms"]:
        accuracy = row["accuracy"]
        alias = f"  (= {row['same_as']})" if row["same_as"] else ""
        click.echo(
            f"  {row['arm']:<22} {accuracy['estimate']:7.2%}  [{accuracy['low']:.2%}, {accuracy['high']:.2%}]{alias}"
        )
    click.echo(f"\n{verdict['sentence']}")
    click.echo(f"report: {workspace.output(expansion, 'report') / 'report.html'}")
    click.echo(f"{seconds:.1f} seconds")


def pull_expansion(workspace: Workspace, expansion: str, only: str | None) -> None:
    """Fetch the outputs of an expansion, or one dataset, and check them out."""
    workspace.load_recipe(expansion)
    pointer = workspace.published(expansion).with_suffix(".dvc")
    if only == "published":
        targets = [str(pointer)]
    elif only:
        targets = [address(stage, expansion) for stage in PULLS[only]]
    else:
        targets = stage_addresses(expansion) + ([str(pointer)] if pointer.exists() else [])
    pull(workspace.root, targets)
    click.echo(f"{expansion}: {'everything' if only is None else only} is here")


def start_ui(workspace: Workspace, port: int) -> None:
    """Replace this process by `dagster dev` on the loopback address."""
    os.environ["DAGSTER_HOME"] = str(prepare_home(workspace))
    os.chdir(workspace.root)
    os.environ["GROWSET_HOME"] = str(workspace.root)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    dagster = Path(sys.executable).with_name("dagster")
    if not dagster.exists():
        raise EnvironmentFault(f"{dagster} does not exist; install dagster-webserver into this environment")
    click.echo(f"Dagster UI: http://127.0.0.1:{port}")
    sys.stdout.flush()
    os.execv(dagster, [str(dagster), "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)])
