"""Answers: who writes one, who follows it, who stops it, who takes it over.

An answer belongs to its conversation, not to a tab or a task. One process writes it, piece by
piece, into the conversation's file; every page shows what the file holds, so nothing that was
shown can be lost. Records in the file settle who may write:

- a claim makes its writer the only one whose pieces count;
- an end (complete, stopped, failed) closes the turn, whoever appended it;
- the end "released", or the silence of a writer, invites the next claim.

Each is appended under the file's lock by somebody who has read all records before it. A writer that
was frozen and comes back finds the newer claim when it tries to append, and gives up.
"""

import logging
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from chatbot import attachments, usage
from chatbot.assistants import OWN, Persona, compose, own_instructions
from chatbot.context import estimate_tokens, stream_answer
from chatbot.conversations import Conversation, Turn, assistant_of, new_turn_id
from chatbot.file_kinds import File
from chatbot.journals import DeletedError
from chatbot.metrics import Outcome
from chatbot.models import (
    Backend,
    Cancellation,
    Finish,
    Model,
    ModelError,
    Text,
    Thought,
    Tokens,
    count_tokens,
)
from chatbot.records import Beat, Claim, End, Prompt, Record
from chatbot.records import Text as TextRecord
from chatbot.records import Thought as ThoughtRecord
from chatbot.sessions import Session
from chatbot.storage import StorageError

log = logging.getLogger(__name__)

SAVE_EVERY = 0.25  # seconds between two pieces of an answer in the file
BEAT_EVERY = 1.0  # seconds of a model's silence after which its writer appends a beat
DEAD_AFTER = 4.0  # seconds of polls without a new record until another writer takes over
POLL_EVERY = 0.5  # seconds between two looks at an answer that another process writes
LOCAL_POLL_EVERY = 0.05  # seconds between two looks at an answer that this process writes
MAX_TRIES = 3  # claims before a person has to ask for another one
STORAGE_TIMEOUT = 30.0  # seconds without storage until a writer, or a follower, gives up
# Errors after which the model that models.toml names as the fallback is asked.
_BUSY = ("throttled", "daily_quota", "unavailable")
SAVE_AGAIN_EVERY = 1.0  # seconds between two tries to save a piece, while the storage fails
RELEASE_TIMEOUT = 3.0  # seconds that a process that ends waits for its writers


@dataclass(frozen=True)
class Progress:
    """What there is to draw of an answer.

    storage_error: why it can't be saved, or followed, at the moment.
    """

    turn: Turn
    storage_error: StorageError | None = None


