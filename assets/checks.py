"""The checks of `ops.chain.checks` as Dagster asset checks. Blocking ones are errors, the others warnings."""

import dagster as dg

from assets.outcome import describe_metrics, growset_errors
from assets.place import Place
from ops.chain.checks import CHECKS, Check, run_check
from ops.chain.driver import Chain


def build_check(place: Place, check: Check) -> dg.AssetChecksDefinition:
    """One check of an expansion."""

    @dg.asset_check(
        asset=place.key(check.stage),
        name=check.name,
        blocking=check.blocking,
        description=check.examine.__doc__,
    )
    def examine(context: dg.AssetCheckExecutionContext, chain: dg.ResourceParam[Chain]) -> dg.AssetCheckResult:
        with growset_errors():
            finding = run_check(check, chain.workspace, place.expansion)
        return dg.AssetCheckResult(
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
            description=finding.sentence,
            metadata=describe_metrics(finding.figures),
        )

    return examine


def build_checks(place: Place) -> list[dg.AssetChecksDefinition]:
    """All checks of an expansion."""
    return [build_check(place, check) for check in CHECKS]
