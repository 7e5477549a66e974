"""Resources: where the workspace is and how to compute, set once per run in the launchpad."""

import multiprocessing
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import dagster as dg
from pydantic import Field

from ops.chain.driver import Chain
from ops.machine.parallel import follow_parent, share_cores
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import find_workspace


class ChainResource(dg.ConfigurableResource):
    """Builds the `Chain` of the assets. Another device or provider may change bits of outputs; other options do not."""

    workspace: str = Field(
        default="", description="workspace folder; empty: $GROWSET_HOME, or the nearest one above this folder"
    )
    device: str = Field(
        default="cpu", description="torch device that generators and classifiers are trained on: cpu, cuda, cuda:1"
    )
    provider: str = Field(default="auto", description="where images are drawn: auto, cpu, cuda")
    allow_cpu_fallback: bool = Field(
        default=False, description="generate on the CPU when CUDA was wanted and is missing"
    )
    workers: int = Field(default=0, ge=0, description="cores to compute on, at most the available ones; 0: all")
    batch_size: int = Field(default=0, ge=0, description="images per call of the sampler; 0: the fastest number here")
    slices: int = Field(default=1, ge=1, description="mapped generation steps: nodes or GPUs")

    def create_resource(self, context: dg.InitResourceContext) -> Chain:
        if isinstance(multiprocessing.current_process(), ForkServerProcess):
            follow_parent()  # else a step's process would outlive its killed run worker and keep the stage locked
        runtime = Runtime(
            device=self.device,
            provider=self.provider,
            allow_cpu_fallback=self.allow_cpu_fallback,
            workers=share_cores(self.workers),
            batch_size=self.batch_size or None,
        )
        return build_chain(Path(self.workspace) if self.workspace else None, runtime, self.slices)


def build_chain(folder: Path | None, runtime: Runtime, slices: int = 1) -> Chain:
    """A chain in the given workspace, or the one found from the environment and the current folder."""
    return Chain(find_workspace(Path.cwd(), explicit=folder), runtime, slices)
