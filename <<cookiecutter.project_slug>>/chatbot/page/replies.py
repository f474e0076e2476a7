"""Replies to what a browser asks, such as where to upload a file: each one reaches it."""

from streamlit.runtime import app_session
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

_REPLIES = ("file_urls_response", "backend_operation_response", "heartbeat_ack")


def keep() -> None:
    """Have tabs that are opened from now on get all replies.

    Streamlit drops those that are not sent yet when the page begins to be drawn again, and the
    browser does not ask twice: a file that a person attaches at that moment never appears.
    """
    app_session.ForwardMsgQueue = _Queue  # type: ignore[attr-defined]


class _Queue(ForwardMsgQueue):
    """What waits to be sent to a browser."""

    def clear(
        self, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: list[str] | None = None
    ) -> None:
        waiting = self._queue if retain_lifecycle_msgs else []
        super().clear(retain_lifecycle_msgs, fragment_ids_this_run)
        replies = [each for each in waiting if each.WhichOneof("type") in _REPLIES]
        self._queue += [each for each in replies if each not in self._queue]
