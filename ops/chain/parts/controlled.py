"""Settle the arms of a side that leave strength or weights to the controller, and keep a log of what decided.

An arm with generated images races beside the same arm on real images alone, which the stage of the baselines has raced
by the same rule; those trainings are kept and found again. Test images are not opened here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ops.chain.parts.examples import read_real
from ops.classifiers.examples import Examples
from ops.classifiers.runs import Contest
from ops.files.outputs import QUALITY
from ops.files.storage import read_json
from ops.machine.progress import Progress
from ops.metrics.random_network import MIN_SIDE, embed_images
from ops.recipe.arms import AUTO, Arm
from ops.recipe.automatic import (
    describe_settled,
    find_least_steps,
    leave_out_generated,
    list_automatic,
    may_fall_back,
    read_settled,
    uses_generated,
)
from ops.recipe.control import Schedule, build_schedule
from ops.recipe.counterparts import simplify
from ops.stages.materialization import StageRun
from ops.stages.several import place
from ops.tuning.control.decision import Decision
from ops.tuning.control.race import Halving, Side, count_trainings, hold_rounds, let_decide
from ops.tuning.control.start import Quality, Start, find_start, list_inflated, list_real
from ops.tuning.control.telling import describe_best, describe_decision, describe_rounds, describe_start
from ops.tuning.control.telling_apart import MOST, tell_apart

ACCEPTED = "accepted_images"
ALL_LEFT_OUT = (
    "the controller left its images out of every arm, because on validation none gained by them beyond the noise of"
    " images and seeds"
)
SIDES = {"real": "on real images alone", "inflated": "with generated images"}


@dataclass(frozen=True, eq=False)
class Settled:
    """The arms of a side without auto, and entries for its results.json; {} where no arm says auto."""

    arms: dict[str, Arm]
    entries: dict[str, Any]


def settle_automatic(run: StageRun, contest: Contest, known: Known | None = None) -> Settled:
    """Race for each arm of the contest that says auto; trainings go to a folder beside the contest's.

    known: what earlier calls for the same images have read and measured; None: nothing.
    """
    arms, settled, logs = dict(contest.arms), dict[str, Any](), dict[str, Any]()
    racing = replace(contest, scratch=contest.scratch.with_name(f"{contest.scratch.name}-controller"))
    known = know_nothing(run) if known is None else known
    for name in list_automatic(arms):
        arms[name], logs[name] = _Race(run, racing, name, known).settle()
        settled[name] = describe_settled(arms[name])
    return Settled(arms, {"settled": settled, "controller": logs} if settled else {})


def find_all_left_out(arms: Mapping[str, Arm], results: Mapping[str, Any]) -> str | None:
    """Why no arm of the expanded side learns from generated images, by its results.json; None where some does."""
    settled = read_settled(arms, results)
    learning = [arm for name, arm in settled.items() if name in results["arms"] and arm.placebo.kind == "none"]
    return ALL_LEFT_OUT if learning and not any(map(uses_generated, learning)) else None


def tell_left_out(arms: Sequence[str], where: str = "") -> str:
    """A sentence, with a space before it, about arms that learnt from no generated image; "" without any.

    where: of which trainings that holds, as ` in 1 of 3 folds`.
    """
    if not arms:
        return ""
    named = " and ".join((", ".join(arms[:-1]), arms[-1])) if len(arms) > 1 else arms[0]
    return f" {named} learnt from no generated image{where}: the controller left them out on validation."


@dataclass(frozen=True, eq=False)
class Known:
    """What the races of a side share, read or measured once: the real images alone, and the quality of the generated
    images by their generator's number and the bytes of the marks that pick them."""

    read_real: Callable[[], Examples]
    qualities: dict[tuple[int, bytes], Quality] = field(default_factory=dict)


def know_nothing(run: StageRun) -> Known:
    """Where nothing of the images of a run has been read or measured yet."""
    return Known(cache(lambda: read_real(run.inputs)))


