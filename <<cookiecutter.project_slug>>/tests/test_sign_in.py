"""Signing in: two tasks without stickiness, and a provider, over plain HTTP and WebSockets."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from streamlit.web.server.starlette.starlette_app_utils import (
    create_signed_value,
    validate_xsrf_token,
)
from support.provider import Provider, provider
from support.tasks import Browser, ask, drawn, run, running_tasks, start_task
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chatbot.conversations import new_conversation_id
from chatbot.identity import Person, session_folder
from chatbot.records import Claim, End, Prompt, Text
from chatbot.sessions import Session

ADDRESS = "http://chat.example"
SECRET = "0123456789" * 4
COOKIE = "_streamlit_user"


@pytest.fixture(scope="module")
def company() -> Iterator[Provider]:
    with provider(ADDRESS) as server:
        yield server


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all sessions."""
    return tmp_path_factory.mktemp("data") / "sessions"


@pytest.fixture(scope="module")
def variables(company: Provider, root: Path) -> dict[str, str]:
    return company.environment() | {
        "CHATBOT_BACKEND": "demo",
        "CHATBOT_SESSIONS_DIR": str(root),
        "CHATBOT_SIGN_IN_GROUPS": "staff managers",
        "STREAMLIT_SERVER_COOKIE_SECRET": SECRET,
        "WEBSOCKETS_MAX_LINE_LENGTH": "65536",
    }


@pytest.fixture(scope="module")
def ports(variables: dict[str, str]) -> Iterator[list[int]]:
    with running_tasks(variables) as ports:
        yield ports


@pytest.fixture
def new_browser(ports: list[int], company: Provider) -> Iterator[Callable[[], Browser]]:
    company.who = person("alice")
    yield lambda: Browser(ADDRESS, ports)
    company.reset()


@pytest.fixture
def browser(new_browser: Callable[[], Browser]) -> Browser:
    return new_browser()


def person(name: str, **claims: Any) -> dict[str, Any]:
    """Return the claims of a person who may use the chatbot."""
    return {"sub": name, "email": f"{name}@example.com", "groups": ["staff"]} | claims


def session_of(root: Path, company: Provider, name: str) -> Session:
    return Session(session_folder(root, Person(company.url, name)))


def add_chat(session: Session, prompt: str) -> str:
    """Keep a conversation for the session; return its id."""
    conversation = session.conversation(new_conversation_id())
    records = (Prompt("t1", prompt), Claim("t1", 1, "w", "m"), Text("t1", 1, "An answer"))
    conversation.update(lambda: [*records, End("t1", 1, "complete")], create=True)
    return conversation.id


ATTEMPTS = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("POST", "/"),
    ("GET", "/anything"),
    ("GET", "/?chat=20261124T093012123456-923ea622"),
    ("GET", "/_stcore/host-config"),
    ("GET", "/_stcore/metrics"),
    ("GET", "/_stcore/script-health-check"),
    ("GET", "/media/abc.png"),
    ("GET", "/component/streamlit_local_storage.st_local_storage/index.html"),
    ("GET", "/app/static/anything"),
    ("GET", "/static"),
    ("GET", "/usage.csv"),
    ("GET", "*"),
    ("HEAD", "*"),
    ("PUT", "/_stcore/upload_file/session/file"),
    ("DELETE", "/_stcore/upload_file/session/file"),
    ("GET", "//_stcore/health"),
    ("GET", "/_stcore/health/"),
    ("GET", "/_stcore/health/../metrics"),
    ("GET", "/%5fstcore/metrics"),
    ("GET", "/sign-in/"),
    ("GET", "/auth/login/../../_stcore/metrics"),
    ("GET", "/oauth2callback/"),
]


@pytest.mark.parametrize(("method", "path"), ATTEMPTS)
def test_who_has_not_signed_in_is_asked_to(browser: Browser, method: str, path: str) -> None:
    answer = browser.get(path, method)
    assert answer.status == 401
    assert "Please sign in." in answer.body or method == "HEAD"
    assert answer.headers["cache-control"] == "no-store"
    assert "alice" not in answer.body and "Streamlit" not in answer.body


