"""Images that were not imagined as asked, and folds that were imagined in different modes, are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.chain.findings import expansion_does_not_hurt
from ops.chain.parts.modes import describe_mode, explain_mode, tell_mixture
from ops.files.outputs import FOLDS, IMAGINATION, IMAGINATION_FACTS, VERDICT
from ops.files.storage import write_json


def test_the_mode_in_effect_is_in_a_folds_entry(tmp_path: Path) -> None:
    assert describe_mode(tmp_path) == {}
    write_json(tmp_path / IMAGINATION, {"mode": "random"})
    assert describe_mode(tmp_path) == {"imagination": "random"}


@pytest.mark.parametrize("why", [None, "the scorer is near chance; mode: random takes the place of guided"])
def test_why_images_are_imagined_in_another_mode_is_read_beside_the_generator(tmp_path: Path, why: str | None) -> None:
    assert explain_mode(tmp_path) is None  # nothing is imagined
    write_json(tmp_path / IMAGINATION_FACTS, {"mode": "random", "why": why})
    assert explain_mode(tmp_path) == why


@pytest.mark.parametrize(
    ("modes", "passed"),
    [((None, None), True), (("guided", "guided", None), True), (("guided", "random", "guided"), False)],
)
def test_a_mixture_of_modes_fails_the_check_of_the_verdict(
    tmp_path: Path, modes: tuple[str | None, ...], passed: bool
) -> None:
    folds = [{"fold": number} | ({} if mode is None else {"imagination": mode}) for number, mode in enumerate(modes)]
    for stage, name, content in (
        ("verdict", VERDICT, {"decision": "helps", "sentence": "It helps."}),
        ("folds", FOLDS, {"folds": folds}),
    ):
        (tmp_path / stage).mkdir()
        write_json(tmp_path / stage / name, content)
    found = expansion_does_not_hurt(lambda stage: tmp_path / stage)
    told = tell_mixture(folds)
    assert found.passed == passed == (told is None)
    assert found.sentence == ("It helps." if passed else f"It helps. {told}")
    if told is not None:
        assert "mode guided in 2 of 3, random in 1 of 3" in told
