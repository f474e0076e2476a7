"""The security headers of every response."""

import pytest
from starlette.responses import Response
from support.web import Site, served, streamlit

from chatbot.web.headers import SecurityHeaders


def policy_of(site: Site) -> dict[str, list[str]]:
    rules = site.get("/").headers["content-security-policy"].split("; ")
    return {name: values for name, *values in map(str.split, rules)}


def test_nothing_comes_from_a_stranger_and_no_script_from_html() -> None:
    with served(SecurityHeaders(streamlit, scripts=["one()", "two()"], frame_ancestors=[])) as site:
        policy = policy_of(site)
        headers = site.get("/").headers
    assert policy["default-src"] == policy["connect-src"] == policy["frame-ancestors"] == ["'self'"]
    assert policy["object-src"] == policy["base-uri"] == ["'none'"]
    scripts = policy["script-src"]
    assert "'unsafe-inline'" not in scripts and "'unsafe-eval'" not in scripts
    # By `printf 'one()' | openssl dgst -sha256 -binary | base64`.
    assert "'sha256-HR7iaask9daLMRRskMI++QeJtjWDOjyPA6lGzYGzKW4='" in scripts
    assert len([each for each in scripts if each.startswith("'sha256-")]) == 2
    foreign = {value for values in policy.values() for value in values if not value.startswith("'")}
    assert foreign == {"data:", "blob:"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


def test_sites_that_embed_the_page_are_listed() -> None:
    sites = ["https://intranet.example.com", "https://*.example.org:8443"]
    with served(SecurityHeaders(streamlit, scripts=[], frame_ancestors=sites)) as site:
        assert policy_of(site)["frame-ancestors"] == ["'self'", *sites]


@pytest.mark.parametrize(
    ("headers", "is_https"),
    [
        ({}, False),
        ({"X_Forwarded_Proto": "http"}, False),
        ({"X_Forwarded_Proto": "https"}, True),
        ({"X_Forwarded_Proto": "http", "CloudFront_Forwarded_Proto": "https"}, True),
        ({"X_Forwarded_Proto": "https", "CloudFront_Forwarded_Proto": "http"}, False),
    ],
)
def test_a_browser_that_came_by_https_is_told_to_stay(
    headers: dict[str, str], is_https: bool
) -> None:
    with served(SecurityHeaders(streamlit, scripts=[], frame_ancestors=[])) as site:
        received = site.get("/", **headers).headers
    assert ("strict-transport-security" in received) == is_https


@pytest.mark.parametrize(
    ("proto", "cookies"),
    [
        ("http", ["a=1; Path=/", "b=2; secure; path=/"]),
        ("https", ["a=1; Path=/; Secure", "b=2; secure; path=/"]),
    ],
)
def test_cookies_that_came_by_https_are_for_https_only(proto: str, cookies: list[str]) -> None:
    app = Response()
    app.raw_headers += [(b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2; secure; path=/")]
    with served(SecurityHeaders(app, scripts=[], frame_ancestors=[])) as site:
        received = site.get("/", X_Forwarded_Proto=proto)
    assert received.cookies == cookies


def test_what_the_application_says_otherwise_does_not_count() -> None:
    headers = {"content-security-policy": "default-src *", "x-own": "kept"}
    app = Response(status_code=404, headers=headers)
    with served(SecurityHeaders(app, scripts=[], frame_ancestors=[])) as site:
        assert policy_of(site)["default-src"] == ["'self'"]
        assert site.get("/").headers["x-own"] == "kept"
        assert site.get("/").status == 404
