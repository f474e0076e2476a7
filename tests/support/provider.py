"""The provider that the project's own tests of the sign-in use, loaded from the template."""

import subprocess

from playwright.sync_api import BrowserContext

from support.own_python import load
from support.projects import Project, share_environment

COOKIE_SECRET = "0123456789" * 4
USER_COOKIE = "_streamlit_user"
HOURS = 12  # that a sign-in counts

# Signs the cookie as if that had happened so many seconds ago.
_SIGN = """
import sys, time
from streamlit.web.server.starlette.starlette_app_utils import *
secret, name, value, age = sys.argv[1:]
claims = decode_signed_value(secret, name, value)
now = time.time() - float(age)
time.time = lambda: now
print(create_signed_value(secret, name, claims).decode())
"""


stand_in = load("tests/support/provider.py")


def let_sign_in_end(project: Project, visitor: BrowserContext, seconds: float) -> None:
    """Change the visitor's cookie so that the sign-in counts only so many seconds longer."""
    share_environment(project.path)
    [kept] = [each for each in visitor.cookies() if each["name"] == USER_COOKIE]
    words = [COOKIE_SECRET, USER_COOKIE, kept["value"], str(HOURS * 3600 - seconds)]
    python = str(project.path / ".venv" / "bin" / "python")
    done = subprocess.run([python, "-c", _SIGN, *words], capture_output=True, text=True, check=True)
    kept["value"] = done.stdout.strip()
    visitor.add_cookies([kept])  # type: ignore[list-item]
