"""What is hidden of addresses, and that no sentence of ours shows it."""

from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ops.errors import DamagedData, EnvironmentFault, UserError, find_credentials, hide_credentials
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
