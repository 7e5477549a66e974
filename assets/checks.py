"""The checks of an expansion as Dagster asset checks. Blocking ones are errors, the others warnings."""

import dagster as dg

from assets.figures import describe_metrics
from assets.outcome import growset_errors
from assets.place import Place
from ops.chain.checks import CHECKS, Check, run_check
from ops.chain.driver import Chain
from ops.chain.findings import Finding
from ops.files.manifests import PUBLISHED

REMOTE_VERIFIED = "remote_verified"


def build_check(place: Place, check: Check) -> dg.AssetChecksDefinition:
    """One check of a stage's output."""

    @dg.asset_check(
        asset=place.key(check.stage),
        name=check.name,
        blocking=check.blocking,
        description=f"{check.examine.__doc__} If it fails: {check.remedy}.",
    )
    def examine(context: dg.AssetCheckExecutionContext, chain: dg.ResourceParam[Chain]) -> dg.AssetCheckResult:
        with growset_errors():
            return _report(run_check(check, chain.workspace, place.expansion), blocking=check.blocking)

    return examine


def build_remote_check(place: Place) -> dg.AssetChecksDefinition:
    """The check of the published dataset's copy in the remote, to be repeated from its page at any time."""

    @dg.asset_check(
        asset=place.key(PUBLISHED),
        name=REMOTE_VERIFIED,
        description="Every object of the published dataset is in the remote, with the size that was sent."
        " If it fails: `growset push` sends what is missing.",
    )
    def examine(context: dg.AssetCheckExecutionContext, chain: dg.ResourceParam[Chain]) -> dg.AssetCheckResult:
        from ops.chain.remote_check import examine_remote

        with growset_errors():
            return _report(examine_remote(chain.workspace, place.expansion), blocking=False)

    return examine


def _report(finding: Finding, *, blocking: bool) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
        description=finding.told,
        metadata=describe_metrics(finding.figures),
    )


def build_checks(place: Place) -> list[dg.AssetChecksDefinition]:
    """All checks of an expansion."""
    return [*(build_check(place, check) for check in CHECKS), build_remote_check(place)]