@dataclass(frozen=True, eq=False)
class _Race:
    """The race of the arm `name` of the contest."""

    run: StageRun
    contest: Contest
    name: str
    known: Known

    @property
    def arm(self) -> Arm:
        return self.contest.arms[self.name]

    @property
    def schedule(self) -> Schedule:
        settings = self.contest.settings
        return build_schedule(find_least_steps(settings), settings.seeds)

    def settle(self) -> tuple[Arm, dict[str, Any]]:
        """The arm as it is to be trained, and its log."""
        schedule, sides, log = self.schedule, dict[str, Side](), dict[str, Any]()
        decides = self.contest.is_expanded and may_fall_back(self.arm)
        if not self.contest.is_expanded or decides:
            sides["real"] = self._prepare_real()
        if self.contest.is_expanded:
            sides["inflated"], log = self._prepare_inflated()
        else:
            start = find_start(count := self._count_real(sides["real"].contest.training[0]))
            self._say(f"{self.name} {describe_start(start, self.arm, real=count, generated=0, quality=Quality())}")
            log = _describe_numbers(start, count, 0)
        total = count_trainings(schedule, sides=len(sides), decides=decides)
        progress = self.run.runtime.progress(f"{self.run.stage}: {self.name}, controller", total, "trainings")
        halvings = self._hold(sides, progress)
        decision = None
        if decides:
            before = count_trainings(schedule, sides=2, decides=False)
            winners = halvings["real"].winner, halvings["inflated"].winner
            decision = let_decide(
                sides["real"], sides["inflated"], winners, schedule,
                workers=self.run.runtime.workers, progress=progress, before=before,
            )  # fmt: skip
        chosen, sentence = self._conclude(halvings, decision)
        self._say(sentence)
        arm = sides[chosen].settle(halvings[chosen].winner)
        if chosen == "real" and self.contest.is_expanded:
            arm = leave_out_generated(arm)
        log |= {
            "contenders": {side: halving.to_list() for side, halving in halvings.items()},
            "rounds": [each.steps for each in schedule.rounds],
            "deciding": None
            if decision is None
            else {"steps": schedule.deciding.steps, "seeds": schedule.deciding.seeds, **decision.to_dict()},
            "sentence": sentence,
        }
        return arm, log

    def _prepare_real(self) -> Side:
        """Real images alone, as the baselines see them."""
        alone = self.contest
        if self.contest.is_expanded:
            alone = replace(alone, training=(self.known.read_real(),))
        start = find_start(self._count_real(alone.training[0]))
        return Side("real", alone, simplify(self.arm), list_real(start, self.schedule.contenders))

    def _prepare_inflated(self) -> tuple[Side, dict[str, Any]]:
        """With generated images, and what the start follows from: one generator's images stand for those of all."""
        found = map(self._find_generated, self.contest.training)
        number, generated = next((number, each) for number, each in enumerate(found) if each.any())
        examples = self.contest.training[number]
        real, drawn = self._count_real(examples), int(generated.sum())
        quality = self._find_quality(number, generated)
        start = find_start(real, drawn, quality)
        self._say(f"{self.name} {describe_start(start, self.arm, real=real, generated=drawn, quality=quality)}")
        chooses = {"strength": self.arm.strength == AUTO, "real_weight": self.arm.real_weight == AUTO}
        side = Side("inflated", self.contest, self.arm, list_inflated(start, self.schedule.contenders, **chooses))
        return side, {"quality": quality.to_dict(), **_describe_numbers(start, real, drawn)}

    def _find_quality(self, number: int, generated: np.ndarray) -> Quality:
        """Of the images that `generated` bool [n] marks, drawn by generator `number`; shared by arms."""
        qualities, picked = self.known.qualities, (number, generated.tobytes())
        if picked not in qualities:
            accepted = place(self.run.inputs[ACCEPTED], number)
            qualities[picked] = measure_quality(accepted, self.contest, self.contest.training[number], generated)
        return qualities[picked]

    def _find_generated(self, examples: Examples) -> np.ndarray:
        """Which generated images the arm learns from, bool [n], whatever they weigh."""
        unweighted = self.arm.model_copy(update={"real_weight": None}) if may_fall_back(self.arm) else self.arm
        return np.asarray((examples.weigh(unweighted) > 0) & examples.marks)

    def _count_real(self, examples: Examples) -> int:
        """How many real images the arm learns from: without labels they are nothing to an arm that learns labels."""
        return int(((examples.weigh(simplify(self.arm)) > 0) & ~examples.marks).sum())

    def _hold(self, sides: Mapping[str, Side], progress: Progress) -> dict[str, Halving]:
        """The rounds of each side, one side after the other."""
        found, each = dict[str, Halving](), count_trainings(self.schedule, sides=1, decides=False)
        for name, side in sides.items():
            workers, before = self.run.runtime.workers, each * len(found)
            found[name] = hold_rounds(side, self.schedule, workers=workers, progress=progress, before=before)
            self._say(f"{self.name}, {SIDES[name]}: {describe_rounds(found[name], self.schedule)}")
        return found

    def _conclude(self, halvings: Mapping[str, Halving], decision: Decision | None) -> tuple[str, str]:
        """The side that the arm takes, and the sentence about it."""
        if decision is None:
            (chosen,) = halvings
            return chosen, describe_best(self.name, halvings[chosen].winner, self.schedule)
        real, inflated = halvings["real"].winner, halvings["inflated"].winner
        sentence = describe_decision(self.name, real, inflated, decision, self.schedule)
        return "inflated" if decision.uses_generated else "real", sentence

    def _say(self, line: str) -> None:
        self.run.runtime.sink(f"{self.run.stage}: {line}")


def _describe_numbers(start: Start, real: int, generated: int) -> dict[str, Any]:
    weight = None if start.real_weight is None else round(start.real_weight, 6)
    at = {"crop": round(start.crop, 6), "strength": round(start.strength, 6), "real_weight": weight}
    return {"real": real, "generated": generated, "counted": round(start.images, 3), "start": at}


def measure_quality(accepted: Path, contest: Contest, examples: Examples, generated: np.ndarray) -> Quality:
    """Of the generated images that `generated` bool [n] marks, beside real images of training and validation.

    accepted: folder of one generator's accepted images, whose Fréchet distance in a random network's features is read.
    """
    measures = read_json(accepted / QUALITY)
    found: Mapping[str, Any] = next(
        (each for each in measures if each["name"] == "FD_random" and each["label"] is None), {}
    )
    frechet, reference = found.get("value"), found.get("reference")
    if min(examples.images.shape[2:]) < MIN_SIDE:
        return Quality(frechet=frechet, reference=reference)
    real = np.concatenate([examples.images[~examples.marks], contest.validation[0]])
    rng = np.random.default_rng([contest.first_seed, 5])
    known, drawn = (
        embed_images(torch.from_numpy(images[rng.permutation(len(images))[:MOST]]))
        for images in (real, examples.images[generated])
    )
    told = tell_apart(known, drawn, contest.first_seed)
    if told is None:
        return Quality(frechet=frechet, reference=reference)
    return Quality(told.accuracy, told.variation, frechet, reference)