def test_who_has_not_signed_in_gets_no_websocket(browser: Browser) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        browser.page()


def test_streamlits_own_files_come_without_cookies_as_cloudfront_asks_for_them(
    browser: Browser,
) -> None:
    browser.sign_in()
    [script] = re.findall(r'data-start="\./(static/js/[^"]+)"', browser.get("/").body)
    browser.cookies = {}
    assert browser.get(f"/{script}").status == 200
    assert browser.get("/static/anything").status == 404
    assert browser.get("/static/../_stcore/metrics").status in (401, 404)


def test_the_balancer_sees_that_a_task_is_healthy(browser: Browser) -> None:
    answer = browser.get("/_stcore/health")
    assert (answer.status, answer.body) == (200, "ok")


def test_a_person_signs_in_across_tasks_and_finds_their_chats(
    browser: Browser, root: Path, company: Provider
) -> None:
    add_chat(session_of(root, company, "alice"), "A question of Alice")
    assert browser.sign_in().location == "/"
    for _ in range(2):
        assert "A question of Alice" in browser.get("/").body
        page = browser.page()
        assert "Signed in as alice@example.com" in page and "A question of Alice" in page


def test_the_page_of_a_person_knows_no_key_of_a_browser(browser: Browser) -> None:
    browser.sign_in()
    page = browser.get("/")
    assert "chatbot_session" not in browser.cookies and "data-key" not in page.body


def test_the_page_brings_what_streamlit_needs_to_know_the_person(browser: Browser) -> None:
    """Without this token, st.user is nobody in the first run, though the gate lets it pass."""
    browser.sign_in()
    browser.cookies.pop("_streamlit_xsrf", None)
    browser.get("/")
    token = browser.cookies["_streamlit_xsrf"]
    assert validate_xsrf_token(token, token)
    browser.get("/")
    assert browser.cookies["_streamlit_xsrf"] == token


def test_the_address_survives_the_sign_in(browser: Browser) -> None:
    page = browser.get("/?chat=20261124T093012123456-923ea622&x=%22%3E%3Cb%3E").body
    [link] = re.findall(r'href="(/sign-in[^"]*)"', page)
    assert browser.sign_in(link.replace("&amp;", "&").removeprefix("/sign-in")).location == (
        "/?chat=20261124T093012123456-923ea622&x=%22%3E%3Cb%3E"
    )


@pytest.mark.parametrize(
    "query", ["?next=//stranger.example", "?//stranger.example", "?a=%0d%0aset-cookie:x=1", "?" * 9]
)
def test_no_address_leads_elsewhere(browser: Browser, query: str) -> None:
    location = browser.sign_in(query).location
    assert location == "/" or location.startswith("/?")
    assert "\r" not in location and "x" not in browser.cookies


def test_a_person_who_is_signed_in_is_not_asked_again(browser: Browser) -> None:
    browser.sign_in()
    assert browser.get("/sign-in?chat=1").location == "/?chat=1"


def test_two_tabs_may_sign_in_at_once(browser: Browser) -> None:
    first, second = browser.begin("?chat=1"), browser.begin("?chat=2")
    assert browser.get(first).location == "/?chat=1"
    assert browser.get(second).location == "/?chat=2"
    assert browser.get("/").status == 200


def test_many_attempts_leave_few_cookies(browser: Browser) -> None:
    for _ in range(12):
        browser.begin()
    assert len([name for name in browser.cookies if name.startswith("chatbot_attempt_")]) <= 6
    assert browser.sign_in().location == "/"


def test_the_sign_in_goes_to_the_address_that_the_provider_knows(browser: Browser) -> None:
    elsewhere = browser.get("/sign-in?chat=1", host="another.example")
    assert elsewhere.location == f"{ADDRESS}/sign-in?chat=1&sign_in_at=http%3A%2F%2Fchat.example"
    # A proxy that changes the name of the host must not send browsers round in circles.
    answer = browser.get(
        "/sign-in?chat=1&sign_in_at=http%3A%2F%2Fchat.example", host="another.example"
    )
    assert answer.location.startswith("/auth/login?")


