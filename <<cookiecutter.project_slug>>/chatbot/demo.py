"""A scripted answer, for trying the page without AWS. It says so itself."""

import re
import time
from typing import Any

from chatbot.context import CONTINUE
from chatbot.file_kinds import size_of
from chatbot.markdown import as_text
from chatbot.models import Cancellation, Events, Finish, Message, Model, Text, Thought

PAUSE = 0.02  # seconds between two words
SLOWER = 8  # times, if the prompt asks for an answer that comes slowly
THOUGHT = """\
The demo model thinks first if the message has the word "think" in it. A real model may do so for
minutes. What it thinks is:

1. saved like the answer, piece by piece,
2. folded above the answer,
3. *not* sent again with the next message.
"""


class Demo:
    """A backend that calls no model."""

    def stream(
        self, model: Model, messages: list[Message], system: str, cancellation: Cancellation
    ) -> Events:
        begun = ""
        if _last_text(messages) == CONTINUE:
            messages, begun = messages[:-2], _last_text(messages[:-1])
        prompt = _last_text(messages)
        answer = _compose(prompt, len(messages), model.name, _describe(messages[-1]["content"]))
        pause = PAUSE * (SLOWER if "slowly" in prompt.lower() else 1)
        if "think" in prompt.lower() and not begun:
            for word in re.findall(r"\s*\S+\s*?", THOUGHT):
                time.sleep(pause)
                yield Thought(word)
        for word in re.findall(r"\s*\S+\s*?", answer.removeprefix(begun)):
            time.sleep(pause)
            yield Text(word)
        yield Finish("end_turn")


def _last_text(messages: list[Message]) -> str:
    return str(messages[-1]["content"][-1]["text"])


def _describe(content: list[dict[str, Any]]) -> str:
    """Say which files came with the last message."""
    files = [block.get("document") or block.get("image") for block in content]
    told = [
        f"{as_text(file.get('name', 'an image'))} ({file['format'].upper()}, "
        f"{size_of(len(file['source']['bytes']))})"
        for file in files
        if file
    ]
    if not told:
        return ""
    return f"\nWith it came {len(told)} file{'' if len(told) == 1 else 's'}: {', '.join(told)}.\n"


def _compose(prompt: str, messages: int, model: str, files: str) -> str:
    quoted = " ".join(prompt.split())[:200]
    return f"""\
**This is the demo model: no model was called.** The answer is scripted, and nothing left this
machine. You wrote:

> {quoted}
{files}
What you see works the same with Amazon Bedrock:

| What | Here |
| --- | --- |
| Model chosen | {model} |
| Messages it would be sent | {messages} |
| This conversation | saved, piece by piece, before you see it |

Try it: reload the page, open a second tab, or stop the server while this streams. Ask for an answer
that comes slowly, to have the time. To get real answers, start the chatbot with AWS credentials and
another backend:

```bash
CHATBOT_BACKEND=bedrock python3 dev.py run
```
"""
