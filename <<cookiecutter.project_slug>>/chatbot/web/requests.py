"""What a request says about itself."""

from starlette.datastructures import Headers
from starlette.types import Scope

from chatbot.identity import Person

# First words of the addresses that are served beside the page; all others lead to the page.
_PARTS = (
    "_stcore",
    "app",
    "auth",
    "chats",
    "component",
    "files",
    "media",
    "oauth2callback",
    "static",
    "vendor",
)
USAGE_CSV = "usage.csv"  # what administrators download
CHATS_ZIP = "chats.zip"  # what each person may download
_FILES = ("favicon.png", "manifest.json", USAGE_CSV, CHATS_ZIP)


def is_page(scope: Scope) -> bool:
    """Return whether the request is for the page, under whatever name, and not for a part of it."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    first, *others = scope["path"].removeprefix("/").split("/")  # "GET *" has no slash
    return first not in (*_PARTS, *_FILES) and "_stcore" not in others


def is_https(headers: Headers) -> bool:
    """Return whether the browser uses https, as the proxies in front of this server say.

    Behind CloudFront, the load balancer is asked by http, so CloudFront's own header counts first.
    A browser could send either header, and would deceive only itself.
    """
    told = headers.get("cloudfront-forwarded-proto") or headers.get("x-forwarded-proto", "")
    return told.split(",")[0].strip().lower() == "https"


def person_of(scope: Scope) -> Person | None:
    """Return who signed in, as the gate has found out; None where nobody has to."""
    person = scope.get("state", {}).get("person")
    return person if isinstance(person, Person) else None


def set_person(scope: Scope, person: Person) -> None:
    """Tell the middleware behind the gate who signed in."""
    scope.setdefault("state", {})["person"] = person
