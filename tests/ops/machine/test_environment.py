"""The environment in a manifest: instructions and their limits, compared with the system and the libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ops.machine import environment
from ops.machine.environment import INSTRUCTIONS, describe_environment, processor_instructions
from ops.machine.parallel import count_threads
from ops.stages.materialization import Runtime, StageRun, materialize, read_manifest
from ops.workspaces.workspace import Workspace

ROOT = Path(__file__).parents[3]


def test_instructions_are_those_that_torch_finds() -> None:
    found = processor_instructions()
    if not found:
        pytest.skip("this system does not tell the processor's instructions")
    assert ("avx2" in found) == torch.cpu._is_avx2_supported()
    assert ("avx512_bf16" in found) == torch.cpu._is_avx512_bf16_supported()
    assert ("amx_tile" in found) == torch.cpu._is_amx_tile_supported()
    assert list(found) == [name for name in INSTRUCTIONS if name in found]


def test_instructions_are_read_from_cpuinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"flags": "fpu avx2 amx_bf16 vmx avx", "Features": ""}
    monkeypatch.setattr(environment, "_cpuinfo", lambda key: texts[key])
    assert processor_instructions() == ("avx", "avx2", "amx_bf16")
    texts.update({"flags": "", "Features": "fp asimd bf16"})  # on ARM
    assert processor_instructions() == ("asimd", "bf16")


def test_forbidden_instructions_are_recorded_and_change_the_kernels_of_torch() -> None:
    script = (
        "import json, torch; from ops.machine.environment import *;"
        " print(json.dumps([describe_environment(), torch.backends.cpu.get_cpu_capability()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"ATEN_CPU_CAPABILITY": "default", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found, kernels = json.loads(done.stdout)
    assert found["limits"] == {"ATEN_CPU_CAPABILITY": "default"}
    assert kernels == "DEFAULT"
    assert describe_environment()["limits"] != found["limits"]


def test_a_manifest_records_its_environment_and_a_stage_computes_on_its_workers(workspace: Workspace) -> None:
    threads: list[tuple[int, int]] = []

    def build(run: StageRun) -> dict[str, Any]:
        threads.append((count_threads(), torch.get_num_threads()))
        return {}

    outcome = materialize(workspace, "base", "real_images", build, Runtime(workers=3), source="abc")
    assert threads == [(3, 1)]
    assert read_manifest(outcome.folder)["environment"] == json.loads(json.dumps(describe_environment()))
