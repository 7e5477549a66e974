"""Names of the files in the stages' output folders that one package writes and another one reads.

Names that stay within a package are its own: a generator's directory (`ops.generators.folder`), a scorer's, the arms'
networks. It knows nothing of what is in the files.
"""

from __future__ import annotations

CONTACT_SHEET = "contact_sheet.png"  # of real_images, generated_images and accepted_images
INDEX = "index.parquet"  # of accepted_images and mixed_dataset: one row an image, no pixels

GROUPS = "groups.parquet"  # of real_images, where the source has groups: the unit of each picture
DRAWS = "draws.parquet"  # of real_images: what long tail, nuisance and label noise drew for each image
PLAN = "plan.json"  # of expansion_plan
SEEDS = "seeds.parquet"  # there, too, where variants are made of some training images alone: which, and why

POLICY = "policy.json"  # of training_policy, as the next: what validation chose, {} where a recipe chooses nothing
SEARCH = "search.json"  # what each choice is worth

PRIOR = "prior.json"  # of prior: what it saw, {} where a recipe has none
TRAINED_ON = "trained_on.parquet"  # of prior and generator: ids of the images that it was trained on
PSEUDO_LABELS = "pseudo_labels.parquet"  # of generator, where it learns from a labelled pool: each image's label
PROBE = "probe.json"  # there, too: how these labels came about

LOSSES = "losses.json"  # of prior and generator, as the next two
LEARNING_CURVE = "learning_curve.json"  # quality at each checkpoint
SAMPLES = "samples-{step}.png"  # a sheet for each checkpoint; `*` for the step matches all
PARITY = "parity.json"  # of generator_onnx, as the next three: the exported sampler beside the eager one
PRECISION = "precision.json"  # a faster variant beside fp32
USABILITY = "usability.json"  # where its images lie between empty and real ones
GATE = "gate.json"  # of kinds that make variants: in which classes they are used
IMAGINATION = "imagination.json"  # where a recipe imagines: all values that images are drawn with
IMAGINATION_FACTS = "imagination-facts.json"  # there, too: what was asked for, and what the scorer is worth
IMAGINATION_SCORER = "imagination-scorer.safetensors"  # there, too: numbers of a scorer that is not the stage's
IMAGINATION_SHEET = "imagination.png"  # there, too: a row for each class, from seed image to variant

GENERATED = "generated"  # of generated_images: what the names of its shards begin with
ROUNDS = "rounds.json"  # of generated_images and accepted_images
IMAGINED = "imagined.parquet"  # of generated_images, where a recipe imagines: how each image came about
DRAWN = "drawn.parquet"  # there, where a generator is told texts: each image's prompt, and whether it was flagged
HELD_OUT_SCORES = "held_out_scores.parquet"  # of both, too
RULES = "rules.json"  # of accepted_images, as the next two
REJECTED_SHEET = "rejected_sheet.png"
QUALITY = "quality.json"  # metrics of the accepted images as a set

TEACHERS = "teachers.json"  # names of the arms whose networks lie beside it
RESULTS = "results.json"  # of baseline_classifiers and expanded_classifiers
LABEL_CURVE = "label_curve.json"  # of label_curve: accuracy against labels, {} where a recipe asks for no worth
FOLDS = "folds.json"  # of folds, as the next: what each fold found, {} where a recipe has no folds
FOLD_ANSWERS = "answers.parquet"  # each network's answers about the test images of its fold
VERDICT = "verdict.json"  # of verdict, and in a published dataset
RUNS = "runs.parquet"  # of verdict: each network's answers about the test images
REPORT = "report.html"  # of report
WORTH = "worth.json"  # of report, where a recipe asks for it, and in a published dataset: gains as real labels

DATA = "data"  # of a published dataset: the folder of its shards
CARD = "README.md"  # of a published dataset
