"""Two published datasets, and no network for the readers that the exports are opened with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.publications import Case, publish_digits, publish_odd


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def grey(tmp_path: Path) -> Case:
    return publish_digits(tmp_path / "published" / "tiny")


@pytest.fixture
def odd(tmp_path: Path) -> Case:
    return publish_odd(tmp_path / "published" / "odd")
