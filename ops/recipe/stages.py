"""The stage table: the recipe keys and the other stages that each stage reads.

Dagster's dependencies, DVC's `deps:` and `params:` and the fingerprints are all derived from it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One versioned step of the chain.

    `keys` are recipe keys: sections, or one key of a section (`verdict.metric`) where the others change nothing.
    `inputs` are names of stages; the output is the folder `data/<expansion>/<name>`.
    `names_expansion`: the output contains its expansion's name, so no other expansion may share it.
    `switch`: a key that may be null; then the stage does nothing and no other key of it matters.
    `optional`: where it does nothing, it is no input of the stages after it, which came before it.
    `for_pool_arms`: those inputs that matter only where a baseline sees the prior's pool without generating.
    `shaped_by`: those inputs of which the images' shape alone determines the output, and not the images.
    `repeats`: stages that it runs itself, on other images; their versions count as its own.
    `grows`: of the real images it reads those that are expanded, which may be others than the labelled ones.
    `asks`: inputs that it reads only where a key has a certain value: the name of the input, the key and the value.
    `judges`: it decides by answers to validation images, of which those of one group are one draw. That came later, so
    where the source has groups its settings say so.
    """

    name: str
    keys: tuple[str, ...]
    inputs: tuple[str, ...]
    names_expansion: bool = False
    choices: tuple[str, ...] = ()  # keys that decide whether the output is made again, not its content
    switch: str | None = None
    optional: bool = False
    for_pool_arms: tuple[str, ...] = ()
    shaped_by: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    grows: bool = False
    asks: tuple[tuple[str, str, str], ...] = ()
    judges: bool = False

    @property
    def sections(self) -> tuple[str, ...]:
        """The recipe's top-level keys that hold `keys` and `choices`.

        DVC watches these: it cannot follow a key that a recipe leaves to its default. Where another key of a section
        changed, DVC runs the stage, which finds its fingerprint unchanged.
        """
        return tuple(dict.fromkeys(key.partition(".")[0] for key in (*self.keys, *self.choices)))

    @property
    def reads_part(self) -> bool:
        """Whether it reads only part of a section: DVC may then report it as changed although its keys are not."""
        return any("." in key for key in self.keys)

    @property
    def recorded(self) -> tuple[str, ...]:
        """The inputs that every manifest of the stage names; an optional one names none where it does nothing."""
        if self.optional:
            return ()
        sometimes = {*self.shaped_by, *(name for name, _, _ in self.asks)}
        return tuple(name for name in self.inputs if name not in sometimes and not STAGES[name].optional)


REPEATED = (  # the stages of a fold after its images were divided, in order
    "training_policy",
    "scorer",
    "expansion_plan",
    "generator",
    "generator_onnx",
    "generated_images",
    "accepted_images",
    "mixed_dataset",
    "baseline_classifiers",
    "teachers",
    "expanded_classifiers",
)

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("real_images", ("source", "data", "seed"), ()),
        Stage(
            "training_policy",
            (
                "tuning",
                "verdict.metric",
                "seed",
                *(f"classifier.{key}" for key in ("steps", "batch_size", "label_smoothing", "optimizer", "precision")),
                "classifier.clean_statistics",
                "classifier.network",
                "classifier.grid",
            ),
            ("real_images",),
            judges=True,
        ),
        Stage("scorer", ("scorer", "seed"), ("real_images", "training_policy"), grows=True),
        Stage(
            "expansion_plan",
            ("plan",),
            ("real_images", "scorer"),
            grows=True,
            asks=(("scorer", "plan.seeds", "hard"),),
        ),
        Stage(  # expansions of the same pool share it, whatever their labelled images
            "prior",
            ("prior",),
            ("real_images",),
            switch="prior",
            optional=True,
            shaped_by=("real_images",),
        ),
        Stage(
            "generator",
            ("generator", "seed"),
            ("real_images", "training_policy", "scorer", "prior"),
            choices=("on_new_images",),
            grows=True,
        ),
        Stage("generator_onnx", ("sampler", "seed"), ("real_images", "scorer", "generator"), grows=True),
        Stage(
            "generated_images",
            ("filter", "seed"),
            ("real_images", "expansion_plan", "scorer", "generator_onnx"),
            grows=True,
        ),
        Stage(
            "accepted_images",
            ("filter", "seed"),
            ("real_images", "expansion_plan", "scorer", "generated_images"),
            grows=True,
        ),
        Stage("mixed_dataset", ("mix",), ("real_images", "generated_images", "accepted_images"), grows=True),
        Stage(
            "baseline_classifiers",
            ("classifier", "baselines", "verdict.metric", "verdict.reference", "seed"),
            ("real_images", "training_policy", "prior"),
            for_pool_arms=("prior",),
            judges=True,
        ),
        Stage("teachers", ("expanded",), ("baseline_classifiers",)),
        Stage(
            "expanded_classifiers",
            ("classifier", "expanded", "verdict.metric", "seed"),
            ("real_images", "training_policy", "generated_images", "accepted_images", "mixed_dataset", "teachers"),
            judges=True,
        ),
        Stage(  # accuracy against labels of the picked baseline, whatever was generated; recipes with its arms share it
            "label_curve",
            ("report.worth", "classifier", "baselines", "seed"),
            ("real_images", "training_policy", "baseline_classifiers", "prior"),
            switch="report.worth",
            optional=True,
            for_pool_arms=("prior",),
        ),
        Stage(  # the whole chain, on each fold of all images
            "folds",
            (
                "verdict.folds",
                "verdict.metric",
                "verdict.reference",
                "seed",
                "plan",
                "tuning",
                "scorer",
                "generator",
                "sampler",
                "filter",
                "mix",
                "classifier",
                "baselines",
                "expanded",
            ),
            ("real_images", "prior"),
            switch="verdict.folds",
            repeats=REPEATED,
            judges=True,
        ),
        Stage(  # a second look trains more seeds itself, on the data of the two stages before it
            "verdict",
            ("verdict", "classifier", "baselines", "expanded", "seed"),
            (
                "real_images",
                "training_policy",
                "generated_images",
                "accepted_images",
                "mixed_dataset",
                "baseline_classifiers",
                "expanded_classifiers",
                "folds",
                "prior",
            ),
            judges=True,
        ),
        Stage(  # its inputs in the order of this table
            "report",
            ("report",),
            ("real_images", *REPEATED[:3], "prior", *REPEATED[3:], "label_curve", "verdict"),
            names_expansion=True,
        ),
    )
}

PUBLISHED_KEYS = ("publish",)
PUBLISHED_INPUTS = (
    "real_images",
    "expansion_plan",
    "generated_images",
    "accepted_images",
    "mixed_dataset",
    "verdict",
)


def upstream(name: str) -> list[str]:
    """All stages that `name` depends on, directly or not, in table order."""
    found: set[str] = set()
    pending = [name]
    while pending:
        for parent in STAGES[pending.pop()].inputs:
            if parent not in found:
                found.add(parent)
                pending.append(parent)
    return [stage for stage in STAGES if stage in found]
