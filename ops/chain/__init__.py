"""The builders of the stages: each reads its inputs' folders, calls the computations and writes its output.

A stage's builder is `build_<stage>` of the module `ops.chain.<stage>`. It takes a `StageRun` and returns metrics (flat,
mostly numbers) for the manifest. Builders are looked up by name, so torch is loaded only for a stage that needs it.
"""

from importlib import import_module

from ops.machine.interruption import shielded
from ops.stages.materialization import Builder


def find_builder(stage: str) -> Builder:
    """The function `build_<stage>` of the stage's module.

    A signal takes effect when the module is loaded: raised while torch is being loaded, it would abort the process.
    """
    with shielded():
        module = import_module(f"ops.chain.{stage}")
    builder: Builder = getattr(module, f"build_{stage}")
    return builder
