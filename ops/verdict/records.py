"""The parts of a verdict: its rows, and the content of `verdict.json`. It does not know how they are computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ops.recipe.design import Metric
from ops.verdict.estimate import Interval

Kind = Literal["baseline", "placebo", "expanded"]
Outcome = Literal["helps", "no evidence", "hurts"]
Role = Literal["decisive", "condition", "share"]
Shortfall = Literal["below_reference", "near_chance"]


@dataclass(frozen=True)
class Budget:
    """The training budget of every classifier; `fewest_steps` is set where validation chose the steps of each arm,
    and `largest_batch` where arms that learn without labels have larger batches."""

    steps: int
    batch_size: int
    fewest_steps: int | None = None
    largest_batch: int | None = None


@dataclass(frozen=True)
class ArmRow:
    """One arm on the test images, scores in [0, 1]; `same_as` names the trained arm that an alias equals.

    validation and score are in the verdict's metric; per_seed is accuracy. calibration_error is the expected one, the
    mean over seeds; None where it is not known. cost: of a training step, in steps of plain training.
    """

    arm: str
    kind: Kind
    same_as: str | None
    validation: float
    score: Interval
    accuracy: Interval
    balanced_accuracy: Interval
    per_seed: list[float]
    calibration_error: float | None = None
    cost: float = 1.0


@dataclass(frozen=True)
class Contrast:
    """Score of `arm` minus score of `against` in the verdict's metric.

    Role: `decisive` is the challenger against the picked baseline. `condition` is a further contrast that a decision
    needs: for `helps` the challenger against each other baseline, for `hurts` each other expanded arm against the
    picked baseline. `share` decides nothing: it says what generated images add to one arm, against the same arm on real
    images or with a placebo in their place.
    """

    arm: str
    against: str
    role: Role
    difference: Interval


@dataclass(frozen=True)
class ClassRow:
    """Challenger minus baseline in accuracy on the test images of one class.

    All three are None where the class has no test images. Without a challenger, its accuracy and the difference are.
    clear: the difference is not 0 by an interval that allows for the number of classes. train_images: its real training
    images; None where they are not known.
    """

    label: int
    name: str
    images: int
    baseline: float | None
    challenger: float | None
    difference: Interval | None
    clear: bool
    train_images: int | None = None


@dataclass(frozen=True)
class SizeGroup:
    """Classes of similar size, where sizes differ much: `scores` are mean accuracies over these classes, by arm.

    least and most: training images of the smallest and the largest of them.
    """

    name: str
    classes: int
    least: int
    most: int
    scores: dict[str, float]


@dataclass(frozen=True)
class ReferenceRow:
    """The reference model on the test images, and the picked baseline beside it; it is no arm and never picked.

    metric: in which the baseline was checked. validation: the model's score there in the verdict's metric. score,
    accuracy, balanced_accuracy: of the model, `score` in `metric`. baseline: the picked baseline's score in `metric`.
    gap: the picked baseline's score minus the model's. chance: the best score of answers that ignore the image.
    shortfall: why the classifiers have not learnt enough to judge by; None where they have.
    """

    name: str
    metric: Metric
    validation: float
    score: Interval
    accuracy: Interval
    balanced_accuracy: Interval
    baseline: Interval
    gap: Interval
    chance: float
    shortfall: Shortfall | None


@dataclass(frozen=True)
class Verdict:
    """The decision in `verdict.json` and its grounds; effects and scores are fractions.

    `smallest_detectable_effect` is the lead or loss of the challenger that meets the hardest condition of a decision
    four times in five; None where the generator was not used. `worst_class` has the lowest difference.
    `seeds` is the number of seeds of the arm with the fewest; below `least_seeds` nothing is decided. Intervals of
    contrasts hold for both looks together, those of `shares` for one look. `reference` is None where no reference model
    was given. `folds` is the number of folds, each with `seeds` trainings of its own, and `unused_folds` of them used
    nothing generated; both are None for one split.

    `unused` says why the generator was not used. Then no arm has generated images: there is no challenger and no
    difference, and `generators` is 0. In `verdict.json` it becomes `generator_used`, because the sentence says why.
    """

    decision: Outcome
    sentence: str
    metric: Metric
    confidence: float
    look: int
    looks: int
    generators: int
    budget: Budget
    challenger: str | None
    baseline: str
    chosen_on: str
    arms: list[ArmRow]
    contrasts: list[Contrast]
    shares: list[Contrast]
    per_class: list[ClassRow]
    size_groups: list[SizeGroup]
    worst_class: str | None
    smallest_detectable_effect: float | None
    seeds: int
    least_seeds: int
    test_images: int
    reference: ReferenceRow | None = None
    unused: str | None = None
    folds: int | None = None
    unused_folds: int | None = None
    test_groups: int | None = None

    @property
    def trainings(self) -> int:
        """How often the arm with the fewest seeds was trained."""
        return self.seeds * (self.folds or 1)

    @property
    def has_learnt(self) -> bool:
        """Whether the classifiers have learnt enough to judge by, as far as it was checked."""
        return self.reference is None or self.reference.shortfall is None

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and finite numbers, ready for strict JSON."""
        found = asdict(self)
        found["generator_used"] = found.pop("unused") is None
        for key in ("fewest_steps", "largest_batch"):
            if found["budget"][key] is None:
                del found["budget"][key]
        if self.folds is None:
            del found["folds"], found["unused_folds"]
        if self.test_groups is None:
            del found["test_groups"]
        return found
