"""Precision: `auto` for every combination of hardware features; an explicit choice is never changed."""

from __future__ import annotations

import pytest
import torch

from ops.machine.precision import resolve_precision


def pretend(monkeypatch: pytest.MonkeyPatch, *, amx: bool = False, avx512: bool = False, cuda: bool = False) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: cuda)


@pytest.mark.parametrize(
    ("amx", "avx512", "expected"),
    [(False, False, "fp32"), (True, False, "bf16"), (False, True, "bf16"), (True, True, "bf16")],
)
def test_auto_is_bf16_only_where_the_processor_multiplies_it(
    amx: bool, avx512: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, amx=amx, avx512=avx512, cuda=not amx)
    assert resolve_precision("auto") == expected
    assert resolve_precision("auto", "cpu") == expected


@pytest.mark.parametrize(("cuda", "expected"), [(False, "fp32"), (True, "bf16")])
def test_on_cuda_auto_depends_on_the_device_and_not_the_processor(
    cuda: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, amx=not cuda, cuda=cuda)
    for device in ("cuda", "cuda:1"):
        assert resolve_precision("auto", device) == expected


@pytest.mark.parametrize("able", [False, True])
@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_an_explicit_choice_is_kept(wanted: str, able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, amx=able, avx512=able, cuda=able)
    for device in ("cpu", "cuda"):
        assert resolve_precision(wanted, device) == wanted


def test_the_torch_functions_still_exist() -> None:
    assert resolve_precision("auto") in ("fp32", "bf16")
