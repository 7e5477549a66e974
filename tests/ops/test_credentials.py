"""What is hidden of addresses and of the environment, and that no sentence of ours and no cause shows it."""

import traceback
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ops.errors import (
    DamagedData,
    EnvironmentFault,
    UserError,
    clean,
    find_credentials,
    hide_credentials,
    raise_clean,
)
from ops.sources.remote import update_mirror


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host/a", "https://***@host/a"),
        ("https://me@host/a", "https://***@host/a"),
        ("s3://AKIA:abc/def+g@bucket/images", "s3://***@bucket/images"),
        ("s3:/AKIA:abc@bucket", "s3:/***@bucket"),
        ("https://host:8080/a@v1/b", "https://host:8080/a@v1/b"),
        ("hf://datasets/me/set@main/data", "hf://datasets/me/set@main/data"),
        ("https://host/a.tar?X-Amz-Signature=abc&x=1", "https://host/a.tar?***"),
        ("https://me:secret@host/a?token=abc cannot be reached", "https://***@host/a?*** cannot be reached"),
        ("two: ftp://a:b@c and ssh://d:e@f:22/g", "two: ftp://***@c and ssh://***@f:22/g"),
        ("HTTPS://Me:Secret@Host/", "HTTPS://***@Host/"),
        ("http://127.0.0.1:3000/graphql", "http://127.0.0.1:3000/graphql"),
        ("/home/me@work/images: is none", "/home/me@work/images: is none"),
        ("mail me@example.org, why?", "mail me@example.org, why?"),
        ("exceeded with url: /a?X-Amz-Signature=abc&x=1", "exceeded with url: /a?X-Amz-Signature=***&x=1"),
        ("/a?page=2&access_token=abc (refused)", "/a?page=2&access_token=*** (refused)"),
        ("plan.ratio=2 is what = means? key=a", "plan.ratio=2 is what = means? key=a"),
    ],
)
def test_who_logs_in_and_what_is_asked_are_hidden(text: str, shown: str) -> None:
    assert hide_credentials(text) == shown
    for kind in (UserError, EnvironmentFault, DamagedData):
        assert str(kind(text)) == shown


def test_the_parts_that_a_driver_may_repeat() -> None:
    found = find_credentials("https://me:secret@host/a?token=abcdef&x=1")
    assert found == {"me:secret", "secret", "?token=abcdef&x=1", "abcdef"}
    assert find_credentials("s3://bucket/images") == set()


def test_a_password_is_found_as_it_is_written_and_as_it_is_meant() -> None:
    assert {"me:a%2Fb%40c", "a/b@c"} <= find_credentials("https://me:a%2Fb%40c@host/a")


@pytest.mark.parametrize(
    ("name", "value", "text", "shown"),
    [
        ("AWS_SECRET_ACCESS_KEY", "abc/def+ghi", "signed with abc/def+ghi", "signed with ***"),
        ("MY_API_TOKEN", "tok12345", "Bearer tok12345 was refused", "Bearer *** was refused"),
        ("GROWSET_EMAIL_PASSWORD", "p4ss w0rd", "login: 'p4ss w0rd'", "login: '***'"),
        ("GROWSET_WEBHOOK", "https://host/T0/B0/abcd", "post to https://host/T0/B0/abcd failed", "post to *** failed"),
        ("GROWSET_WEBHOOK", "https://host/T0/B0/abcd", "host: no such page /T0/B0/abcd", "host: no such page ***"),
        ("SHORT_PASSWORD", "1234567", "1234567 images", "1234567 images"),
        ("TOKENIZERS_PARALLELISM", "somewhere", "somewhere", "somewhere"),
    ],
)
def test_secrets_of_the_environment_are_hidden(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str, shown: str
) -> None:
    monkeypatch.setenv(name, value)
    assert hide_credentials(text) == shown
    assert str(UserError(text)) == shown


ADDRESS, QUERY = "https://me:secret@host/a", "/b?token=abc"  # not in the lines of code that a stack shows


def fail_with_causes() -> None:
    try:
        try:
            raise ConnectionError(f"{ADDRESS} is down")
        except ConnectionError as error:
            error.add_note(f"asked for {QUERY}")
            raise KeyError("https://host/a") from error
    except KeyError as error:
        raise EnvironmentFault(f"pushing to {ADDRESS} failed") from error


def test_causes_are_shown_without_secrets_and_with_their_stacks() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        fail_with_causes()
    told = "".join(traceback.format_exception(clean(caught.value)))
    assert clean(caught.value) is caught.value, "its own text has no secret"
    assert "me:secret" not in told and "abc" not in told
    for words in (
        "https://***@host/a is down",
        "/b?token=***",
        "KeyError: 'https://host/a'",
        "pushing to https://***@",
    ):
        assert words in told
    assert told.count("in fail_with_causes") == 3
    assert "ConnectionError" in told


def test_an_error_of_a_library_is_raised_again_without_secrets() -> None:
    for error in (ValueError(ADDRESS), ValueError("harmless")):
        with pytest.raises(Exception) as caught:
            try:
                raise error
            except ValueError as raised:
                raise_clean(raised)
        told = "".join(traceback.format_exception(caught.value))
        assert "me:secret" not in told and "ValueError" in told
        assert (caught.value is error) == (str(error) == "harmless")


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError(ADDRESS), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert "me:secret" not in "".join(traceback.format_exception(clean(first)))


class Chatty(MemoryFileSystem):
    """A driver whose errors repeat what it was given."""

    protocol = "chatty"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def find(self, path: str, **options: object) -> dict[str, object]:
        raise PermissionError(f"login refused for {path.split('//')[1]} with key tops3cret")


def test_a_driver_that_repeats_the_password_is_not_quoted(tmp_path: Path) -> None:
    fsspec.register_implementation("chatty", Chatty, clobber=True)
    with pytest.raises(EnvironmentFault) as caught:
        update_mirror("chatty://me:tops3cret@host/images?sig=abcdef", tmp_path)
    told = str(caught.value)
    assert "tops3cret" not in told and "abcdef" not in told and "chatty://***@host/images?***" in told
    assert "login refused" in told
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