def test_a_provider_that_refuses_is_quoted(browser: Browser, company: Provider) -> None:
    company.error = "access_denied"
    answer = browser.sign_in("?chat=1")
    assert answer.status == 403
    assert "says: access_denied." in answer.body and "Try again" in answer.body
    assert 'href="/sign-in?chat=1"' in answer.body
    assert browser.get("/").status == 401


def test_a_provider_that_knows_no_prompt_is_asked_without(
    browser: Browser, company: Provider
) -> None:
    company.prompts = {"login"}
    again = browser.sign_in("?chat=1").location
    assert "plain=yes" in again
    assert browser.get(browser.ask_provider(browser.get(again).location)).location == "/?chat=1"
    assert browser.get("/").status == 200


def test_a_provider_that_always_refuses_is_asked_twice_only(
    browser: Browser, company: Provider
) -> None:
    company.error = "invalid_request"
    again = browser.sign_in().location
    answer = browser.get(browser.ask_provider(browser.get(again).location))
    assert answer.status == 403 and "invalid_request" in answer.body


def test_a_token_that_nobody_signed_signs_nobody_in(
    browser: Browser, company: Provider, variables: dict[str, str]
) -> None:
    company.algorithm = "none"
    with running_tasks(variables, 1) as ports:  # which has not asked the provider yet
        one = Browser(ADDRESS, ports)
        assert one.sign_in().status == 403
        assert one.get("/").status == 401


def test_a_provider_that_does_not_answer_is_told(
    browser: Browser, company: Provider, variables: dict[str, str]
) -> None:
    company.is_silent = True
    with running_tasks(variables, 1) as ports:  # which has not asked the provider yet
        stranded = Browser(ADDRESS, ports)
        answer = stranded.get(stranded.get("/sign-in?chat=1").location)
    assert answer.status == 502
    assert "does not answer" in answer.body and 'href="/sign-in?chat=1"' in answer.body


@pytest.mark.parametrize(
    "query", ["code=1&state=2", "error=%3Cscript%3E&state=1", "state=1", "error=x&error=y"]
)
def test_a_callback_that_nobody_asked_for_signs_nobody_in(browser: Browser, query: str) -> None:
    answer = browser.get(f"/oauth2callback?{query}")
    assert answer.status == 403
    assert "You were not signed in." in answer.body and "<script>alert" not in answer.body
    assert "&lt;script" not in answer.body
    assert browser.get("/").status == 401


def test_another_browser_can_not_use_a_callback(
    browser: Browser, new_browser: Callable[[], Browser]
) -> None:
    callback = browser.begin()
    thief = new_browser()
    assert thief.get(callback).status == 403
    assert thief.get("/").status == 401


def test_an_old_callback_found_by_going_back_does_no_harm(browser: Browser) -> None:
    callback = browser.begin()
    browser.get(callback)
    assert browser.get(callback).location == "/"
    assert browser.get("/").status == 200


@pytest.mark.parametrize(
    "value", ["", "nonsense", "e30=", "bnVsbA==", "W10=", "eyJzZXNzaW9uIjoxfQ==", "W1tb" * 4_000]
)
def test_a_made_up_attempt_is_ignored(browser: Browser, value: str) -> None:
    callback = browser.begin()
    browser.cookies = {name: value for name in browser.cookies if name.startswith("chatbot_")}
    assert browser.get(callback).status == 403


def test_a_cookie_counts_only_as_long_as_a_sign_in_and_with_our_secret(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, company: Provider
) -> None:
    claims = json.dumps(person("alice", iss=company.url, nonce="1"))
    for age, secret, status in ((0, SECRET, 200), (13, SECRET, 401), (0, "another" * 8, 401)):
        with monkeypatch.context() as patch:
            now = time.time() - age * 3600
            patch.setattr(time, "time", lambda now=now: now)
            value = create_signed_value(secret, COOKIE, claims)
        browser.cookies[COOKIE] = value.decode()
        assert browser.get("/").status == status


