"""One look at test images: the evaluation log first, then the answers of networks and of the reference model.

Every look is in the log before a pixel is opened. What was answered before an interruption is not asked again. The
module does not know what the answers decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ops.chain.parts.answers import Answers, Network, evaluate, find_unevaluated, read_answers
from ops.chain.parts.external_networks import open_reference_network
from ops.chain.parts.reference import LOGGED, evaluate_reference, is_evaluated
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import read_rows, read_split
from ops.datasets.shards import find_shards
from ops.stages.materialization import StageRun
from ops.verdict.evaluation_count import find_looks_at, read_evaluations
from ops.verdict.evaluation_log import Evaluation, append_evaluation


def look(
    run: StageRun, networks: Sequence[Network], real: Path, baselines: Path, scratch: Path, *, label: str
) -> dict[str, dict[int, Answers]]:
    """Answers by arm and seed about the test images of `real`, a `real_images` folder.

    baselines: the folder of the stage that fitted the reference model, whose answers `read_reference` finds in
    `scratch` afterwards. label: of the progress. The recipe's `verdict.reference` is read.
    """
    unevaluated, has_reference = find_unevaluated(networks, scratch), is_evaluated(scratch)
    if unevaluated or not has_reference:
        _log(run, unevaluated, real, has_reference=has_reference)
        test = read_split(real, "test")
        if not has_reference:
            others = open_reference_network(run.recipe.verdict.reference, run.workspace.root)
            evaluate_reference(baselines, test, scratch, others)
        evaluate(
            unevaluated,
            to_nchw(test.images),
            test.labels,
            scratch=scratch,
            workers=run.runtime.workers,
            progress=run.runtime.progress(label, len(unevaluated), "networks"),
        )
    answers: dict[str, dict[int, Answers]] = {}
    for network in networks:
        answers.setdefault(network.arm, {})[network.seed] = read_answers(network, scratch)
    return answers


def _log(run: StageRun, networks: Sequence[Network], real: Path, *, has_reference: bool) -> None:
    """Write the look to the log, and to the log's copy."""
    looks = find_looks_at(run.workspace, run.expansion, read_rows(find_shards(real, "test")))
    append_evaluation(
        run.workspace.evaluations,
        Evaluation(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            expansion=run.expansion,
            split="test",
            fingerprint=run.fingerprint,
            arms=[*dict.fromkeys(network.arm for network in networks), *([] if has_reference else [LOGGED])],
            seeds=list(dict.fromkeys(network.seed for network in networks)),
            images=looks.images,
            content=looks.content,
            elsewhere=looks.elsewhere,
            absorbed=looks.absent,
        ),
    )
    read_evaluations(run.workspace)
