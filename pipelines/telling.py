"""Tell people what happened: in the log, to a webhook, by e-mail.

`GROWSET_WEBHOOK`, if it is set, gets a JSON object whose `text` is the sentence, as chat systems take it. With
`GROWSET_EMAIL_*` Dagster's own functions send it by e-mail. Addresses and passwords come from the environment alone and
are never part of a message or a log. Nothing is sent twice: if it does not arrive, the log says so.
"""

import html
import http.client
import json
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster import DefaultSensorStatus
from dagster._utils.alert import EMAIL_MESSAGE, send_email_via_ssl, send_email_via_starttls

from ops.errors import UserError

WEBHOOK, MAIL = "GROWSET_WEBHOOK", "GROWSET_EMAIL_"
NEEDED, OPTIONAL = ("FROM", "TO", "HOST", "PASSWORD"), ("USER", "PORT", "SECURITY")  # of MAIL
# How the sensors that tell look; they are on from the start.
EVERY_MINUTE: dict[str, Any] = {"minimum_interval_seconds": 60, "default_status": DefaultSensorStatus.RUNNING}
TIMEOUT = 10  # seconds for the webhook, or the mail server, to answer
PORTS = {"SSL": 465, "STARTTLS": 587}
_MAILING = threading.Lock()


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


@dataclass(frozen=True)
class Way:
    """A way to tell: what the names of its sensors begin with, a verb for their descriptions, and the act."""

    prefix: str
    verb: str
    tell: Tell


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


def find_ways(environment: Mapping[str, str]) -> list[Way]:
    """The log with the webhook, and e-mail if it is set up. Each has sensors of its own: if a mail server does not
    answer, the others tell all the same. UserError as `check_environment`."""
    check_environment(environment)
    ways = [Way("", "Logs", log_and_post)]
    if (mail := read_mail(environment)) is not None:
        ways.append(Way("mail_", "Sends an e-mail on", lambda alert, log: log_unsent(mail, alert, log)))
    return ways


def log_and_post(alert: Alert, log: Any) -> None:
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


def log_unsent(mail: Mail, alert: Alert, log: Any) -> None:
    if fault := send_mail(mail, alert):
        log.warning(f"no e-mail was sent: {fault}")


def send_mail(mail: Mail, alert: Alert) -> str | None:
    """Send an alert by Dagster's own functions; returns what went wrong, without what the server says: it may name
    receivers. They send HTML in ASCII, so everything else is escaped."""
    text = html.escape(alert.text).encode("ascii", "xmlcharrefreplace").decode()
    message = EMAIL_MESSAGE.format(
        email_to=",".join(mail.receivers),
        email_from=mail.sender,
        email_subject=f"Growset: {alert.expansion}: {alert.event.replace('_', ' ')}",
        email_body=f"<p>{text}</p>" + f"<p>run {alert.run}</p>" * bool(alert.run),
        randomness=datetime.now(),
    )
    send = send_email_via_ssl if mail.security == "SSL" else send_email_via_starttls
    try:
        with _limit_sockets(TIMEOUT):
            send(mail.sender, mail.password, mail.receivers, message, mail.host, mail.port, mail.user)
    except (OSError, ValueError) as error:  # smtplib's are OSErrors; ValueError: an address or password is not ASCII
        return f"{mail.security} to the server in {MAIL}HOST failed ({type(error).__name__})"
    return None


@contextmanager
def _limit_sockets(seconds: float) -> Iterator[None]:
    """The time that sockets wait which are opened in here. It is of the whole process, and Dagster's functions have no
    other way; so one mail is sent at a time."""
    with _MAILING:
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(seconds)
        try:
            yield
        finally:
            socket.setdefaulttimeout(before)