class Assistant:
    """Answers conversations, in threads of this process.

    id: names it as a writer, in the conversations' files.
    models: those on offer by their keys, the default one first.
    system_prompt: what a model is told before each conversation.
    report: is told how each answer went that this process has written.
    daily_tokens: after how many a person can ask nothing more on that day (UTC); 0 is no limit.
    personas: the assistants that staff choose from by their keys, the default one first.
    """

    def __init__(
        self,
        backend: Backend,
        models: dict[str, Model],
        system_prompt: str,
        report: Callable[[Outcome], None] = lambda outcome: None,
        daily_tokens: int = 0,
        personas: dict[str, Persona] | None = None,
    ) -> None:
        self.id = f"{socket.gethostname()}/{secrets.token_hex(4)}"
        self.backend = backend
        self.models = models
        self.system_prompt = system_prompt
        self.report = report
        self.daily_tokens = daily_tokens
        self.personas = personas or {}
        self._running: dict[tuple[Path, str], _Writer] = {}
        self._closing = False

    def model(self, key: str) -> Model:
        """Return the model of that key, or the default one if it is no longer on offer."""
        return self.models.get(key) or next(iter(self.models.values()))

    def name_of(self, key: str) -> str:
        """Return what staff see of the model of that key: the key, if it is no longer on offer."""
        return self.models[key].name if key in self.models else key

    def persona(self, key: str) -> Persona | None:
        """Return the assistant of that key, or the default one; None if there are none at all."""
        return self.personas.get(key) or next(iter(self.personas.values()), None)

    def instructions(self, turns: Sequence[Turn], own: str) -> str:
        """Return what a model is told before these turns of a conversation.

        own: the person's own instructions, or "".
        """
        return compose(self.system_prompt, self.persona(assistant_of(turns)), own)

    def ask(
        self,
        conversation: Conversation,
        prompt: str,
        model: str,
        turn_id: str = "",
        *,
        after: Collection[str] = (),
        where: str = "",
        persona: str = "",
        files: Sequence[File] = (),
        create: bool = True,
    ) -> str:
        """Save the prompt and begin its answer; an answer in progress is stopped first.

        after: ids of turns whose answers are not stopped; this answer begins when they have ended.
        where: a turn that the person saw when sending this, if others may be shown by now.
        persona: the key of the assistant that is asked, as in assistants.toml, or "".
        files: what is attached. The session has their contents already: a crash must not leave a
            prompt without them.
        create: whether this may begin the conversation; else, if it is not there, it was deleted.

        Returns the turn's id, which is new unless one is given; asking again under the same id does
        nothing. Raises StorageError if the prompt was not saved, such as DeletedError if the
        conversation was deleted or removed, and usage.LimitError if the day's tokens are used up.
        """
        turn_id = turn_id or new_turn_id()

        def make_prompt() -> Prompt:
            before = conversation.end_of_branch(where)
            after = _after(conversation, before)
            names = [file.to_json() for file in files]
            return Prompt(turn_id, prompt, model, after, assistant=persona, files=names)

        return self._ask(conversation, turn_id, model, make_prompt, after, create=create)

    def edit(
        self, conversation: Conversation, old: str, prompt: str, model: str, turn_id: str = ""
    ) -> str:
        """Ask something else in the place of an old turn, as `ask` does.

        The old turn stays, with all that follows it. Raises DeletedError if there is no such turn.
        """
        turn_id = turn_id or new_turn_id()

        def make_prompt() -> Prompt:
            return _repeat(conversation, old, Prompt(turn_id, prompt, model))

        return self._ask(conversation, turn_id, model, make_prompt)

    def answer_again(
        self, conversation: Conversation, old: str, model: str, turn_id: str = ""
    ) -> str:
        """Ask for another answer to the prompt of an old turn, as `ask` does.

        The old answer stays, with all that follows it. Raises DeletedError if there is no such
        turn.
        """
        turn_id = turn_id or new_turn_id()

        def make_prompt() -> Prompt:
            again = Prompt(turn_id, conversation.turn(old).prompt, model, again=old)
            return _repeat(conversation, old, again)

        return self._ask(conversation, turn_id, model, make_prompt)

    def _ask(
        self,
        conversation: Conversation,
        turn_id: str,
        model: str,
        make_prompt: Callable[[], Prompt],
        after: Collection[str] = (),
        *,
        create: bool = False,
    ) -> str:
        if not conversation.has(turn_id):
            self._require_tokens(conversation)
        session = Session(conversation.path.parent)

        def decide(claim: Claim) -> list[Record]:
            if conversation.deleted:
                raise DeletedError
            if conversation.has(turn_id):
                return []
            if session.is_removed(conversation.id):  # what is sent now would go with it
                raise DeletedError
            prompt = make_prompt()
            unfinished = conversation.unfinished
            stopped = [_supersede(turn, turn_id) for turn in unfinished if turn.id not in after]
            waits = any(turn.id in after for turn in unfinished)
            return [*stopped, prompt, *([] if waits else [claim])]

        writer = _Writer(self, conversation, Claim(turn_id, 1, self.id, model))
        create = create and not conversation.turns and not conversation.deleted
        writer.begin(decide, create=create)
        return turn_id

    def stop(self, conversation: Conversation, turn_id: str) -> None:
        """Stop the answer, whoever writes it; what has arrived stays. Raises StorageError."""
        turn = conversation.turn(turn_id)
        conversation.update(
            lambda: [] if turn.ended else [End(turn_id, turn.attempt, "stopped", "person")]
        )
        writer = self._running.get((conversation.path, turn_id))
        if writer is not None:
            writer.release()  # otherwise it would find out only when it has something to append

    def retry(self, conversation: Conversation, turn_id: str, model: str) -> None:
        """Begin a failed answer again, or continue the part that there is.

        An answer in progress of another branch is stopped first. One that follows this turn is not:
        then the conversation has gone on without this one.

        Raises StorageError, and usage.LimitError if the day's tokens are used up.
        """
        self._require_tokens(conversation)
        self._claim(conversation, conversation.turn(turn_id), model, ("failed",))

    def follow(self, conversation: Conversation, turn_id: str) -> Iterator[Progress]:
        """Yield the answer's progress until it has ended, the end included.

        It looks 20 times a second at an answer that this process writes, and twice a second at
        another one; an answer that its writer left behind is taken over on the way.

        Raises DeletedError if the conversation is gone, StorageError if it could not be read for
        STORAGE_TIMEOUT.
        """
        turn = conversation.turn(turn_id)
        lines, silence = turn.lines, 0.0
        readable, storage_error = time.monotonic(), None
        while not turn.ended:
            yield Progress(turn, storage_error)
            writer = self._running.get((conversation.path, turn_id))
            if writer is not None and turn.writer == self.id:
                storage_error = writer.storage_error
                time.sleep(LOCAL_POLL_EVERY)
            else:
                try:
                    conversation.refresh()
                    turn = conversation.turn(turn_id)
                    # Only polls count, not the time in which this process or the storage stood
                    # still: the writer may have stood still for as long.
                    silence = silence + POLL_EVERY if turn.lines == lines else 0.0
                    lines = turn.lines
                    if self._is_abandoned(conversation, turn, silence):
                        self._take_over(conversation, turn)
                    elif not turn.ended:
                        time.sleep(POLL_EVERY)
                    storage_error, readable = None, time.monotonic()
                except DeletedError:
                    raise
                except StorageError as error:
                    if time.monotonic() - readable > STORAGE_TIMEOUT:
                        raise
                    storage_error, silence = error, 0.0
                    time.sleep(POLL_EVERY)
            turn = conversation.turn(turn_id)
        yield Progress(turn)

    def close(self) -> None:
        """Release the answers in progress, so that other tasks can continue them at once."""
        self._closing = True
        writers = list(self._running.values())
        for writer in writers:
            writer.release()
        deadline = time.monotonic() + RELEASE_TIMEOUT
        for writer in writers:
            writer.wait(deadline - time.monotonic())

    def _require_tokens(self, conversation: Conversation) -> None:
        if self.daily_tokens:
            usage.require_tokens(conversation.path.parent, self.daily_tokens)

    def _is_abandoned(self, conversation: Conversation, turn: Turn, silence: float) -> bool:
        if self._closing:  # the pages that this process still serves leave it to the next one
            return False
        if turn.state != "open":
            return turn.state == "released"
        if not turn.attempt:
            return _is_next(conversation, turn)
        if turn.writer == self.id:
            return (conversation.path, turn.id) not in self._running
        return silence > DEAD_AFTER  # no clock counts: the writer's or this task's may be wrong

    def _take_over(self, conversation: Conversation, turn: Turn) -> None:
        if turn.tries < MAX_TRIES:
            self._claim(conversation, turn, turn.model, ("open", "released"), turn.instead_of)
        else:
            _fail_interrupted(conversation, turn)

    def _claim(
        self,
        conversation: Conversation,
        seen: Turn,
        model: str,
        states: tuple[str, ...],
        instead_of: str = "",
    ) -> None:
        """Begin the next attempt, unless the turn left these states: somebody else was faster."""

        def decide(claim: Claim) -> list[Record]:
            turn = conversation.turn(seen.id)
            if turn.attempt >= claim.attempt or turn.state not in states:
                return []
            if not turn.ended:
                return [claim]
            others = conversation.unfinished
            if any(turn in conversation.turns_to(each.id) for each in others):
                return []
            return [*(_supersede(each, turn.id) for each in others), claim]

        claim = Claim(seen.id, seen.attempt + 1, self.id, model, instead_of)
        if _Writer(self, conversation, claim).begin(decide):
            log.info("Turn %s of %s: attempt %d", seen.id, conversation.id, claim.attempt)

    def _begin_waiting(self, conversation: Conversation) -> None:
        """Begin the answer that waited for the one before it to end."""
        try:
            for turn in conversation.unfinished[:1]:
                if not turn.attempt:
                    self._take_over(conversation, turn)
        except StorageError as error:
            log.warning("An answer waits until a page looks at it: %s", error)


