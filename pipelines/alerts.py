"""Tell people that a run failed, which includes a check that blocks, or that a verdict turned.

Everything is logged. `GROWSET_WEBHOOK`, if it is set, gets a JSON object whose `text` is the sentence, as chat systems
take it. With `GROWSET_EMAIL_*` Dagster's own functions send it by e-mail. Addresses and passwords come from the
environment alone and are never part of a message or a log.
"""

import html
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._utils.alert import EMAIL_MESSAGE, send_email_via_ssl, send_email_via_starttls

from assets.place import EXPANSION, Place
from ops.errors import UserError, hide_credentials

WEBHOOK, MAIL = "GROWSET_WEBHOOK", "GROWSET_EMAIL_"
NEEDED, OPTIONAL = ("FROM", "TO", "HOST", "PASSWORD"), ("USER", "PORT", "SECURITY")  # of MAIL
TIMEOUT = 10  # seconds for the webhook to answer
PORTS = {"SSL": 465, "STARTTLS": 587}
LONGEST = 1_000  # characters of a reason


@dataclass(frozen=True)
class Mail:
    """How e-mail is sent; `security` is SSL or STARTTLS."""

    sender: str
    receivers: tuple[str, ...]
    host: str
    port: int
    user: str
    password: str
    security: str


@dataclass(frozen=True)
class Alert:
    """What is told: the kind of event, the expansion, the run, and a sentence."""

    event: str
    expansion: str
    run: str
    text: str


Tell = Callable[[Alert, Any], None]  # with the log of the tick


def check_environment(environment: Mapping[str, str]) -> None:
    """UserError if the variables that say whom to tell are incomplete or wrong; their values are not repeated."""
    read_mail(environment)
    if (address := environment.get(WEBHOOK)) and not address.startswith(("https://", "http://")):
        raise UserError(f"{WEBHOOK} must be an address that begins with https:// or http://")


def read_mail(environment: Mapping[str, str]) -> Mail | None:
    """The settings in `GROWSET_EMAIL_*`; None if none is set, UserError if one is missing or wrong."""
    given = {name: environment[f"{MAIL}{name}"] for name in (*NEEDED, *OPTIONAL) if environment.get(f"{MAIL}{name}")}
    if not given:
        return None
    if missing := [name for name in NEEDED if name not in given]:
        raise UserError(f"{MAIL}{missing[0]} is not set, and e-mail needs {', '.join(MAIL + name for name in NEEDED)}")
    security = given.get("SECURITY", "SSL")
    if security not in PORTS:
        raise UserError(f"{MAIL}SECURITY is {security!r}; allowed: {' and '.join(PORTS)}")
    port = given.get("PORT", str(PORTS[security]))
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"{MAIL}PORT is {port!r}; allowed: 1 to 65535")
    receivers = tuple(part.strip() for part in given["TO"].split(",") if part.strip())
    for name, address in [("FROM", given["FROM"]), *(("TO", receiver) for receiver in receivers or [""])]:
        if "@" not in address or any(sign.isspace() for sign in address):
            raise UserError(f"{MAIL}{name} must hold addresses such as you@example.org, with commas between several")
    user = given.get("USER", given["FROM"])
    return Mail(given["FROM"], receivers, given["HOST"], int(port), user, given["PASSWORD"], security)


def build_alerts(
    places: Sequence[Place], jobs: Sequence[UnresolvedAssetJobDefinition], environment: Mapping[str, str]
) -> list[dg.SensorDefinition]:
    """Sensors that tell of the expansions' runs and verdicts. E-mail has its own ones: if a server does not answer,
    the others tell all the same."""
    check_environment(environment)
    ways: list[tuple[str, str, Tell]] = [("", "Logs", _log_and_post)]
    if (mail := read_mail(environment)) is not None:
        ways.append(("mail_", "Sends an e-mail on", lambda alert, log: send_mail(mail, alert)))
    return [
        sensor
        for prefix, verb, tell in ways
        for sensor in (
            _build_failure_sensor(f"{prefix}run_failed", verb, jobs, tell),
            _build_verdict_sensor(f"{prefix}verdict_turned", verb, places, tell),
        )
    ]


def _log_and_post(alert: Alert, log: Any) -> None:
    log.warning(alert.text)
    if (address := os.environ.get(WEBHOOK)) and (fault := post(address, alert)):
        log.warning(f"the address in {WEBHOOK} was not told: {fault}")


