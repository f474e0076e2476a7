"""What all visitors of this process share: the settings, and the assistant that answers them."""

import atexit
import gc
from dataclasses import dataclass, replace
from threading import Lock

from chatbot import metrics, retention
from chatbot.answers import Assistant
from chatbot.assistants import FILE, load_assistants
from chatbot.bedrock import Bedrock
from chatbot.demo import Demo
from chatbot.models import load_models
from chatbot.settings import SYSTEM_PROMPT, Settings, load_settings


@dataclass(frozen=True)
class Service:
    """What is made once in a process."""

    settings: Settings
    assistant: Assistant
    assistants_read: tuple[int, int]  # which assistants.toml: its time and size


_starting = Lock()
_service: Service | None = None


def start() -> Service:
    """Return the service; the first call reads the settings, and starts retention.

    Every call reads assistants.toml, if it has changed since the one before.

    Raises SettingsError for settings, a models.toml or an assistants.toml that can't be used.
    """
    global _service
    with _starting:
        read = _stamp()
        if _service is None:
            settings = load_settings()
            retention.start(settings.sessions_dir, settings.retention_days)
            backend = (
                Demo()
                if settings.backend == "demo"
                else Bedrock(settings.region, settings.guardrail)
            )
            report = metrics.reporter(settings.metrics)
            assistant = Assistant(backend, load_models(), "", report, settings.daily_tokens)
            _read_assistants(settings, assistant)
            atexit.register(assistant.close)
            _service = Service(settings, assistant, read)
            gc.collect()
            gc.freeze()  # otherwise each search for garbage checks all that was imported: 30 ms
        elif read != _service.assistants_read:
            _read_assistants(_service.settings, _service.assistant)
            _service = replace(_service, assistants_read=read)
        return _service


def _stamp() -> tuple[int, int]:
    try:
        status = FILE.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _read_assistants(settings: Settings, assistant: Assistant) -> None:
    prompts = load_assistants(assistant.models)
    assistant.personas = prompts.personas
    assistant.system_prompt = settings.system_prompt or prompts.instructions or SYSTEM_PROMPT


def forget() -> None:
    """Have the next `start` begin anew, as a new process would; for tests."""
    global _service
    with _starting:
        _service = None
