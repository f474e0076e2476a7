"""The page's HTML: Streamlit's own, completed by what makes it come sooner and know its browser."""

import gzip
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbot import sign_in
from chatbot.identity import COOKIE, is_key, new_key, session_folder
from chatbot.languages import current
from chatbot.page import files, wording
from chatbot.web import first_sight
from chatbot.web.patience import StorageThreads
from chatbot.web.requests import is_https, is_page, person_of

# The page's script in the order in which it runs: each file has names of its own, but for the first
# one's, which all of them use.
_SCRIPTS = (
    *("elements", "start", "key", "sign_in", "files", "sent", "drafts", "phone", "chats", "news"),
    *("copy", "countdown", "thinking", "first_sight", "focus", "keyboard", "status", "messages"),
)


def _join_scripts() -> str:
    folder = Path(__file__).parent / "scripts"
    first, *others = ((folder / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    return "".join(["{\n", first, *(f"{{\n{other}}}\n" for other in others), "}\n"])


SCRIPT = _join_scripts()
STYLE = files.STYLE + "".join(  # the first sight has files, too
    Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("look.css", "page.css", "everyone.css")
)
# What the page loads only once its script has run, by the first word of its file's name.
LATE = (
    *("Button.", "ChatInput.", "Checkbox.", "Feedback.", "Html.", "MenuButton.", "Selectbox."),
    *("TextArea.", "TextInput."),
)
FOUR_HUNDRED_DAYS = 34_560_000  # seconds; the longest life that browsers grant to a cookie

_HTML = '<html lang="en">'  # how Streamlit's page begins
_IMPORT = re.compile(r"(?:from|import) ?[\"'`]\./([^\"'`]+\.js)[\"'`]")
# Streamlit's own first script. The page's script starts it, when the first sight is painted.
_START = re.compile(r'<script type="module" crossorigin src="([^"]+)"></script>')
# A style sheet in the head delays all that is painted, and this one comes after the scripts.
_STYLESHEET = re.compile(r'<link rel="stylesheet"[^>]* href="\./([^"]+)"[^>]*>')
_FONT = re.compile(r"@font-face\{[^}]*font-family:Source (?:Sans|Code Pro);[^}]*\}")
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Index:
    """Answers requests for the page.

    static: the folder with Streamlit's index.html and its files.
    sessions: the folder of all sessions.
    title: the name that the browser shows before the page has loaded.
    colors: "text", "background" and "card", as CSS has them, by "light" and "dark".
    is_framed: whether other sites may show the page in a frame.
    """

    def __init__(
        self,
        app: ASGIApp,
        static: Path,
        sessions: Path,
        title: str,
        colors: Mapping[str, Mapping[str, str]],
        is_framed: bool = False,
    ) -> None:
        self._app, self._sessions, self._is_framed = app, sessions, is_framed
        html = (static / "index.html").read_text(encoding="utf-8")
        links = (
            f'<link rel="modulepreload" crossorigin href="./static/js/{name}">'
            for name in late_files(static / "static" / "js", html)
        )
        html = html.replace("<title>Streamlit</title>", f"<title>{escape(title)}</title>")
        head, head_end, body = html.partition("</head>")
        self._start = "".join(_START.findall(head)[:1])
        head = _START.sub(r'<link rel="modulepreload" crossorigin href="\1">', head)
        sheets = "".join(each[0] for each in _STYLESHEET.finditer(head))
        style = f"<style>{fonts(static, head)}{_variables(colors)}{STYLE}</style>"
        self._before_script = f"{_STYLESHEET.sub('', head)}{''.join(links)}{style}"
        self._before_sight, root, end = f"{head_end}{body}".partition('<div id="root">')
        self._after_sight = f"{sheets}{root}{end}"
        self._threads = StorageThreads("first-sight")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_page(scope):
            await self._app(scope, receive, send)
            return
        response = await self._respond(Request(scope))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        headers = {"cache-control": "no-store"}  # it is one person's alone, and old a moment later
        cookies = []
        if sign_in.XSRF_COOKIE not in request.cookies:  # who signs in or uploads a file needs it
            kept = f"path=/; {self._cookie_site(is_https(request.headers))}"
            cookies.append(f"{sign_in.XSRF_COOKIE}={sign_in.new_xsrf_token()}; {kept}")
        person = person_of(request.scope)
        folder: Path | None
        if person:
            folder = session_folder(self._sessions, person)
            told = {"session": folder.name}
        else:
            key = request.cookies.get(COOKIE, "")
            known = is_key(key)
            key = key if known else new_key()
            kept = self._cookie_attributes(is_https(request.headers))
            cookies.append(f"{COOKIE}={key}; {kept}")
            folder = session_folder(self._sessions, key) if known else None
            told = {"name": COOKIE, "key": key, "known": "yes" if known else "", "cookie": kept}
        told |= {"start": self._start, "lost": wording.nothing_kept()}
        told |= {"unready": wording.files_not_ready(), "again": wording.files_lost()}
        told |= {"uploading": wording.files_uploading(), "blocked": wording.files_need_cookies()}
        megabytes = files.most_megabytes()
        told |= {"largest": wording.largest_file(megabytes), "kinds": wording.kinds_of_files()}
        told |= {"most": str(megabytes * 1024 * 1024), "xsrf": sign_in.XSRF_COOKIE}
        script = _element("script", told, SCRIPT)
        sight = await self._first_sight(folder, request.query_params.get("chat", ""))
        language = current()
        html = f'<html lang="{language.code}" dir="{language.direction}">'
        head = self._before_script.replace(_HTML, html, 1)
        skip = f'<a id="skip" href="#message-box">{escape(wording.skip_to_input())}</a>'
        parts = (head, script, self._before_sight, skip, sight, self._after_sight)
        body = "".join(parts).encode("utf-8", "replace")
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=5)
        response = Response(body, headers=headers, media_type="text/html")
        for cookie in cookies:
            response.headers.append("set-cookie", cookie)
        return response

    def _cookie_attributes(self, is_secure: bool) -> str:
        """Return how the cookie is kept; the page's script is told, as it keeps it as well."""
        return f"path=/; max-age={FOUR_HUNDRED_DAYS}; {self._cookie_site(is_secure)}"

    def _cookie_site(self, is_secure: bool) -> str:
        """Return for whose sites a cookie is.

        In another site's frame, a browser sends only a cookie that it keeps for that site alone.
        """
        if is_secure and self._is_framed:
            return "samesite=none; secure; partitioned"
        return f"samesite=lax{'; secure' if is_secure else ''}"

    async def _first_sight(self, folder: Path | None, chat: str) -> str:
        """Return the element with the newest turns, or "" if they can't be read at once."""
        if folder is None:
            return ""
        try:
            sight = await self._threads.run(first_sight.draw, folder, chat)
        except TimeoutError:
            return ""
        if not sight.turns:
            return ""
        told = {"messages": str(sight.messages)}
        parts = f'<div class="turns">{sight.turns}</div><footer>{sight.footer}</footer>'
        return _element("div", told, parts, 'id="first-sight"')


def late_files(folder: Path, html: str) -> list[str]:
    """Return the names of the files in the folder that the page loads late, and what they import.

    html: what the page loads at once is in there.
    """
    names = sorted(path.name for path in folder.glob("*.js") if path.name.startswith(LATE))
    found: list[str] = []
    for name in names:  # which grows
        if name not in found and f"/{name}" not in html:
            found.append(name)
            names += _IMPORT.findall((folder / name).read_text(encoding="utf-8"))
    return found


def fonts(static: Path, html: str) -> str:
    """Return the rules for the fonts of the first sight, from the style sheets in the HTML."""
    rules = []
    for name in _STYLESHEET.findall(html):
        css = (static / name).read_text(encoding="utf-8")
        parent = Path(name).parent.parent
        rules += [rule.replace("url(../", f"url(./{parent}/") for rule in _FONT.findall(css)]
    return "".join(rules)


def inline_scripts(static: Path) -> list[str]:
    """Return the scripts in the page's HTML, which the security policy has to allow."""
    html = (static / "index.html").read_text(encoding="utf-8")
    return [*_INLINE_SCRIPT.findall(html), SCRIPT]


def _element(tag: str, data: Mapping[str, str], content: str, attributes: str = "") -> str:
    words = [f'data-{name}="{escape(value)}"' for name, value in data.items()]
    return f"<{' '.join([tag, attributes, *words])}>{content}</{tag}>"


def _variables(colors: Mapping[str, Mapping[str, str]]) -> str:
    light, dark = (
        ":root{" + "".join(f"--{name}:{value};" for name, value in colors[scheme].items()) + "}"
        for scheme in ("light", "dark")
    )
    return f"{light}@media (prefers-color-scheme: dark){{{dark}}}"
