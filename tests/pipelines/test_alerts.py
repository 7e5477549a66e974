"""Alerts: what is told of a failed run, a blocking check and a verdict that turned, and to whom; no secret leaks."""

import http.server
import json
import logging
import smtplib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.place import Place
from ops.errors import UserError
from ops.workspaces.workspace import Workspace
from pipelines import telling
from pipelines.alerts import build_alerts, explain_failure
from pipelines.recipe_faults import State, compare_states
from pipelines.telling import WEBHOOK, Alert, check_environment, find_ways, log_and_post, post, read_mail, send_mail
from tests.workspaces import growset

MAIL = {
    "GROWSET_EMAIL_FROM": "growset@example.org",
    "GROWSET_EMAIL_TO": "a@example.org, b@example.org",
    "GROWSET_EMAIL_HOST": "mail.example.org",
    "GROWSET_EMAIL_PASSWORD": "pa55word",
}
ALERT = Alert("run_failed", "digits", "1234", "digits: the run failed: <b>Fréchet</b> & more")
PLACE = Place("digits", {}, None)
NOWHERE = Workspace(Path("nowhere"))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


class Hook:
    """A web server on this machine that keeps what it is told."""

    def __init__(self, status: int = 200) -> None:
        self.told: list[dict[str, Any]] = []
        told = self.told

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *arguments: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/s3cr3t"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_a_webhook_gets_the_sentence_as_chats_take_it() -> None:
    hook = Hook()
    assert post(hook.address, ALERT) is None
    hook.close()
    assert hook.told == [{"text": ALERT.text, "event": "run_failed", "expansion": "digits", "run": "1234"}]


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/s3cr3t", "https://s3cr3t.invalid/x", "http://[s3cr3t", None])
def test_a_webhook_that_does_not_take_it_is_logged_without_its_address(
    address: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hook = Hook(500)
    monkeypatch.setenv(WEBHOOK, address or hook.address)
    log_and_post(ALERT, logging.getLogger("tick"))
    hook.close()
    first, second = [record.getMessage() for record in caplog.records]
    assert first == ALERT.text and second.startswith("the address in GROWSET_WEBHOOK was not told: it ")
    assert "s3cr3t" not in caplog.text and ("500" in second) == (address is None)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"GROWSET_EMAIL_FROM": "a@b.c"}, "GROWSET_EMAIL_TO is not set, and e-mail needs GROWSET_EMAIL_FROM,"),
        ({**MAIL, "GROWSET_EMAIL_SECURITY": "none"}, "GROWSET_EMAIL_SECURITY is 'none'; allowed: SSL and STARTTLS"),
        ({**MAIL, "GROWSET_EMAIL_PORT": "0"}, "GROWSET_EMAIL_PORT is '0'; allowed: 1 to 65535"),
        ({**MAIL, "GROWSET_EMAIL_TO": "a@b.c\nBcc: d@e.f"}, "GROWSET_EMAIL_TO must hold addresses"),
        ({**MAIL, "GROWSET_EMAIL_TO": " , "}, "GROWSET_EMAIL_TO must hold addresses"),
        ({WEBHOOK: "file:///s3cr3t"}, "GROWSET_WEBHOOK must be an address that begins with https:// or http://"),
    ],
)
def test_an_incomplete_environment_is_one_sentence_without_its_values(
    environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        check_environment(environment)
    assert sentence in str(caught.value)
    assert "pa55word" not in str(caught.value) and "s3cr3t" not in str(caught.value)


def test_the_ui_says_so_before_it_starts(fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROWSET_EMAIL_FROM", "a@example.org")
    result = growset(fresh_workspace, "ui")
    assert result.exit_code == 2 and "GROWSET_EMAIL_TO is not set" in result.output


@pytest.mark.parametrize("security", ["SSL", "STARTTLS"])
def test_an_e_mail_is_sent_by_dagsters_functions(security: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Server:
        def __init__(self, host: str, port: int, **options: object) -> None:
            sent.append((host, port))

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *error: object) -> None: ...

        def starttls(self, **options: object) -> None:
            sent.append("starttls")

        def login(self, user: str, password: str) -> None:
            sent.append((user, password))

        def sendmail(self, sender: str, receivers: tuple[str, ...], message: str) -> None:
            sent.append((sender, receivers, message.encode("ascii").decode()))

    monkeypatch.setattr(smtplib, "SMTP_SSL" if security == "SSL" else "SMTP", Server)
    mail = read_mail({**MAIL, "GROWSET_EMAIL_SECURITY": security})
    assert mail is not None
    assert send_mail(mail, ALERT) is None
    (place, *tls, login, (sender, receivers, message)) = sent
    assert (place, tls) == (("mail.example.org", 465 if security == "SSL" else 587), ["starttls"] * (security != "SSL"))
    assert login == ("growset@example.org", "pa55word") and sender == "growset@example.org"
    assert receivers == ("a@example.org", "b@example.org")
    assert "Subject: Growset: digits: run failed\n" in message and "pa55word" not in message
    assert "&lt;b&gt;Fr&#233;chet&lt;/b&gt; &amp; more" in message


@pytest.mark.parametrize(("security", "fault"), [("SSL", "TimeoutError"), ("STARTTLS", "SMTPServerDisconnected")])
def test_a_mail_server_that_does_not_answer_is_waited_for_no_longer_than_a_webhook(
    security: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        late = threading.Timer(20, silent.close)  # so that a missing limit fails
        late.start()
        place = {"HOST": "127.0.0.1", "PORT": str(silent.getsockname()[1]), "SECURITY": security}
        mail = read_mail(MAIL | {f"GROWSET_EMAIL_{name}": value for name, value in place.items()})
        assert mail is not None
        assert send_mail(mail, ALERT) == f"{security} to the server in GROWSET_EMAIL_HOST failed ({fault})"
        late.cancel()
    assert socket.getdefaulttimeout() is None


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The receivers whom a mail server was asked for; it refuses them, and the last password, which is not ASCII."""
    found: list[str] = []

    class Server:
        def __init__(self, *place: object, **options: object) -> None: ...

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *error: object) -> None: ...

        def login(self, user: str, password: str) -> None:
            password.encode("ascii")

        def sendmail(self, sender: str, receivers: tuple[str, ...], message: str) -> None:
            found.extend(receivers)
            raise smtplib.SMTPRecipientsRefused({name: (550, b"unknown") for name in receivers})

    monkeypatch.setattr(smtplib, "SMTP_SSL", Server)
    return found


@pytest.mark.parametrize(
    ("password", "fault"), [("pa55word", "SMTPRecipientsRefused"), ("pä55wort", "UnicodeEncodeError")]
)
def test_a_mail_that_is_refused_is_logged_without_receivers_and_the_next_one_is_sent(
    instance: dg.DagsterInstance, tried: list[str], password: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    (*_, way) = find_ways({**MAIL, "GROWSET_EMAIL_PASSWORD": password})
    for _ in range(2):
        way.tell(ALERT, logging.getLogger("tick"))
    sentence = f"no e-mail was sent: SSL to the server in GROWSET_EMAIL_HOST failed ({fault})"
    assert [record.getMessage() for record in caplog.records] == [sentence] * 2
    assert len(tried) == (4 if password.isascii() else 0)
    assert "@example.org" not in caplog.text and "55wo" not in caplog.text


def test_a_verdict_whose_mail_is_refused_is_told_once(instance: dg.DagsterInstance, tried: list[str]) -> None:
    @dg.job(name="expand_digits")
    def job() -> None: ...

    jobs: Any = [job]
    *_, sensor = build_alerts(NOWHERE, [PLACE], jobs, MAIL)
    assert sensor.name == "mail_verdict_turned"
    cursor: str | None = None
    for decision in ("helps", "hurts", "hurts"):
        judge(instance, decision)
        cursor = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor)).cursor
    assert tried == ["a@example.org", "b@example.org"]


def test_each_way_has_its_own_sensors_and_they_are_on() -> None:
    @dg.job(name="expand_digits")
    def job() -> None: ...

    jobs: Any = [job]
    names = ["recipe_is_wrong", "run_failed", "verdict_turned"]
    assert [sensor.name for sensor in build_alerts(NOWHERE, [PLACE], jobs, {})] == names
    assert [sensor.name for sensor in build_alerts(NOWHERE, [], [], {})] == names[:1]
    sensors = build_alerts(NOWHERE, [PLACE], jobs, MAIL)
    assert [sensor.name for sensor in sensors][3:] == [f"mail_{name}" for name in names]
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.RUNNING}


@dg.asset(key=["digits", "scorer"])
def scorer(context: dg.AssetExecutionContext) -> None:
    if "broken" in context.run.tags:
        raise dg.Failure("the remote s3://me:s3cr3t@host/x?token=s3cr3t\ncannot be reached") from ValueError("x")


@dg.asset(key=["digits", "generator"], deps=[scorer])
def generator() -> None: ...


@dg.asset_check(asset=["digits", "scorer"], blocking=True, name="scorer_is_usable")
def usable(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    passed = "blocked" not in context.run.tags
    return dg.AssetCheckResult(passed=passed, description="its accuracy is chance. Train it for more steps")


def run_small(instance: dg.DagsterInstance, *tags: str) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        assets=[scorer, generator],
        asset_checks=[usable],
        jobs=[dg.define_asset_job("expand_digits", run_tags={"growset/expansion": "digits"})],
    )
    job = definitions.resolve_job_def("expand_digits")
    return job.execute_in_process(instance=instance, tags=dict.fromkeys(tags, "yes"), raise_on_error=False)


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("broken", "digits__scorer: the remote s3://***@host/x?*** cannot be reached"),
        ("blocked", "a check blocks: scorer: scorer_is_usable: its accuracy is chance. Train it for more steps"),
    ],
)
def test_a_failed_run_is_told_with_its_reason_and_without_credentials(
    instance: dg.DagsterInstance, tag: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Hook()
    monkeypatch.setenv(WEBHOOK, hook.address)
    result = run_small(instance, tag)
    assert not result.success and explain_failure(instance, result.run_id) == told
    _, sensor, _ = build_alerts(NOWHERE, [PLACE], [result.job_def], {})
    (event,) = [event for event in result.all_events if event.event_type == dg.DagsterEventType.PIPELINE_FAILURE]
    context = dg.build_run_status_sensor_context("run_failed", event, instance, result.dagster_run).for_run_failure()
    sensor(context)
    hook.close()
    (heard,) = hook.told
    assert heard["text"] == f"digits: the run failed: {told}" and heard["run"] == result.run_id


def test_a_failed_run_of_selected_assets_is_told_if_its_expansion_runs_by_itself(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The UI runs them through a job of Dagster's own, and a run that fails early has no tag."""
    told: list[str] = []
    monkeypatch.setattr(telling, "log_and_post", lambda alert, log: told.append(alert.text))
    _, sensor, _ = build_alerts(NOWHERE, [PLACE], [], {})

    @dg.asset(key=["other", "scorer"])
    def other() -> None:
        raise ValueError("not by itself")

    job = dg.Definitions(assets=[scorer, other]).resolve_implicit_global_asset_job_def()
    cursor: str | None = None
    for asset in (None, "other", "digits"):
        if asset:
            keys = [dg.AssetKey([asset, "scorer"])]
            job.execute_in_process(
                instance=instance, asset_selection=keys, tags={"broken": "yes"}, raise_on_error=False
            )
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
        cursor = tick.cursor
        assert asset != "other" or "is of no expansion that runs by itself" in (tick.skip_message or "")
    (only,) = told
    assert only.startswith("digits: the run failed: digits__scorer: the remote s3://***@host")


def judge(instance: dg.DagsterInstance, decision: str, *, used: bool = True) -> None:
    @dg.asset(key=["digits", "verdict"])
    def verdict() -> dg.MaterializeResult:
        metadata = {"decision": decision, "generator_used": used, "sentence": f"It {decision}."}
        return dg.MaterializeResult(metadata=metadata)

    dg.materialize([verdict], instance=instance)


def test_a_verdict_that_turns_is_told_once(instance: dg.DagsterInstance) -> None:
    @dg.job(name="expand_digits")
    def job() -> None: ...

    jobs: Any = [job]
    *_, sensor = build_alerts(NOWHERE, [PLACE], jobs, {})
    cursor: str | None = None

    def tick() -> str | None:
        nonlocal cursor
        found = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
        cursor = found.cursor
        return found.skip_message

    quiet = "no verdict has turned"
    assert tick() == quiet, "there is none"
    judge(instance, "helps")
    assert tick() == quiet, "it is the first"
    judge(instance, "helps")
    assert tick() == quiet
    judge(instance, "no evidence")
    assert tick() == "digits: the verdict was helps and is no evidence: It no evidence."
    assert tick() == quiet
    judge(instance, "no evidence", used=False)
    assert (tick() or "").startswith("digits: the verdict was no evidence and is no evidence, without its generator")
    key = dg.AssetKey(["digits", "verdict"])
    instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata={"decision": "hurts"}))
    assert tick() == quiet, "data that was checked out is no new verdict"


def test_a_recipe_that_ran_by_itself_and_is_wrong_now_is_told_once_at_the_second_look() -> None:
    wrong, other = State(True, "unknown key 'mix.weight'"), State(True, "key 'mix' is missing")
    states, alerts = compare_states({"digits": State(True)}, {"digits": wrong})
    assert not alerts, "`dvc exp run` resets recipes for a moment"
    states, (alert,) = compare_states(states, {"digits": wrong})
    assert alert.text == "digits: its recipe is wrong, and nothing of it runs: unknown key 'mix.weight'"
    assert compare_states(states, {"digits": states["digits"]})[1] == []
    states, alerts = compare_states(states, {"digits": other})
    assert not alerts and len(compare_states(states, {"digits": other})[1]) == 1
    by_hand = {"digits": State(False, "unknown key")}
    assert compare_states(by_hand, by_hand)[1] == [], "whoever runs it sees the fault"


def test_recipes_are_looked_at_as_they_are_now(fresh_workspace: Path, instance: dg.DagsterInstance) -> None:
    recipe = fresh_workspace / "recipes" / "digits.yaml"
    text = recipe.read_text() + "automation: {on_new_images: true}\n"
    (sensor,) = build_alerts(Workspace(fresh_workspace), [], [], {})
    cursor: str | None = None
    told = []
    for content in (text, text.replace("real_weight", "weight"), text.replace("real_weight", "weight"), text):
        recipe.write_text(content)
        found = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
        cursor = found.cursor
        told.append((found.skip_message or "", json.loads(cursor or "{}")["digits"]["told"]))
    assert [known for _, known in told] == [False, False, True, False]
    assert told[0][0] == told[3][0] == "every recipe that runs by itself is valid"
    assert "unknown key 'mix.weight'" in told[1][0]