@pytest.mark.parametrize(
    "claims", ['{"sub": "alice"}', "[]", "null", "1", "nonsense", '{"iss": 1}']
)
def test_a_cookie_that_names_nobody_is_refused(browser: Browser, claims: str) -> None:
    browser.cookies[COOKIE] = create_signed_value(SECRET, COOKIE, claims).decode()
    assert browser.get("/").status == 401


def test_who_signs_out_is_out_with_a_copy_of_the_cookies_too(
    browser: Browser, new_browser: Callable[[], Browser], company: Provider
) -> None:
    browser.sign_in()
    thief = new_browser()
    thief.cookies = dict(browser.cookies)
    with thief.connect() as stream:
        assert "Signed in as alice" in run(stream)
        leaving = browser.get("/auth/logout")
        assert leaving.status == 302
        assert "logout_uri=http%3A%2F%2Fchat.example%2F" in leaving.location
        assert browser.get(browser.ask_provider(leaving.location)).location == "/"
        assert company.ended[-1]["id_token_hint"]
        for one in (browser, thief):
            for _ in range(2):
                assert one.get("/").status == 401
            assert one.get("/_stcore/host-config").status == 401
            with pytest.raises(InvalidStatus, match="403"):
                one.connect()
        assert thief.get("/_stcore/upload_file/session/file", "PUT", b"x").status == 401
        page = run(stream)  # the WebSocket that was open before
        assert "Signed in as alice" not in page and "chatbot_leave" in page
    assert browser.sign_in().location == "/"
    assert browser.get("/").status == 200  # another sign-in of the same person


def test_who_signs_out_gets_no_more_of_an_answer(
    browser: Browser, new_browser: Callable[[], Browser]
) -> None:
    browser.sign_in()
    thief = new_browser()
    thief.cookies = dict(browser.cookies)
    with thief.connect() as stream:
        ask(stream, run(stream), "Answer slowly, please")
        run_of_answer = drawn(stream)
        assert any("This is the demo model" in each for each in run_of_answer)
        browser.get("/auth/logout")
        rest = "".join(run_of_answer)
    assert "chatbot_leave" in rest
    assert "dev.py run" not in rest  # the answer's last words


def test_a_new_sign_in_ends_the_one_before_in_the_same_browser(
    browser: Browser, new_browser: Callable[[], Browser], company: Provider
) -> None:
    """Its cookies are gone from the browser, so nobody could sign out of it."""
    first, second = browser.begin(), browser.begin()
    browser.get(first)
    thief = new_browser()
    thief.cookies = dict(browser.cookies)
    assert thief.get("/").status == 200
    company.who = person("bob")
    browser.get(second)
    assert browser.get("/").status == 200
    assert thief.get("/").status == 401


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
def test_nothing_but_a_visit_signs_out(browser: Browser, method: str) -> None:
    browser.sign_in()
    answer = browser.get("/auth/logout", method)
    assert answer.status == 405
    assert browser.get("/").status == 200


def test_another_site_can_not_sign_a_person_out(browser: Browser) -> None:
    browser.sign_in()
    asked = browser.get("/auth/logout", sec_fetch_site="cross-site", sec_fetch_mode="navigate")
    assert asked.status == 200
    assert "Do you want to sign out?" in asked.body and 'href="/auth/logout"' in asked.body
    assert browser.get("/").status == 200
    for site in ("same-origin", "none"):
        assert browser.get("/auth/logout", sec_fetch_site=site).status == 302
        assert browser.get("/").status == 401
        browser.sign_in()


def test_who_has_signed_out_can_sign_in_even_if_the_cookies_stayed(
    browser: Browser, new_browser: Callable[[], Browser]
) -> None:
    """As when the connection breaks before the browser hears that it may forget them."""
    browser.sign_in()
    other = new_browser()
    other.cookies = dict(browser.cookies)
    browser.get("/auth/logout")
    assert other.get("/").status == 401
    assert other.sign_in().location == "/"
    assert other.get("/").status == 200