def post(address: str, alert: Alert) -> str | None:
    """Send an alert to a webhook; returns what went wrong, without the address, which may hold a secret."""
    body = json.dumps({"text": alert.text, "event": alert.event, "expansion": alert.expansion, "run": alert.run})
    try:
        request = urllib.request.Request(address, body.encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            return None
    except urllib.error.HTTPError as error:
        return f"it answered {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None)
        return f"it cannot be reached ({type(reason if isinstance(reason, Exception) else error).__name__})"


def send_mail(mail: Mail, alert: Alert) -> None:
    """Send an alert by Dagster's own functions. They send HTML in ASCII, so everything else is escaped."""
    text = html.escape(alert.text).encode("ascii", "xmlcharrefreplace").decode()
    message = EMAIL_MESSAGE.format(
        email_to=",".join(mail.receivers),
        email_from=mail.sender,
        email_subject=f"Growset: {alert.expansion}: {alert.event.replace('_', ' ')}",
        email_body=f"<p>{text}</p><p>run {alert.run}</p>",
        randomness=datetime.now(),
    )
    send = send_email_via_ssl if mail.security == "SSL" else send_email_via_starttls
    send(mail.sender, mail.password, mail.receivers, message, mail.host, mail.port, mail.user)


def _build_failure_sensor(
    name: str, verb: str, jobs: Sequence[UnresolvedAssetJobDefinition], tell: Tell
) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name=name,
        monitored_jobs=list(jobs),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"{verb} every failed run of an expansion with `automation:`, with the sentence of its fault.",
    )
    def run_failed(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        expansion = run.tags.get(EXPANSION, run.job_name)
        why = explain_failure(context.instance, run.run_id)
        tell(Alert("run_failed", expansion, run.run_id, f"{expansion}: the run failed: {why}"), context.log)

    return run_failed


def explain_failure(instance: dg.DagsterInstance, run_id: str) -> str:
    """Why a run failed, in one line: the checks that block, else the first step that failed."""
    kinds = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.STEP_FAILURE}
    events = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=kinds) if entry.dagster_event]
    blocked = []
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if not found.passed and found.blocking:
                blocked.append(f"{found.asset_key.path[-1]}: {found.check_name}: {found.description}")
    if blocked:
        return _shorten(f"a check blocks: {'; '.join(blocked)}")
    for event in events:
        if event.is_step_failure:
            data = event.step_failure_data
            told = data.user_failure_data.description if data.user_failure_data else None
            error = data.error.cause or data.error if data.error else None
            return _shorten(f"{event.step_key}: {told or (error.message if error else 'no reason is known')}")
    return "its process was ended, or it never started"


def _shorten(text: str) -> str:
    line = " ".join(hide_credentials(text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _build_verdict_sensor(name: str, verb: str, places: Sequence[Place], tell: Tell) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"{verb} every verdict that differs from the one before it, of an expansion with `automation:`.",
    )
    def verdict_turned(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known: dict[str, Any] = json.loads(context.cursor or "{}")
        now: dict[str, Any] = {}
        turned = []
        for place in places:
            found = read_verdict(context.instance, place)
            before = known.get(place.expansion)
            now[place.expansion] = before if found is None else found.state
            if found is not None and before is not None and before != found.state:
                text = f"{place.expansion}: the verdict was {before} and is {found.state}: {found.sentence}"
                turned.append(Alert("verdict_turned", place.expansion, found.run, text))
        for alert in turned:
            tell(alert, context.log)
        told = "; ".join(alert.text for alert in turned) or "no verdict has turned"
        return dg.SensorResult(skip_reason=told, cursor=json.dumps(now))

    return verdict_turned


@dataclass(frozen=True)
class Found:
    """The verdict that a run made: its decision in words, its sentence, and the run."""

    state: str
    sentence: str
    run: str


def read_verdict(instance: dg.DagsterInstance, place: Place) -> Found | None:
    """The last verdict of an expansion in the history; None if there is none, or if no run here made it."""
    records = instance.fetch_materializations(place.key("verdict"), limit=1).records
    made = records[0].asset_materialization if records else None
    if made is None or not records[0].run_id:
        return None
    values = {name: value.value for name, value in made.metadata.items()}
    unused = "" if values.get("generator_used", True) else ", without its generator"
    return Found(f"{values.get('decision')}{unused}", str(values.get("sentence")), records[0].run_id)
