"""What tests of the report share: facts as the stages would leave them, plain ones and odd ones, and WCAG contrast."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ops.inspection.inspection import inspect_pictures
from ops.inspection.page import collect_view
from ops.pictures.sheets import encode_sheet, tile, to_data_uri
from ops.report.filtering import describe_filters
from ops.report.measures import describe_measures
from tests.filtering import CLASSES as FILTERED_CLASSES
from tests.filtering import list_measures, make_held_out, make_index, make_results, make_rule
from tests.inspected import count_pictures, make_pictures

SENTENCE = "Expansion helps: grown beats flipped, the best arm without generated data, by 2.0 points."
CLASSES = list(FILTERED_CLASSES)
PICTURE = {"uri": to_data_uri(encode_sheet(np.zeros((4, 4, 1), np.uint8))), "width": 56, "height": 56, "count": 2}


def make_interval(estimate: float, reach: float = 0.01) -> dict[str, float]:
    limits = {"low": estimate - reach, "high": estimate + reach}
    return {"estimate": estimate, **limits, "standard_error": reach / 2, "df": 12.0}


def make_arm(name: str, kind: str, accuracy: float, same_as: str | None = None) -> dict[str, Any]:
    return {
        "arm": name, "kind": kind, "same_as": same_as, "validation": accuracy + 0.01, "per_seed": [accuracy] * 2,
        "score": make_interval(accuracy), "accuracy": make_interval(accuracy),
        "balanced_accuracy": make_interval(accuracy - 0.02), "calibration_error": 0.0345, "cost": 2.6667,
    }  # fmt: skip


def make_way(way: str, arm: str, passes: int) -> dict[str, Any]:
    return {
        "way": way, "arm": arm, "passes": passes, "score": make_interval(0.825),
        "over_baseline": make_interval(0.005), "over_challenger": make_interval(-0.015),
    }  # fmt: skip


def make_reference(shortfall: str | None = None) -> dict[str, Any]:
    return {
        "name": "logistic regression on gradient histograms", "metric": "accuracy", "validation": 0.79,
        "score": make_interval(0.783), "accuracy": make_interval(0.783), "balanced_accuracy": make_interval(0.771),
        "baseline": make_interval(0.82), "gap": make_interval(0.037), "chance": 0.5, "shortfall": shortfall,
    }  # fmt: skip


def make_curve(baseline: str = "flipped", challenger: str = "grown", steps: int = 60) -> dict[str, Any]:
    """Accuracy against steps of the two compared arms, of which the challenger still gains."""
    points = [
        {"arm": arm, "kind": kind, "steps": steps // parts, "validation": score, "per_seed": {"0": score},
         "gain": None if parts == 4 else 0.02, "gain_error": None if parts == 4 else 0.01}
        for arm, kind, scores in ((baseline, "baseline", (0.7, 0.78, 0.8)), (challenger, "expanded", (0.6, 0.75, 0.85)))
        for parts, score in zip((4, 2, 1), scores, strict=True)
    ]  # fmt: skip
    return {
        "metric": "accuracy", "seeds": 1, "points": points,
        "sentence": f"From 30 to 60 steps {baseline} lost -0.2 points: {challenger} still gains.",
        "equal_compute": f"With as much as {baseline}, {challenger} would take 22 steps.",
    }  # fmt: skip


def make_verdict() -> dict[str, Any]:
    return {
        "decision": "helps", "generator_used": True, "sentence": SENTENCE, "confidence": 0.95, "metric": "accuracy",
        "challenger": "grown", "baseline": "flipped", "chosen_on": "validation", "seeds": 5, "least_seeds": 5,
        "test_images": 4000, "look": 1, "looks": 1, "generators": 1, "budget": {"steps": 60, "batch_size": 32},
        "earlier_looks": [], "reference": make_reference(),
        "same_compute": [make_way("ensemble", "flipped", 5), make_way("mirrored", "grown", 2)],
        "left_out": {"blurred": {"validation": 0.412, "against": "flipped", "behind": 0.321, "standard_error": 0.05}},
        "shares": [{"arm": "grown", "against": "flipped", "role": "share", "difference": make_interval(0.0123, 0.004)}],
        "size_groups": [{"name": "head", "classes": 1, "least": 40, "most": 40,
                         "scores": {"real": 0.811, "flipped": 0.822, "grown": 0.833}}],
        "smallest_detectable_effect": 0.0123, "worst_class": CLASSES[1],
        "arms": [
            make_arm("real", "baseline", 0.80), make_arm("flipped", "baseline", 0.82),
            make_arm("grown", "expanded", 0.84), make_arm("weighted", "baseline", 0.80, "real"),
        ],
        "contrasts": [
            {"arm": "grown", "against": "flipped", "role": "decisive", "difference": make_interval(0.02)},
            {"arm": "grown", "against": "real", "role": "condition", "difference": make_interval(0.04)},
        ],
        "per_class": [
            {"label": 0, "name": CLASSES[0], "images": 2000, "baseline": 0.8, "challenger": 0.85,
             "difference": make_interval(0.05), "clear": True, "train_images": 40},
            {"label": 1, "name": CLASSES[1], "images": 0, "baseline": None, "challenger": None, "difference": None,
             "clear": False, "train_images": 8},
        ],
    }  # fmt: skip


def make_usability(position: float = 0.92, usable: bool = True) -> dict[str, Any]:
    """What placing a generator's images between empty and real ones found."""
    spaces = [
        {"space": name, "position": position + shift, "error": 0.05, "distance": 0.09, "distance_error": 0.02,
         "floor": 0.9, "nearest": "class means in noise", "ceiling": 0.05}
        for name, shift in (("scorer", -0.05), ("random network", 0.05), ("texture", 0.0))
    ]  # fmt: skip
    return {
        "usable": usable, "needed": 0.55, "position": position, "images": 500, "spaces": spaces,
        "sentence": f"its images lie {100 * position:.0f} % of the way from empty to real images; 55 % are needed",
        "advice": [] if usable else ["more steps (it took 60)", "more real images (a class has 12)"],
    }  # fmt: skip


