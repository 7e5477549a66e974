"""What a prior has seen, told to people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ops.files.storage import write_json
from ops.report.origin import find_origin
from ops.stages.seen import Seen, read_seen

SEEN = Seen("flow", "more-shoes", 5000, "CC0-1.0")


def test_without_a_prior_there_is_nothing_to_tell(tmp_path: Path) -> None:
    write_json(tmp_path / "prior.json", {})
    assert read_seen(None) is None and read_seen(tmp_path) is None
    write_json(tmp_path / "prior.json", SEEN.to_dict())
    assert read_seen(tmp_path) == SEEN


@pytest.mark.parametrize(("labelled", "known"), [(0, "none of these,"), (1200, "1,200 of these, the labelled ones,")])
def test_the_verdict_names_the_pool_and_what_the_other_arms_saw_of_it(labelled: int, known: str) -> None:
    assert SEEN.disclose(labelled) == (
        " The generated images come from a prior that saw 5,000 unlabelled images of more-shoes; the arms without"
        f" generated images saw {known} so a difference is that of the pool and the generator together."
    )
    assert Seen("flow", "x", 1, "").told == "a prior that saw 1 unlabelled image of x"


def test_the_card_names_pool_and_licence_and_escapes_them() -> None:
    origin = find_origin(True, {}, Seen("flow", "a_b", 5000, "<mine>"))
    assert "5,000 images\nof a\\_b without labels" in origin["trained"] and "as a variant" in origin["trained"]
    assert "&lt;mine&gt;" in origin["licence"]
    assert set(origin) == set(find_origin(True))


@pytest.mark.parametrize(
    "seen",
    [SEEN, replace(SEEN, labels=True), replace(SEEN, weights={"model": "m", "licence": "x"})],
    ids=["prior", "labels", "weights"],
)
def test_the_card_names_the_arms_that_saw_the_pool_without_generating(seen: Seen) -> None:
    without, beside = (
        " ".join(find_origin(True, seen=seen, seeing=arms)["seen"].split()) for arms in ((), ("pseudo", "fix_1"))
    )
    alone = "The arms without generated images learnt from the labelled images alone."
    assert alone in without and alone not in beside
    assert (
        "Of the arms without generated images pseudo and fix\\_1 learnt from the pool too, and the others from the"
        " labelled images alone."
    ) in beside


def test_a_prior_that_learnt_elsewhere_is_told_as_such(tmp_path: Path) -> None:
    foreign = Seen("mae", "more-shoes", 5000, "CC0-1.0", {"model": "models/mae", "sha256": "0f", "licence": "<theirs>"})
    write_json(tmp_path / "prior.json", foreign.to_dict())
    assert read_seen(tmp_path) == foreign
    told = "a prior that learnt elsewhere (models/mae) and saw 5,000 unlabelled images of more-shoes"
    assert foreign.told == told
    assert foreign.disclose(0).endswith("together. What its weights learnt from is not known here.")
    assert foreign.disclose(0, ["fix"]).endswith("none of these. What its weights learnt from is not known here.")
    origin = find_origin(True, {}, foreign)
    assert "trained elsewhere" in origin["trained"] and "5,000 images of more-shoes" in origin["trained"]
    assert "&lt;theirs&gt;" in origin["licence"] and "CC0" not in origin["licence"]
    assert set(origin) == set(find_origin(True))