def _supersede(turn: Turn, by: str) -> End:
    """Return the end of an answer that makes room for another turn's."""
    return End(turn.id, turn.attempt, "stopped", "superseded", {"by": by})


def _after(conversation: Conversation, before: str) -> str:
    """Return what a new prompt tells of the turn that it follows: nothing, if that is the newest.

    before: that turn's id, or branches.FIRST, or "" in an empty conversation.
    """
    newest = conversation.newest
    return "" if before == newest or not newest else before


def _repeat(conversation: Conversation, old: str, prompt: Prompt) -> Prompt:
    """Return the prompt in the place of an old turn's, with what else belonged to that one."""
    turn = conversation.turn(old)
    return replace(
        prompt,
        after=_after(conversation, conversation.before(old)),
        assistant=turn.assistant,
        files=[file.to_json() for file in turn.files],
    )


def _is_next(conversation: Conversation, turn: Turn) -> bool:
    """Return whether no answer before this one is in progress."""
    return [each.id for each in conversation.unfinished[:1]] == [turn.id]


def _fail_interrupted(conversation: Conversation, seen: Turn) -> None:
    """End an answer that was begun too often, unless something happened to it meanwhile."""
    attempt = seen.attempt

    def decide() -> list[Record]:
        turn = conversation.turn(seen.id)
        unchanged = turn.attempt == attempt and not turn.ended
        return [End(turn.id, attempt, "failed", "interrupted")] if unchanged else []

    conversation.update(decide)


