"""An answer in progress: who writes it, who follows it, who takes it over.

An answer belongs to its conversation, not to a tab or a task. One process writes it, piece by
piece, into the conversation's file; every page shows what the file holds, so nothing that was
shown can be lost. Three lines in the file settle who may write:

- a claim makes its writer the only one whose pieces count;
- an end (complete, stopped, failed) closes the turn, whoever appended it;
- the end "released" and the silence of a writer invite the next claim.

Each is appended under the file's lock by somebody who has read all lines before it. A writer that
was frozen and comes back finds the newer claim when it wants to append, and gives up.
"""

import atexit
import logging
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chatbot.journals import DeletedError, Record
from chatbot.models import Backend, Finish, Interruption, Model, ModelError, Text, answer
from chatbot.sessions import Conversation, Turn
from chatbot.storage import SessionError

log = logging.getLogger(__name__)

SAVE_EVERY = 0.25  # seconds between two pieces of an answer in the file
BEAT_EVERY = 1.0  # seconds of a model's silence after which its writer says that it lives
DEAD_AFTER = 4.0  # seconds of looks without a new line of the writer until another takes over
POLL_EVERY = 0.5  # seconds between two looks at an answer that another process writes
LOOK_EVERY = 0.05  # seconds between two looks at an answer that this process writes
MOST_TRIES = 3  # before a person has to ask for another one
GIVE_UP = 30.0  # seconds without storage until a writer, or who follows one, gives up
RELEASE_WITHIN = 3.0  # seconds that a process that ends waits for its writers

WRITER = f"{socket.gethostname()}/{secrets.token_hex(4)}"  # this process


@dataclass(frozen=True)
class Answering:
    """What is needed to answer: who does, the models on offer, what they are told first."""

    backend: Backend
    models: dict[str, Model]
    system_prompt: str

    def model(self, key: str) -> Model:
        """Return the model of that key, or the default one if it is no longer on offer."""
        return self.models.get(key) or next(iter(self.models.values()))


def new_turn_id() -> str:
    """Make a name for a turn that nobody has begun."""
    return secrets.token_hex(8)


def ask(
    conversation: Conversation, prompt: str, model: str, answering: Answering, turn_id: str = ""
) -> str:
    """Save the prompt and begin its answer; an answer in progress is stopped first.

    Returns the turn's id, which is new unless one is given; asking again under the same id does
    nothing. Raises SessionError, DeletedError among them, if the prompt was not saved.
    """
    turn_id = turn_id or new_turn_id()

    def before() -> list[Record] | None:
        if conversation.deleted:
            raise DeletedError("This conversation was deleted.")
        if any(turn.id == turn_id for turn in conversation.turns):
            return None
        running = [_end(turn, "stopped") for turn in conversation.turns[-1:] if not turn.ended]
        return [*running, {"type": "prompt", "turn": turn_id, "text": prompt}]

    _Writer(conversation, turn_id, 1, answering).begin(model, before, create=not conversation.turns)
    return turn_id


def stop(conversation: Conversation, turn_id: str) -> None:
    """Stop the answer, whoever writes it; what has arrived of it stays. Raises SessionError."""
    turn = conversation.turn(turn_id)
    conversation.update(lambda: [] if turn.ended else [_end(turn, "stopped")])


def retry(conversation: Conversation, turn_id: str, model: str, answering: Answering) -> None:
    """Begin the answer again, or go on with the part of it that there is. Raises SessionError."""
    _claim(conversation, conversation.turn(turn_id), model, answering, ("failed",))