def make_gate(names: list[str] = CLASSES, *, kept: float | None = 0.953, whole: str | None = None) -> dict[str, Any]:
    """A gate whose head is the first class; the last class is refused, or all are for the reason `whole`."""
    last = "two variants of an image differ by 0.4 grey levels, and 2 are needed"
    classes = [
        {"name": name, "size": 40, "images": 40, "named": 36, "moved": 9.34, "kept": kept, "why": whole}
        for name in names
    ]  # fmt: skip
    classes[-1] |= {"moved": 0.4, "kept": None, "named": 0, "why": whole or last}
    return {
        "moves": 2.0, "keeps": 0.9, "moved": 8.7, "kept": kept, "named": 36, "head": names[:1], "classes": classes,
        "sentence": "1 of 2 classes gets no variants: why",
    }  # fmt: skip


def make_look(step: int, frechet: float) -> dict[str, Any]:
    """What a look at a learning generator found."""
    return {
        "step": step, "images": 500, "frechet": frechet, "floor": 0.31, "consistency": 0.77, "precision": 0.81,
        "recall": 0.42, "density": 0.93, "coverage": 0.66, "copies": 0.012, "copies_held_out": 0.004,
    }  # fmt: skip


def make_filters(names: list[str] = CLASSES, side: int = 56) -> dict[str, Any]:
    """200 drawn in two rounds: class 0 full with 20 surplus, class 1 three short of 50, what is left rejected."""
    reasons = [[]] * 50 + [["surplus"]] * 20 + [["wrong_label", "repeat"]] * 30  # of class 0
    reasons += [[]] * 47 + [["wrong_label"]] * 49 + [["near_copy_of_train"]] * 4
    results = make_results(
        make_index(reasons, [0] * 100 + [1] * 100, rounds=([0] * 60 + [1] * 40) * 2),
        make_held_out([0] * 60 + [1] * 30), names, [50, 50] + [7] * (len(names) - 2),
        rules=[make_rule("wrong_label", 0.5, len(names), real_rejected=[0.013] * len(names)),
               make_rule("near_copy_of_train", 0.4, len(names), pooled=[False] + [True] * (len(names) - 1)),
               make_rule("unsafe", None, len(names), real_rejected=[None] * len(names))],
        stopped=["quota", "budget"] + ["stall"] * (len(names) - 2),
    )  # fmt: skip
    picture = PICTURE | {"width": 2 * side + 2}
    pair = {"picture": picture, "distance": 0.512, "name": names[0], "train_name": names[1]}
    item = {
        "picture": picture,
        "score": 0.123,
        "score_name": "x",
        "name": names[1],
        "taken_for": names[0],
        "alt": "rejected, accepted",
    }
    galleries = [
        {"reason": reason, "title": reason.replace("_", " "), "meaning": "the scorer doubts its label", "score": "p",
         "count": 79, "shows_resembled": twins, "items": [item, item | {"score": None, "taken_for": None}]}
        for reason, twins in (("wrong_label", False), ("near_copy_of_train", True))
    ]  # fmt: skip
    nearest = {"generated": [pair], "held_out": [pair | {"distance": 0.48}]}
    return describe_filters(results) | {"galleries": galleries, "nearest": nearest}


