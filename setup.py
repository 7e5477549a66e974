"""Adds to a wheel the files that a clone has at its root: settings of a workspace, recipes, the example, the docs.

Everything else about the package is in pyproject.toml. `ops/files/shipped.py` finds the files again, in a clone and in
an installation alike.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDER = "growset_files"  # beside the packages; an editable installation has none and uses the clone
PATTERNS = (
    "LICENSE",
    "README.md",
    "params.yaml",
    "dvc.yaml",
    "dagster.yaml",
    "workspace.yaml",
    ".dvcignore",
    ".dvc/config",
    "recipes/*.yaml",
    "sources/*.yaml",
    "docs/*.md",
    "docs/pictures/*.png",
    "docs/pictures/*.svg",
    "examples/fashion-mnist/*",
)


class BuildWithFiles(build_py):
    """Copies the files that match PATTERNS into FOLDER; an error if a pattern matches none."""

    def list_files(self) -> list[str]:
        found = {pattern: sorted(path for path in Path().glob(pattern) if path.is_file()) for pattern in PATTERNS}
        if missing := [pattern for pattern, paths in found.items() if not paths]:
            raise FileNotFoundError(f"no file matches {', '.join(missing)} in {Path().resolve()}")
        return [path.as_posix() for paths in found.values() for path in paths]

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        shutil.rmtree(Path(self.build_lib, FOLDER), ignore_errors=True)  # an earlier build may have left old files
        for name in self.list_files():
            target = Path(self.build_lib, FOLDER, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, target)

    def get_source_files(self) -> list[str]:
        """What a source distribution contains."""
        return [*super().get_source_files(), *self.list_files()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = super().get_outputs(include_bytecode)
        return (
            outputs
            if self.editable_mode
            else outputs + [f"{self.build_lib}/{FOLDER}/{name}" for name in self.list_files()]
        )


setup(cmdclass={"build_py": BuildWithFiles})
