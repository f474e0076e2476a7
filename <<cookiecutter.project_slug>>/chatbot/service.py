"""What all visitors of this process share: the settings, and the assistant that answers them."""

import atexit
import gc
from dataclasses import dataclass
from threading import Lock

from chatbot import metrics, retention
from chatbot.answers import Assistant
from chatbot.bedrock import Bedrock
from chatbot.demo import Demo
from chatbot.models import load_models
from chatbot.settings import Settings, load_settings


@dataclass(frozen=True)
class Service:
    """What is made once in a process."""

    settings: Settings
    assistant: Assistant


_starting = Lock()
_service: Service | None = None


def start() -> Service:
    """Return the service; the first call reads the settings, and starts retention.

    Raises SettingsError for settings, or a models.toml, that can't be used.
    """
    global _service
    with _starting:
        if _service is None:
            settings = load_settings()
            retention.start(settings.sessions_dir, settings.retention_days)
            backend = (
                Demo()
                if settings.backend == "demo"
                else Bedrock(settings.region, settings.guardrail)
            )
            report = metrics.reporter(settings.metrics)
            assistant = Assistant(
                backend, load_models(), settings.system_prompt, report, settings.daily_tokens
            )
            atexit.register(assistant.close)
            _service = Service(settings, assistant)
            gc.collect()
            gc.freeze()  # otherwise each search for garbage checks all that was imported: 30 ms
        return _service


def forget() -> None:
    """Have the next `start` begin anew, as a new process would; for tests."""
    global _service
    with _starting:
        _service = None
