"""Pictures for the documents, of the page and of what is deployed: `python3 dev.py pictures`.

What is deployed is drawn by diagram.py, which needs no browser. The conversation is written into a
session, and a browser looks at it: in light and dark, on a phone, and in Arabic. No model is
called.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chatbot.conversations import new_conversation_id
from chatbot.identity import new_key, session_folder
from chatbot.models import load_models
from chatbot.records import Claim, End, Prompt, Record, Text
from chatbot.sessions import Session
from playwright.sync_api import Browser, expect, sync_playwright

from support.bedrock import bedrock_environment
from support.browsing import CHROMIUM, FLAGS, LONG, messages
from support.diagram import draw
from support.projects import Project
from support.rendering import InfrastructureRenderer
from support.serving import free_port, serve

OLDER = (
    "Draft a reply to the auditor",
    "SQL for monthly revenue",
    "Minutes of the board meeting",
    "Explain our VPN rules to new staff",
)
ENGLISH = (
    "Which taxi receipts can I claim on a trip to Japan?",
    """\
## Short answer

Taxis are paid **between 22:00 and 6:00**, with luggage, or where no train runs.

| Trip | Receipt | Limit |
| --- | --- | ---: |
| Airport to hotel | needed | ¥ 8,000 |
| After 22:00 | needed | ¥ 5,000 |
| Between two offices | train preferred | ¥ 2,500 |

Submit the receipts within 30 days:

1. Photograph each receipt, with its date in sight.
2. Name the trip, such as `2026-11-tokyo`.
3. Send all of them at once. 日本語の領収書も可。
""",
)
ARABIC = (
    "ما هي إيصالات سيارات الأجرة التي يمكنني المطالبة بها في رحلة إلى اليابان؟",
    """\
## الجواب باختصار

تُدفع أجرة سيارات الأجرة **بين الساعة 22:00 والساعة 6:00**، أو مع الأمتعة، أو حيث لا يوجد قطار.

| الرحلة | الإيصال | الحد الأقصى |
| --- | --- | ---: |
| من المطار إلى الفندق | مطلوب | ‎¥ 8,000 |
| بعد الساعة 22:00 | مطلوب | ‎¥ 5,000 |

أرسل الإيصالات خلال 30 يومًا:

1. صوّر كل إيصال بحيث يظهر تاريخه.
2. اذكر اسم الرحلة، مثل `2026-11-tokyo`.
""",
)


@dataclass(frozen=True)
class Picture:
    """How the page is looked at; sizes in pixels."""

    name: str
    said: tuple[str, str] = ENGLISH
    width: int = 1280
    height: int = 800
    scheme: Literal["light", "dark"] = "light"
    locale: str = "en-GB"


PICTURES = (
    Picture("light"),
    Picture("dark", scheme="dark"),
    Picture("phone", width=360, height=740),
    Picture("arabic", ARABIC, locale="ar"),
)


def take_pictures(project: Project, folder: Path) -> list[Path]:
    """Serve the project, take all the pictures into the folder, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as sessions:
        environment = bedrock_environment("http://127.0.0.1:9") | {  # nothing answers there
            "CHATBOT_SESSIONS_DIR": sessions,
            "CHATBOT_HOSTNAME": "task-1",
        }
        with serve(project, free_port(), **environment) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            files = [
                _take(browser, server.address, Path(sessions), each, folder) for each in PICTURES
            ]
            browser.close()
    return files


def _take(browser: Browser, address: str, sessions: Path, picture: Picture, folder: Path) -> Path:
    key = new_key()
    session = Session(session_folder(sessions, key))
    for title in OLDER:
        _keep(session, title, "Done.")
    _keep(session, *picture.said)
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.scheme,
        locale=picture.locale,
    )
    context.set_default_timeout(LONG)
    context.add_cookies([{"name": "chatbot_session", "value": key, "url": address}])
    page = context.new_page()
    page.goto(address)
    expect(messages(page)).to_have_count(2)
    expect(page.locator("#first-sight")).to_have_count(0)
    expect(page.locator(".st-key-footer")).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    page.evaluate("document.fonts.ready")
    file = folder / f"{picture.name}.png"
    page.screenshot(path=file, animations="disabled", caret="hide")
    context.close()
    return file


def _keep(session: Session, prompt: str, answer: str) -> None:
    """Write a chat of one question and its answer."""
    model = next(iter(load_models()))
    lines: list[Record] = [Prompt("t1", prompt, model), Claim("t1", 1, "w", model)]
    lines += [Text("t1", 1, answer), End("t1", 1, "complete", "end_turn")]
    session.conversation(new_conversation_id()).update(lambda: lines, create=True)


def main() -> None:
    """Take the pictures of the project, and into the folder, that the command line names."""
    project, folder = Project(Path(sys.argv[1]), {}), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    diagram = folder / "stack.svg"
    diagram.write_text(draw(InfrastructureRenderer()()), encoding="utf-8")
    print(diagram)
    if CHROMIUM is None:
        sys.exit("The pictures of the page need Debian's package chromium.")
    for file in take_pictures(project, folder):
        print(f"{file} ({file.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
