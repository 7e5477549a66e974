"""Do the generated images look like real ones? Four figures that other stages measured, each with its threshold.

Every figure is compared with what real images reach that the generator did not see, so it needs no experience to be
read. The thresholds are round numbers, chosen so that the generators of `docs/generators.md` whose images look real to
the eye pass and those whose images do not fail. No decision of the chain follows from them. It computes nothing anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

LEAST_PLACE = 0.9  # from images that show nothing (0) to other real images (1)
LEAST_KIND = 0.55  # below it images are not even of their kind (`docs/generators.md`)
MOST_FEWER = 0.1  # share of images in their class, less than that of real images
MOST_FAR = 3.0  # times the distance of real images


@dataclass(frozen=True)
class Sign:
    """One figure beside that of real images, with the threshold in words; `holds`: whether it keeps to it."""

    holds: bool
    says: str


def judge_resemblance(
    usability: Mapping[str, Any],
    assigned: Mapping[str, float] | None,
    distances: Sequence[Mapping[str, Any]],
    copying: Mapping[str, Any],
) -> dict[str, Any]:
    """The answer as a sentence, and the signs that are known.

    usability : of the generator, its usability.json. assigned : shares of the drawn and of unseen real images that the
    scorer puts in their class; None if not known. distances : Fréchet distances of the accepted images, by network, as
    in quality.json. copying : the test for copying on the whole set.
    """
    position = usability["position"]
    looks = [*_judge_place(position), *_judge_classes(assigned), *_judge_distance(distances)]
    copies = _judge_copies(copying)
    answer = _answer(position, looks)
    if not all(sign.holds for sign in copies):
        answer += ", but they come nearer to training images than unseen real images do"
    return {"answer": f"{answer}.", "signs": [asdict(sign) for sign in (*looks, *copies)]}


def _answer(position: float | None, looks: Sequence[Sign]) -> str:
    held = sum(sign.holds for sign in looks)
    if not looks:
        return "Whether the generated images look like real ones is not known: there are too few images to compare"
    if position is not None and position < LEAST_KIND:
        return "The generated images do not look like real ones: they lie too near to images that show nothing"
    if held == len(looks):
        return "The generated images look like real ones, by every figure that compares them with unseen real images"
    return (
        f"The generated images look like real ones only in part: {held} of {len(looks)} figures are near those of"
        " unseen real images"
    )


def _judge_place(position: float | None) -> list[Sign]:
    if position is None:
        return []
    said = f"They lie {100 * position:.0f} % of the way from images that show nothing to other real images"
    return [Sign(position >= LEAST_PLACE, f"{said}; {100 * LEAST_PLACE:.0f} % or more counts as near.")]


def _judge_classes(assigned: Mapping[str, float] | None) -> list[Sign]:
    if assigned is None:
        return []
    drawn, real = assigned["generated"], assigned["real"]
    said = f"The scorer puts {100 * drawn:.1f} % of all drawn images in their class, {100 * real:.1f} % of real ones"
    return [Sign(drawn >= real - MOST_FEWER, f"{said}; up to {100 * MOST_FEWER:.0f} points fewer count as near.")]


def _judge_distance(distances: Sequence[Mapping[str, Any]]) -> list[Sign]:
    known = [(cell["value"] / cell["reference"], cell["extractor"]) for cell in distances if _is_known(cell)]
    if not known:
        return []
    ratio, extractor = max(known)
    said = f"The accepted ones are {ratio:.1f} times as far from held-out real images as other real images are"
    return [
        Sign(
            ratio <= MOST_FAR,
            f"{said} (Fréchet distance, features of the {extractor} network, the less favourable one);"
            f" up to {MOST_FAR:g} times counts as near.",
        )
    ]


def _is_known(cell: Mapping[str, Any]) -> bool:
    return cell["value"] is not None and cell["reference"] is not None and cell["reference"] > 0


def _judge_copies(copying: Mapping[str, Any]) -> list[Sign]:
    nearer, near, held_out = (copying[key] for key in ("nearer", "near_generated", "near_held_out"))
    if copying["decision"] == "too few" or nearer is None or near is None or held_out is None:
        return []
    said = (
        f"{100 * nearer['estimate']:.0f} % come nearer to a training image than an unseen real image does (50 % without"
        f" copying), and {100 * near['estimate']:.1f} % are near copies of one, {100 * held_out['estimate']:.1f} % of"
        " real images"
    )
    holds = copying["decision"] == "no sign"
    return [Sign(holds, f"{said}: {'no' if holds else 'a'} sign of copying.")]