def test_deleting_everything_does_not_bring_back_a_sign_in(
    browser: Browser, new_browser: Callable[[], Browser], root: Path, company: Provider
) -> None:
    browser.sign_in()
    thief = new_browser()
    thief.cookies = dict(browser.cookies)
    browser.get("/auth/logout")
    session_of(root, company, "alice").delete()
    assert thief.get("/").status == 401


def test_a_provider_that_ends_no_sessions_is_not_asked_to(
    browser: Browser, company: Provider, variables: dict[str, str]
) -> None:
    company.ends_sessions = False
    with running_tasks(variables, 1) as ports:
        one = Browser(ADDRESS, ports)
        one.sign_in()
        assert one.get("/auth/logout").location == "/"
        assert one.get("/").status == 401


def test_each_person_has_chats_of_their_own_on_every_browser(
    browser: Browser, new_browser: Callable[[], Browser], root: Path, company: Provider
) -> None:
    add_chat(session_of(root, company, "alice"), "A secret of Alice")
    chat = add_chat(session_of(root, company, "bob"), "A secret of Bob")
    company.who = person("bob", email="alice@example.com")  # an address proves nothing
    browser.sign_in()
    assert "A secret of Bob" in browser.page() and "A secret of Alice" not in browser.page()
    browser.get("/auth/logout")
    company.who = person("alice")
    browser.sign_in()  # on the same browser
    assert "A secret of Alice" in browser.page()
    assert "A secret of Bob" not in browser.page(f"chat={chat}")
    assert "A secret of Bob" not in browser.get(f"/?chat={chat}").body
    other = new_browser()
    other.sign_in()
    assert "A secret of Alice" in other.page()


def test_what_a_browser_kept_before_is_not_claimed(browser: Browser, root: Path) -> None:
    key = "k" + "0" * 32
    add_chat(Session(session_folder(root, key)), "From before")
    browser.cookies["chatbot_session"] = key
    browser.sign_in()
    assert "From before" not in browser.page() + browser.get("/").body


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"groups": ["staff"]}, 200),
        ({"groups": ["others", "managers"]}, 200),
        ({"groups": "staff"}, 200),
        ({"groups": None, "cognito:groups": ["staff"]}, 200),
        ({"groups": None, "roles": ["staff"]}, 200),
        ({"groups": []}, 403),
        ({"groups": None}, 403),
        ({"groups": "staff managers"}, 403),
        ({"groups": "s"}, 403),
        ({"groups": {"staff": True}}, 403),
        ({"groups": [["staff"], 1, None]}, 403),
        ({"groups": 1}, 403),
        ({"groups": ["others"], "email": "staff"}, 403),
    ],
)
def test_only_members_of_the_groups_may(
    browser: Browser, company: Provider, claims: dict[str, Any], status: int
) -> None:
    company.who = person("alice", **claims)
    browser.sign_in()
    answer = browser.get("/")
    assert answer.status == status
    if status == 403:
        assert "may not use this chatbot" in answer.body and 'href="/auth/logout"' in answer.body
        assert browser.get("/_stcore/upload_file/a/b", "PUT", b"x").status == 403
        with pytest.raises(InvalidStatus, match="403"):
            browser.connect()


def test_a_person_in_hundreds_of_groups_gets_the_page(browser: Browser, company: Provider) -> None:
    company.who = person("alice", groups=["staff", *(str(uuid4()) for _ in range(150))])
    browser.sign_in()
    assert len(browser.cookie) > 8_190
    assert browser.get("/").status == 200
    assert "Signed in as alice" in browser.page()
    browser.get("/auth/logout")
    assert not [name for name in browser.cookies if "user" in name or "sign_in" in name]