def follow(conversation: Conversation, turn_id: str, answering: Answering) -> Iterator[Turn]:
    """Yield the turn again and again, about ten times a second, until its answer has ended.

    An answer that its writer left behind is taken over on the way. While the storage does not
    answer, the conversation's `trouble` says so.
    Raises DeletedError if the conversation is gone, SessionError if it can't be read for GIVE_UP.
    """
    turn = conversation.turn(turn_id)
    heard, silence, readable = turn.lines, 0.0, time.monotonic()
    while not turn.ended:
        yield turn
        writer = _running.get((conversation.path, turn_id))
        if turn.writer == WRITER and writer is not None:
            time.sleep(LOOK_EVERY)
        else:
            try:
                conversation.refresh()
                turn = conversation.turn(turn_id)
                # Only looks count, not the time in which this process or the storage stood still:
                # the writer may have stood still for as long.
                silence = silence + POLL_EVERY if turn.lines == heard else 0.0
                heard = turn.lines
                if _is_abandoned(conversation, turn, silence):
                    _take_over(conversation, turn, answering)
                elif not turn.ended:
                    time.sleep(POLL_EVERY)
                conversation.trouble, readable = "", time.monotonic()
            except DeletedError:
                raise
            except SessionError as error:
                if time.monotonic() - readable > GIVE_UP:
                    raise
                conversation.trouble, silence = str(error), 0.0
                time.sleep(POLL_EVERY)
        turn = conversation.turn(turn_id)
    yield turn


def _is_abandoned(conversation: Conversation, turn: Turn, silence: float) -> bool:
    if turn.state != "open":
        return turn.state == "released"
    if turn.writer == WRITER:
        return (conversation.path, turn.id) not in _running
    # The writer's clock, which may be wrong, only serves where nothing has happened for long.
    return silence > DEAD_AFTER or time.time() - turn.written > 10 * DEAD_AFTER


def _take_over(conversation: Conversation, turn: Turn, answering: Answering) -> None:
    if turn.tries < MOST_TRIES:
        _claim(conversation, turn, turn.model, answering, ("open", "released"))
    else:
        _give_up(conversation, turn)


def _claim(
    conversation: Conversation,
    seen: Turn,
    model: str,
    answering: Answering,
    states: tuple[str, ...],
) -> None:
    """Begin the next attempt, unless the turn is no longer in such a state: another was faster."""
    attempt = seen.attempt + 1

    def before() -> list[Record] | None:
        turn = conversation.turn(seen.id)
        return [] if turn.attempt < attempt and turn.state in states else None

    if _Writer(conversation, seen.id, attempt, answering).begin(model, before):
        log.info("Turn %s of %s: attempt %d", seen.id, conversation.id, attempt)


def _give_up(conversation: Conversation, seen: Turn) -> None:
    notice = "The answer was interrupted several times. Try again."
    attempt = seen.attempt

    def decide() -> list[Record]:
        turn = conversation.turn(seen.id)
        still = turn.attempt == attempt and not turn.ended
        return [_end(turn, "failed", "interrupted", notice)] if still else []

    conversation.update(decide)


def _end(
    turn: Turn, state: str, reason: str = "", notice: str = "", usage: dict[str, int] | None = None
) -> Record:
    end = {"type": "end", "turn": turn.id, "attempt": turn.attempt, "state": state}
    return end | {"reason": reason, "notice": notice, "usage": usage or {}}