_Event = (
    Text | Thought | Finish | ModelError | Model | None
)  # a model that is asked, instead of the last one


class _Writer:
    """Writes one attempt at an answer, in two threads; another attempt, if a model stands in.

    One reads the model's stream, the other one saves what has arrived. So a page always has
    something fresh to show, and a model's silence is not taken for the writer's death.

    storage_error: why what has arrived can't be saved at the moment.
    """

    def __init__(self, assistant: Assistant, conversation: Conversation, claim: Claim) -> None:
        self.storage_error: StorageError | None = None
        self._assistant = assistant
        self._conversation = conversation
        self._claim = claim
        self._place = (conversation.path, claim.turn)
        self._arrived: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._done = threading.Event()
        self._cancellation = Cancellation()
        self._sent: list[Turn] = []  # nothing until the model is asked
        self._received: list[str] = []
        self._thoughts: list[str] = []
        self._instructions = assistant.system_prompt  # until the model is asked
        self._told: Finish | ModelError | None = None  # by the model, at the end
        self._begun = time.monotonic()
        self._first_word: float | None = None  # seconds until it came
        self._saver = threading.Thread(target=self._save, name=f"save-{claim.turn}", daemon=True)

    def begin(self, decide: Callable[[Claim], list[Record]], *, create: bool = False) -> bool:
        """Append what `decide` makes of the claim, and start if the claim is among it.

        Returns whether it started. Raises StorageError if the records could not be saved.
        """
        claimed = False

        def decide_and_register() -> list[Record]:
            nonlocal claimed
            records = decide(self._claim)
            claimed = self._claim in records
            if claimed:  # nobody may see the claim without its writer, and take it for abandoned
                self._assistant._running[self._place] = self
                self._prepare_usage()
            return records

        try:
            self._conversation.update(decide_and_register, create=create)
        except BaseException:
            self._unregister()
            raise
        if claimed:
            self._start()
        return claimed

    def _start(self) -> None:
        """Start both threads; if the machine has none left, release the answer."""
        try:
            self._saver.start()
        except RuntimeError as error:
            log.warning("An answer can't be written: %s", error)
            try:
                self._append([End(self._claim.turn, self._claim.attempt, "released")])
            finally:
                self._finish()
            return
        try:
            name = f"read-{self._claim.turn}"
            threading.Thread(target=self._read, name=name, daemon=True).start()
        except RuntimeError as error:
            log.warning("A model can't be asked: %s", error)
            self.release()

    def _unregister(self) -> None:
        if self._assistant._running.get(self._place) is self:
            del self._assistant._running[self._place]

    def release(self) -> None:
        """Leave the answer to another process, because this one ends."""
        self._arrived.put(None)

    def wait(self, seconds: float) -> None:
        self._done.wait(max(0.0, seconds))

    def _read(self) -> None:
        try:
            turns = self._turns()
            self._instructions = self._assistant.instructions(turns, self._own_instructions())
            self._sent = turns
            self._ask(self._assistant.model(self._claim.model))
        except DeletedError:
            return  # the other thread finds out by itself
        except ModelError as error:
            self._told = error
            self._arrived.put(error)
        except Exception as error:
            log.exception("The backend raised something other than a ModelError")
            self._told = ModelError("bug", error=type(error).__name__)
            self._arrived.put(self._told)

    def _ask(self, model: Model) -> None:
        """Ask the model, and its fallback if it is too busy. Raises ModelError."""
        asked = [model.key]
        while True:
            try:
                return self._read_from(model)
            except ModelError as error:
                is_final = self._received or self._cancellation.cancelled
                if is_final or error.code not in _BUSY or model.fallback in ("", *asked):
                    raise
            model = self._assistant.models[model.fallback]
            asked.append(model.key)
            self._arrived.put(model)

    def _read_from(self, model: Model) -> None:
        assistant = self._assistant
        stream = stream_answer(
            assistant.backend,
            model,
            self._sent,
            self._instructions,
            self._cancellation,
            partial(attachments.load, self._conversation.path.parent),
        )
        thinking_since = time.monotonic()
        with closing(stream) as events:
            for event in events:
                if isinstance(event, Text):
                    if self._first_word is None:
                        self._first_word = time.monotonic() - self._begun
                    self._received.append(event.text)
                elif isinstance(event, Thought):
                    now = time.monotonic()
                    event = replace(event, seconds=now - thinking_since)
                    thinking_since = now
                    self._thoughts.append(event.text)
                else:
                    self._told = event
                self._arrived.put(event)
                if self._done.is_set():
                    return

    def _own_instructions(self) -> str:
        """Return the person's, as they are now, or as they were when the storage last answered."""
        session = Session(self._conversation.path.parent)
        try:
            return own_instructions(session.get(OWN))
        except StorageError as error:
            log.warning("A person's own instructions can't be read: %s", error)
            return own_instructions(session.last_known(OWN))

    def _turns(self) -> list[Turn]:
        """Return the turns up to this one, as they are now. Raises DeletedError."""
        with self._conversation.lock:
            turns = self._conversation.turns_to(self._claim.turn)
            return [replace(turn) for turn in turns]

    def _save(self) -> None:
        try:
            records: list[Record] = []
            while not (records and isinstance(records[-1], End)):
                records = self._gather()
                if not self._append(records):
                    return
        finally:
            self._finish()

    def _finish(self) -> None:
        tokens = self._count_tokens()  # what arrives from now on is not in the answer
        self._cancellation.cancel()
        self._record_usage(tokens)  # before a process that ends stops waiting for this
        self._done.set()
        self._unregister()
        self._assistant._begin_waiting(self._conversation)
        self._report()

    def _prepare_usage(self) -> None:
        """Make the file for what this attempt uses, under the conversation's lock.

        So whoever deletes the session deletes the file after the conversation, and whoever comes
        later finds no conversation to answer in.
        """
        try:
            usage.prepare(self._conversation.path.parent)
        except StorageError as error:
            log.warning("The usage of an answer can't be recorded: %s", error)

    def _count_tokens(self) -> Tokens | None:
        """Return what this attempt has used; None if the model was not asked, or refused."""
        if isinstance(self._told, Finish):
            told = count_tokens(self._told.usage)
            if told or not self._told.sent_turns:
                return told
        received = "".join([*self._thoughts, *self._received])
        if not self._sent or (isinstance(self._told, ModelError) and not received):
            return None
        model = self._assistant.model(self._claim.model)
        return estimate_tokens(self._sent, model, self._instructions, received)

    def _record_usage(self, tokens: Tokens | None) -> None:
        if tokens:
            try:
                model = self._assistant.model(self._claim.model)
                usage.record(self._conversation.path.parent, model, tokens)
            except StorageError as error:
                log.warning("The usage of an answer was not recorded: %s", error)

    def _report(self) -> None:
        """Tell how the answer went, whoever ended it; not if another attempt follows."""
        try:
            turn = self._conversation.turn(self._claim.turn)
        except DeletedError:
            return
        if turn.ended and turn.attempt == self._claim.attempt:
            model = self._assistant.model(self._claim.model)
            seconds = time.monotonic() - self._begun
            self._assistant.report(
                Outcome(model, turn.state, turn.code, seconds, self._first_word, turn.usage)
            )

    def _gather(self) -> list[Record]:
        """Collect what arrives within SAVE_EVERY; a beat if nothing comes for BEAT_EVERY."""
        turn, attempt = self._claim.turn, self._claim.attempt
        try:
            event = self._arrived.get(timeout=BEAT_EVERY)
        except queue.Empty:
            return [Beat(turn, attempt)]
        until = time.monotonic() + SAVE_EVERY
        records: list[Record] = []
        while isinstance(event, Text | Thought):
            _add_piece(records, self._claim, event)
            try:
                event = self._arrived.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
        match event:
            case Finish():
                end = End(turn, attempt, "complete", event.code, event.facts, event.usage)
                end = replace(end, sent_turns=event.sent_turns)
            case ModelError():
                end = End(turn, attempt, "failed", event.code, event.facts)
            case Model():
                first = self._claim.instead_of or self._claim.model
                writer = self._assistant.id
                return [*records, Claim(turn, attempt + 1, writer, event.key, first)]
            case None:
                end = End(turn, attempt, "released")
            case Text() | Thought():
                return records
        return [*records, end]

    def _append(self, records: list[Record]) -> bool:
        """Save the records; return whether this attempt is still the one that counts.

        Without storage it tries again until STORAGE_TIMEOUT: the answer has been paid for. What has
        arrived on the disk in spite of an error is not written again.
        """
        before: int | None = None  # how many lines the turn had
        counts = False

        def decide() -> list[Record]:
            nonlocal before, counts
            turn, last = self._conversation.turn(self._claim.turn), records[-1]
            before = turn.lines if before is None else before
            counts = turn.attempt == self._claim.attempt and turn.state == "open"
            if counts:  # nobody else has added a line to the turn
                return records[max(0, turn.lines - before) :]
            if isinstance(last, Claim):  # it may be there already
                counts = (turn.attempt, turn.writer) == (last.attempt, last.writer)
            return []

        deadline = time.monotonic() + STORAGE_TIMEOUT
        while True:
            try:
                self._conversation.update(decide)
                self.storage_error = None
                if counts and isinstance(records[-1], Claim):
                    self._claim = records[-1]
                return counts
            except DeletedError:
                return False
            except StorageError as error:
                self.storage_error = error
                log.warning("An answer can't be saved: %s", error)
                if time.monotonic() > deadline:
                    return False
            time.sleep(SAVE_AGAIN_EVERY)


def _add_piece(records: list[Record], claim: Claim, event: Text | Thought) -> None:
    """Add what has arrived to the last of the records, if that is of the same kind."""
    turn, attempt = claim.turn, claim.attempt
    last = records[-1] if records else None
    if isinstance(event, Text):
        begun = last.text if isinstance(last, TextRecord) else ""
        piece: Record = TextRecord(turn, attempt, begun + event.text)
    else:
        begun, seconds = (last.text, last.seconds) if isinstance(last, ThoughtRecord) else ("", 0.0)
        seconds = round(seconds + event.seconds, 3)
        piece = ThoughtRecord(turn, attempt, begun + event.text, seconds)
    if type(piece) is type(last):
        records[-1] = piece
    else:
        records.append(piece)
