"""The checks of `ops.chain.checks` as Dagster asset checks. Blocking ones are errors, the others warnings."""

import warnings

import dagster as dg

from assets.outcome import describe_metrics, growset_errors
from ops.chain.checks import CHECKS, Check, run_check
from ops.chain.driver import Chain


def build_check(check: Check, partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    """One check, evaluated per expansion."""

    @dg.asset_check(
        asset=check.stage,
        name=check.name,
        blocking=check.blocking,
        description=check.examine.__doc__,
        partitions_def=partitions,
    )
    def examine(context: dg.AssetCheckExecutionContext, chain: dg.ResourceParam[Chain]) -> dg.AssetCheckResult:
        with growset_errors():
            finding = run_check(check, chain.workspace, context.partition_key)
        return dg.AssetCheckResult(
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
            description=finding.sentence,
            metadata=describe_metrics(finding.figures),
        )

    return examine


def build_checks(partitions: dg.PartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """All checks. The warning that `partitions_def` on a check is a preview, repeated for each check, is silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [build_check(check, partitions) for check in CHECKS]
