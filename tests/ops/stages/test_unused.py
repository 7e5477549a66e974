"""Why generators are not used: all or none, and the sentence names the first that has not learnt."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.files.manifests import describe_output
from ops.files.storage import write_json
from ops.stages.refused import list_refused, read_refused
from ops.stages.several import place
from ops.stages.unused import explain_unused, read_unused
from tests.reports import make_usability

IDENTITY = {"stage": "generator_onnx", "version": 1, "fingerprint": "f", "settings": {}, "inputs": {}}


GROWING = ("Bag", "Sandal")


def write_gate(folder: Path, **why: str | None) -> None:
    """A gate that refuses the classes with a reason."""
    classes = [{"name": name, "why": reason} for name, reason in why.items()]
    write_json(folder / "gate.json", {"classes": classes, "sentence": "no class gets variants"})


def write_generators(folder: Path, *positions: float) -> Path:
    for number, position in enumerate(positions):
        write_json(place(folder, number) / "usability.json", make_usability(position, usable=position >= 0.55))
    write_json(folder / "manifest.json", describe_output(folder, IDENTITY, {}))
    return folder


def test_a_generator_that_has_learnt_is_used(tmp_path: Path) -> None:
    assert explain_unused(write_generators(tmp_path, 0.6), GROWING) is None


def test_one_that_has_not_says_where_its_images_lie(tmp_path: Path) -> None:
    why = "its images lie 12 % of the way from empty to real images; 55 % are needed"
    assert explain_unused(write_generators(tmp_path, 0.12), GROWING) == why


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_several_generators_are_used_together_or_not_at_all(tmp_path: Path, asked: int) -> None:
    folder = write_generators(tmp_path, 0.9, 0.12, 0.8)
    why = explain_unused(place(folder, asked), GROWING)
    assert why is not None and why.startswith(
        "1 of 3 generators has not learnt, and all are used or none; of generator 1 its images lie 12 % of the way"
    )


def test_a_generator_whose_variants_are_refused_for_every_growing_class_is_not_used(tmp_path: Path) -> None:
    folder = write_generators(tmp_path, 0.9)
    write_gate(folder, Bag="why", Sandal=None, Coat="why")
    assert list_refused(folder) == {"Bag": "why", "Coat": "why"}
    assert explain_unused(folder, GROWING) is None, "Sandal grows"
    assert explain_unused(folder, ["Bag"]) == "no class gets variants", "Sandal gets variants, and wants none"
    assert explain_unused(folder, []) is None, "nothing is wanted of it"
    write_gate(folder, Bag="why", Sandal="why", Coat=None)
    assert explain_unused(folder, GROWING) == "no class gets variants"


def test_of_several_generators_none_is_used_if_the_gate_refuses_one(tmp_path: Path) -> None:
    folder = write_generators(tmp_path, 0.9, 0.8)
    write_gate(folder, Bag=None, Sandal=None)
    write_gate(place(folder, 1), Bag="why", Sandal="why")
    why = explain_unused(folder, GROWING)
    assert why is not None and why.endswith("all are used or none; of generator 1 no class gets variants")


def test_what_was_recorded_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "rounds.json", {"rounds": []})
    assert read_unused(tmp_path) is None and read_refused(tmp_path) is None
    write_json(tmp_path / "rounds.json", {"rounds": [], "unused": "why"})
    assert read_unused(tmp_path) == "why"
    write_json(tmp_path / "rounds.json", {"rounds": [], "refused": {"Bag": "why"}})
    assert read_refused(tmp_path) == {"Bag": "why"}