def inflate(value: Any, factor: int = 1_234_567) -> Any:
    """The same with all whole numbers that many times larger."""
    if isinstance(value, dict):
        return {key: inflate(entry, factor) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [inflate(entry, factor) for entry in value]
    return value * factor if isinstance(value, int) and not isinstance(value, bool) else value


def make_odd_filters() -> dict[str, Any]:
    """Forty classes, millions of images, wide pictures; nothing was accepted, and much was copied."""
    filters = inflate(make_filters(ODD_CLASSES))
    wide = PICTURE | {"width": 198}
    pairs = [{"picture": wide, "distance": 1234.5678, "name": name, "train_name": ODD_CLASSES[0]}
             for name in ODD_CLASSES[:8]]  # fmt: skip
    for row in filters["galleries"]:
        row["items"] = [{**row["items"][0], "picture": wide, "name": name} for name in ODD_CLASSES[:8]]
        row |= {"count": 160_493_825, "meaning": "of a meaning as long as people who explain things tend to write one"}
    filters["copying"]["whole"]["decision"] = "copies"
    return filters | {"nearest": {"generated": [], "held_out": pairs}, "safety_checked": True}


@cache
def make_inspection() -> dict[str, Any]:
    """Fourteen pictures of noise, one of them twice under two labels, and one that is blank."""
    images = np.random.default_rng(0).integers(0, 256, (14, 8, 8, 1), np.uint8)
    images[3], images[5] = images[2], 0
    pictures = make_pictures(images, np.arange(14) % len(CLASSES), ["train"] * 10 + ["validation"] * 4)
    found = inspect_pictures(pictures, count_pictures(pictures, tuple(CLASSES)), name="tiny")
    return collect_view(found, items=8, side=32)


SEARCHED = {
    "folds": 3,
    "steps": 800,
    "levels": {"flip": "off", "colour": "strong"},
    "gains": [
        {"factor": "flip", "level": "on", "against": "off", "gain": -0.0612, "standard_error": 0.012},
        {"factor": "colour", "level": "strong", "against": "off", "gain": 0.2, "standard_error": 0.021},
    ],
    "clash": 0.023,
    "lengths": [{"steps": 400, "score": 0.852}, {"steps": 800, "score": 0.9}],
}


def make_facts() -> dict[str, Any]:
    return {
        "expansion": "tiny", "evaluations": 3, "verdict": make_verdict(), "inspection": make_inspection(),
        "conversions": {"mode P to RGB": 3, "resized (crop)": 1_200},
        "mix": {"real": 50, "generated": 97, "real_weight": 10.0, "real_share": 0.8375},
        "examples": [{"name": CLASSES[0], "real": PICTURE, "generated": PICTURE},
                     {"name": CLASSES[1], "real": PICTURE, "generated": None}],
        "used": True, "usability": [make_usability()], "variants": [], "seeds": None, "imagination": [], "sheets": [],
        "classes": len(CLASSES), "prior": None, "unlabelled": None, "worth": None, "steps": None,
        "filters": make_filters(),
        "measures": describe_measures(list_measures(len(CLASSES)), CLASSES),
        "generator": {"kind": "flow", "parameters": 123_456, "training_images": 1920, "final_loss": 0.2,
                      "precision": "fp32", "best_step": 60},
        "generators": [],
        "losses": {"every": 20, "loss": [1.0, 0.5, 0.3]},
        "quality": [make_look(step, distance) for step, distance in ((30, 4.5), (60, 1.25))],
        "sampler": {"solver": "heun", "steps": 2, "precision": "fp32"}, "precision": "fp32",
        "parity": {"images": 1024, "share_equal": 0.9998, "share_beyond_one": 0.0, "max_difference": 1,
                   "passed": True},
        "search": SEARCHED,
        "controller": [],
        "scorer": {"cross_fitted_accuracy": 0.93, "temperature": 1.4, "negative_log_likelihood": 0.21},
        "trainings": [{"arm": arm, "kind": kind, "losses": [2.1, 1.2, 0.9], "steps": 60}
                      for arm, kind in (("real", "baseline"), ("flipped", "baseline"), ("grown", "expanded"))],
        "seconds": {"real_images": 0.4, "generator": 71.0},
        "fingerprints": {"real_images": {"version": 1, "fingerprint": "ab" * 32, "content": "cd" * 32}},
        "environment": {"cpu": "a processor", "python": "3.11.7", "libraries": {"torch": "2.13.0"}},
    }  # fmt: skip


def make_unused_facts() -> dict[str, Any]:
    """Facts of a run whose generator has not learnt: only arms without generated images."""
    facts = make_facts()
    verdict: dict[str, Any] = facts["verdict"]
    way = make_way("ensemble", "flipped", 5) | {"over_challenger": None}
    rates = [row | {"challenger": None, "difference": None} for row in verdict["per_class"]]
    verdict |= {
        "decision": "no evidence", "generator_used": False, "sentence": "The generator was not used: why.",
        "challenger": None, "contrasts": [], "shares": [], "same_compute": [way], "per_class": rates,
        "worst_class": None, "size_groups": [],
        "smallest_detectable_effect": None, "generators": 0,
        "arms": [arm for arm in verdict["arms"] if arm["kind"] == "baseline"],
    }  # fmt: skip
    return facts | {
        "mix": facts["mix"] | {"generated": 0, "real_share": 1.0},
        "examples": [row | {"generated": None} for row in facts["examples"]],
        "used": False, "usability": [make_usability(0.12, usable=False)], "filters": None, "measures": None,
        "sheets": [PICTURE | {"kind": kind} for kind in ("generated", "real")],
        "trainings": [training for training in facts["trainings"] if training["kind"] == "baseline"],
    }  # fmt: skip


ODD_CLASSES = [
    "Supercalifragilisticexpialidocious_without_any_place_to_break_the_line",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "a class that is named by a whole sentence, as some surveys of insects and of plants do",
    "電球と懐中電灯と街路灯を含む照明器具の分類名", "مصباح يدوي صغير", "<i>&amp;</i>", "-", "0",
    *(f"class_{number:02d}" for number in range(32)),
]  # fmt: skip
ODD_ARMS = ["flipped_cropped_rotated_and_weighted_by_class_frequency_without_generated_images", "grown" + "+mixup" * 12]


def make_odd_facts() -> dict[str, Any]:
    """Forty classes, names that do not break, figures at the ends of their ranges, wide strips, a lost expansion."""
    facts, verdict = make_facts(), make_verdict()
    baseline, challenger = ODD_ARMS
    strip = tile([np.full((8, 64, 48, 3), shade, np.uint8) for shade in (0, 120, 255)])
    picture = {"uri": to_data_uri(encode_sheet(strip)), "width": strip.shape[1], "height": strip.shape[0], "count": 24}
    verdict |= {
        "decision": "hurts", "challenger": challenger, "baseline": baseline, "test_images": 12_345_678,
        "sentence": f"Expansion hurts: {challenger} is 99.9 points behind {baseline}, the best arm without any.",
        "worst_class": ODD_CLASSES[0],
        "arms": [make_arm("real", "baseline", 0.99), make_arm(baseline, "baseline", 0.985),
                 make_arm(challenger, "expanded", 0.02), make_arm("x" * 90, "baseline", 0.99, "real")],
        "contrasts": [{"arm": challenger, "against": arm, "role": role, "difference": make_interval(-0.965, 0.0349)}
                      for arm, role in ((baseline, "decisive"), ("real", "condition"), ("x" * 90, "condition"))],
        "metric": "worst_class", "look": 2, "looks": 2, "generators": 3, "seeds": 200,
        "earlier_looks": [{"look": 1, "seeds": 100, "decision": "no evidence", "difference": make_interval(-0.5, 0.9)}],
        "size_groups": [{"name": name, "classes": 1_234, "least": 1_234_567, "most": 9_876_543,
                         "scores": {arm: 0.9999 for arm in ("real", baseline, challenger)}}
                        for name in ("head", "middle", "tail")],
        "curve": make_curve(baseline, challenger, 4_000_000),
        "same_compute": [make_way("ensemble", baseline, 200), make_way("mirrored", baseline, 2),
                         make_way("mirrored", challenger, 2)],
        "per_class": [{"label": label, "name": name, "images": 308_641, "baseline": 1.0, "challenger": 0.0004,
                       "difference": make_interval(-0.9996, 0.0003), "clear": True,
                       "train_images": 10 ** (label % 6)}
                      for label, name in enumerate(ODD_CLASSES)],
    }  # fmt: skip
    return facts | {
        "expansion": "expansion-with-a-very-long-name-of-the-kind-that-sweeps-over-settings-write-lr0.001-wd0.05",
        "evaluations": 1_234, "verdict": verdict,
        "conversions": {"named .jpeg, but something that is called by a very long name indeed": 1_234_567},
        "mix": {"real": 1_234_567, "generated": 123_456_789, "real_weight": 123456.0, "real_share": 0.999},
        "examples": [{"name": name, "real": picture, "generated": picture} for name in ODD_CLASSES],
        "filters": make_odd_filters(),
        "measures": describe_measures(list_measures(len(ODD_CLASSES)), ODD_CLASSES),
        "generator": facts["generator"] | {"parameters": 1_234_567_890, "training_images": 9_876_543_210},
        "losses": {"every": 1_000, "loss": [12_345.678, 0.000_123, 0.000_122]},
        "quality": [make_look(1_234_500, 98_765.4), make_look(60, 1e-7)],
        "parity": facts["parity"] | {"passed": False, "max_difference": 255, "share_beyond_one": 1e-7},
        "trainings": [{"arm": baseline, "kind": "baseline", "losses": [123.456, 0.000_12], "steps": 1_234_567},
                      {"arm": challenger, "kind": "expanded", "losses": [0.7], "steps": 1}],
        "seconds": {"real_images": 0.0, "generator": 1_234_567.8, "expanded_classifiers": 98_765.4},
        "environment": {"cpu": "A Processor With (R) Many (TM) Words @ 2.00GHz " * 3, "python": "3.11.7",
                        "libraries": {"torch": "2.13.0+git0123456789abcdef0123456789abcdef01234567"}},
    }  # fmt: skip


def measure_contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two #rrggbb colours."""
    levels = []
    for colour in (one, other):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        levels.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(levels) + 0.05) / (min(levels) + 0.05)