def test_the_cookies_of_two_sign_ins_can_not_be_combined(
    browser: Browser, new_browser: Callable[[], Browser], company: Provider
) -> None:
    """Streamlit signs each part of a long cookie alone, so the parts may be another person's."""
    browsers = [browser, new_browser()]
    for one, name in zip(browsers, ("mary", "vera"), strict=True):
        company.who = person(name, groups=["staff", *(str(uuid4()) for _ in range(150))])
        one.sign_in()
        assert one.get("/").status == 200
    first, second = ({**one.cookies} for one in browsers)
    for name in (f"{COOKIE}_1", f"{COOKIE}_2", "chatbot_sign_in_seal"):
        browser.cookies = first | {name: second[name]}
        assert browser.get("/").status == 401
        with pytest.raises(InvalidStatus, match="403"):
            browser.page()
    browser.cookies = {each: first[each] for each in first if each != "chatbot_sign_in_seal"}
    assert browser.get("/").status == 401


def test_a_message_that_does_not_end_takes_no_memory_for_ever(browser: Browser) -> None:
    browser.sign_in()
    megabyte = b"x" * 1_000_000

    def too_much() -> Iterator[bytes]:
        for _ in range(26):
            yield megabyte
        stream.recv(timeout=20)  # the server ends the connection, before the message ends

    with browser.connect() as stream, pytest.raises(ConnectionClosed) as closed:
        stream.send(too_much())
    assert closed.value.rcvd and closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    "changed",
    [{"origin": "http://stranger.example"}, {"origin": "null"}, {"no_origin": "yes"}],
)
def test_another_site_can_not_use_a_persons_cookies(
    browser: Browser, changed: dict[str, str]
) -> None:
    browser.sign_in()
    with pytest.raises(InvalidStatus, match="403"):
        browser.connect(**changed)


def test_a_name_can_not_change_the_page(browser: Browser, company: Provider) -> None:
    company.who = person("alice", email="<script>alert(1)</script>", groups=[])
    browser.sign_in()
    assert "<script>alert" not in browser.get("/").body


def test_cookies_are_for_https_only_where_the_address_is(
    company: Provider, variables: dict[str, str]
) -> None:
    secure = {"CHATBOT_ADDRESS": "https://chat.example"}
    company.address = secure["CHATBOT_ADDRESS"]
    try:
        with running_tasks(variables | secure, 1) as ports:
            one = Browser(company.address, ports)
            company.who = person("alice")
            login = one.get(one.get("/sign-in").location)
            back = one.get(one.ask_provider(login.location))
            leaving = one.get("/auth/logout")
    finally:
        company.address = ADDRESS
        company.reset()
    for answer in (login, back, leaving):
        assert answer.set_cookies
        assert all(line.endswith("; Secure") for line in answer.set_cookies)


def test_the_storage_may_be_missing(
    company: Provider, variables: dict[str, str], tmp_path: Path
) -> None:
    """Then nobody knows who signed out: the page comes, and says so, but nothing is uploaded."""
    folder = tmp_path / "sessions"
    folder.write_text("not a folder")
    company.who = person("alice")
    try:
        with running_tasks(variables | {"CHATBOT_SESSIONS_DIR": str(folder)}, 1) as ports:
            one = Browser(ADDRESS, ports)
            one.sign_in()
            assert one.get("/").status == 200
            assert "storage" in one.page()
            assert one.get("/_stcore/upload_file/a/b", "PUT", b"x").status == 503
            assert one.get("/auth/logout").status == 302
    finally:
        company.reset()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CHATBOT_SIGN_IN_CLIENT_SECRET", "", "set CHATBOT_SIGN_IN_CLIENT_SECRET as well"),
        ("CHATBOT_ADDRESS", "", "set CHATBOT_ADDRESS as well"),
        ("CHATBOT_RETENTION_DAYS", "nonsense", "CHATBOT_RETENTION_DAYS is 'nonsense'"),
        ("CHATBOT_SIGN_IN_METADATA_URL", "http://id.example.com/x", "begins with https://"),
    ],
)
def test_a_server_with_half_a_sign_in_ends(
    variables: dict[str, str], name: str, value: str, said: str
) -> None:
    task = start_task(0, variables | {name: value})
    try:
        output, _ = task.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        task.kill()
        raise
    assert task.returncode not in (0, None)
    assert said in output and "Traceback" not in output
