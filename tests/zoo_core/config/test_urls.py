"""Which URLs are followed, when downloads are disabled, and how a URL is shown."""

from __future__ import annotations

import pytest

from zoo_core.config.urls import is_offline, is_safe, without_secrets


@pytest.mark.parametrize(
    ("url", "given", "safe"),
    [
        ("https://example.org/a", "https://example.org/a", True),
        ("http://example.org/a", "https://example.org/a", False),
        ("http://127.0.0.1:1/a", "http://localhost:1/a", True),
        ("http://127.0.0.1:1/a", "https://example.org/a", False),
        ("http://127.0.0.1.example.org/a", "http://127.0.0.1.example.org/a", False),
        ("file:///etc/passwd", "https://example.org/a", False),
        ("https://[::1", "https://example.org/a", False),
    ],
)
def test_only_https_and_this_machine_by_itself_are_followed(url: str, given: str, safe: bool) -> None:
    assert is_safe(url, given) is safe


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("true", True), ("0", False), ("off", False), ("", False)])
def test_downloads_are_disabled_by_the_environment(value: str, offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", value)
    assert is_offline() is offline
    monkeypatch.setenv("ZOO_OFFLINE", "")
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert (is_offline(), is_offline("HF_HUB_OFFLINE")) == (False, offline)


def test_a_url_is_shown_without_password_and_query() -> None:
    shown = without_secrets("https://me:secret@example.org:8443/index.json?token=secret#part")
    assert shown == "https://example.org:8443/index.json"
    assert without_secrets("https://[::1?token=secret") == "https://[::1"