class _Writer:
    """Two threads: one reads the model's stream, the other one saves what has arrived.

    So a page always has something fresh to show, and a model's silence is not taken for a death.
    """

    def __init__(
        self, conversation: Conversation, turn_id: str, attempt: int, answering: Answering
    ) -> None:
        self._conversation = conversation
        self._turn_id = turn_id
        self._attempt = attempt
        self._place = (conversation.path, turn_id)
        self._answering = answering
        self._arrived: queue.SimpleQueue[Text | Finish | ModelError | None] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._interruption = Interruption()
        self._saver = threading.Thread(target=self._save, name=f"save-{turn_id}", daemon=True)

    def begin(
        self, model: str, before: Callable[[], list[Record] | None], *, create: bool = False
    ) -> bool:
        """Append what `before` returns and the claim, and start; not if it returns None.

        Raises SessionError if the claim could not be saved.
        """
        claim = {"type": "claim", "turn": self._turn_id, "attempt": self._attempt}

        def decide() -> list[Record]:
            records = before()
            if records is None:
                return []
            # Nobody may see the claim and no writer: he would take it for abandoned.
            _running[self._place] = self
            return [*records, claim | {"writer": WRITER, "model": model}]

        try:
            if not self._conversation.update(decide, create=create):
                self._leave()
                return False
        except BaseException:
            self._leave()
            raise
        threading.Thread(target=self._read, name=f"read-{self._turn_id}", daemon=True).start()
        self._saver.start()
        return True

    def _leave(self) -> None:
        if _running.get(self._place) is self:
            del _running[self._place]

    def release(self) -> None:
        """Leave the answer to another process, because this one ends."""
        self._arrived.put(None)

    def wait(self, seconds: float) -> None:
        self._saver.join(max(0.0, seconds))

    def _read(self) -> None:
        turns = self._conversation.turns
        with self._conversation.lock:
            turn = self._conversation.turn(self._turn_id)
            past = [(each.prompt, each.answer) for each in turns[: turns.index(turn) + 1]]
        model, system = self._answering.model(turn.model), self._answering.system_prompt
        try:
            backend, interruption = self._answering.backend, self._interruption
            with closing(answer(backend, model, past, system, interruption)) as events:
                for event in events:
                    self._arrived.put(event)
                    if self._given_up.is_set():
                        return
        except ModelError as error:
            self._arrived.put(error)
        except Exception:
            log.exception("The backend failed in a way it should not")
            self._arrived.put(ModelError("The chatbot has a fault. Try again.", "Fault"))

    def _save(self) -> None:
        try:
            records: list[Record] = []
            while not records or records[-1]["type"] != "end":
                records = self._gather()
                if not self._append(records):
                    return
        finally:
            self._given_up.set()
            self._interruption.ask()
            self._leave()

    def _gather(self) -> list[Record]:
        """Collect what arrives within SAVE_EVERY; a beat if nothing comes for BEAT_EVERY."""
        turn = Turn(self._turn_id, "", attempt=self._attempt)
        piece = {"turn": turn.id, "attempt": turn.attempt}
        try:
            event = self._arrived.get(timeout=BEAT_EVERY)
        except queue.Empty:
            return [{"type": "beat"} | piece]
        until = time.monotonic() + SAVE_EVERY
        text = ""
        while isinstance(event, Text):
            text += event.text
            try:
                event = self._arrived.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
        records = [{"type": "text", "text": text} | piece] if text else []
        if isinstance(event, Finish):
            end = _end(turn, "complete", event.reason, event.notice, event.usage)
        elif isinstance(event, ModelError):
            end = _end(turn, "failed", event.code, str(event))
        elif event is None:
            end = _end(turn, "released")
        else:
            return records
        return [*records, end]

    def _append(self, records: list[Record]) -> bool:
        """Save the records, if this attempt is still the one that counts.

        Without storage it tries again for a while: the answer has been paid for.
        """

        def decide() -> list[Record]:
            turn = self._conversation.turn(self._turn_id)
            counts = turn.attempt == self._attempt and turn.state == "open"
            return records if counts else []

        give_up = time.monotonic() + GIVE_UP
        while True:
            try:
                saved = self._conversation.update(decide)
                self._conversation.trouble = ""
                return saved
            except DeletedError:
                return False
            except SessionError as error:
                self._conversation.trouble = str(error)
                log.warning("An answer can't be saved: %s", error)
                if time.monotonic() > give_up:
                    return False
            time.sleep(1.0)


_running: dict[tuple[Path, str], _Writer] = {}


@atexit.register
def _release_all() -> None:
    """Let go of the answers in progress, so that other tasks can go on with them at once."""
    writers = list(_running.values())
    for writer in writers:
        writer.release()
    give_up = time.monotonic() + RELEASE_WITHIN
    for writer in writers:
        writer.wait(give_up - time.monotonic())
