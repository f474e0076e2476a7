"""Files on their way: from the input to the session, and what is said about those it can't take."""

from collections.abc import Sequence
from contextlib import suppress

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from chatbot.answers import Assistant
from chatbot.attachments import AttachmentError
from chatbot.conversations import Conversation
from chatbot.file_kinds import (
    File,
    FileError,
    FileLimits,
    Upload,
    check,
    count_unsaved_bytes,
    endings_of,
    kind_of,
    size_of,
)
from chatbot.languages import say
from chatbot.markdown import as_text
from chatbot.models import Model
from chatbot.page import wording
from chatbot.page.state import Tab, Unsent, current_tab
from chatbot.page.waiting import run_interruptibly
from chatbot.sessions import Session
from chatbot.storage import StorageError
from chatbot.text import is_blank


def count_held_bytes(session: str = "") -> int:
    """Return how many bytes of uploaded files are in this process's memory.

    session: Streamlit's id of a tab, of which only what it has not sent yet counts; "" for all.
    """
    held = 0 if session else count_unsaved_bytes()
    manager = get_instance().uploaded_file_mgr if exists() else None
    if isinstance(manager, MemoryUploadedFileManager):
        if session:
            files = list(manager.file_storage.get(session, {}).values())  # other threads change it
            return sum(len(each.data) for each in files)
        stats = manager.get_stats()
        held += sum(each.byte_length for family in stats.values() for each in family)
    return held


def endings(models: dict[str, Model]) -> list[str]:
    """Return the endings of files that one of the models takes.

    Streamlit would empty the input if these changed with the chosen model.
    """
    return endings_of({kind for model in models.values() for kind in model.files.kinds})


def draw_held(tab: Tab) -> None:
    """Draw why files of the last message can't be taken, and those that wait for the next one."""
    with st.bottom.container(key="held-files", gap="xsmall"):
        notice = st.empty()
        if tab.file_errors:
            sentences = [wording.error(error) for error in tab.file_errors]
            sentences += [wording.file_advice(tab.other_models)] if tab.other_models else []
            notice.error("  \n".join(map(as_text, sentences)), icon=":material/error:")
        tab.held_place = st.empty()
        if not tab.uploads:  # else there will be more of them
            _draw_chips(tab)


def _draw_chips(tab: Tab) -> None:
    if not tab.held:
        return
    with tab.held_place.container(horizontal=True, gap="xsmall", key="held-chips"):
        for number, file in enumerate(tab.held):
            st.button(
                as_text(say("Remove {name} ({size})", name=file.name, size=size_of(file.size))),
                key=f"held-{number}",
                icon=":material/close:",
                on_click=tab.held.remove,
                args=(file,),
            )
        if tab.held_alone:  # the browser sends no message without a text
            st.button(
                say("Send the files"), key="send-held", icon=":material/send:", on_click=_send_held
            )


def _send_held() -> None:
    tab = current_tab()
    if tab.held:
        tab.queue("", files=tuple(tab.held))
        tab.held, tab.file_errors = [], []


def take_in(tab: Tab, assistant: Assistant, model_key: str) -> None:
    """Check the files of messages that are not sent yet.

    A message with a file that can't be taken goes back into the input, and its other files wait
    beside it. Ends the script's run if there is one. A storage that fails leaves all as it is.
    """
    model = assistant.model(model_key)
    if tab.uploads:
        good, tab.file_errors = _sort(Unsent("", "", uploads=tab.uploads), model.files, model.name)
        try:
            tab.held += run_interruptibly(_hold, tab.session, good)
        except StorageError as error:
            tab.storage_error = error
            return
        tab.uploads, tab.held_alone = (), False
        _draw_chips(tab)
    for unsent in tab.outbox:
        model = assistant.model(unsent.model or model_key)
        good, errors = _sort(unsent, model.files, model.name)
        try:
            gone = run_interruptibly(_list_gone, tab.session, unsent.files) if unsent.files else []
            errors += [FileError("gone", name=file.name) for file in gone]
            held = [*unsent.files, *run_interruptibly(_hold, tab.session, good)] if errors else []
        except StorageError as error:
            tab.not_sent = error
            return
        if errors:
            takes = model.files.kinds
            tab.held = [file for file in held if file.kind in takes and file not in gone]
            tab.draft, tab.file_errors = unsent.prompt, errors
            tab.held_alone = is_blank(unsent.prompt)
            tab.other_models = _others(assistant, model, [*unsent.uploads, *unsent.files])
            with suppress(ValueError):  # another run's thread was faster
                tab.outbox.remove(unsent)
            st.rerun()


def _sort(unsent: Unsent, limits: FileLimits, model: str) -> tuple[list[Upload], list[FileError]]:
    """Return the uploads that the model takes, and why not the others, or the files kept before."""
    errors: list[FileError] = []
    kept = []
    for file in unsent.files:
        if file.kind in limits.kinds:
            kept.append(file)
        else:
            code = "wrong_kind" if limits.kinds else "no_files"
            kinds = ", ".join(limits.kinds)
            errors.append(FileError(code, name=file.name, kinds=kinds, model=model))
    good = []
    results = check(unsent.uploads, kept, limits, model)
    for upload, result in zip(unsent.uploads, results, strict=True):
        if isinstance(result, FileError):
            errors.append(result)
        else:
            good.append(upload)
    return good, errors


def _others(assistant: Assistant, model: Model, files: Sequence[Upload | File]) -> list[str]:
    """Return the names of models that take the kinds of files that this one does not."""
    kinds = {file.kind if isinstance(file, File) else kind_of(file.name) for file in files} - {""}
    if kinds <= set(model.files.kinds):
        return []
    return [each.name for each in assistant.models.values() if kinds <= set(each.files.kinds)]


def _hold(session: Session, uploads: Sequence[Upload]) -> list[File]:
    return [_save(session, upload) for upload in uploads]


def _list_gone(session: Session, files: Sequence[File]) -> list[File]:
    """Return those that waited for more than a day, or were deleted with another chat."""
    return [file for file in files if not session.has_attachment(file.hash)]


def _save(session: Session, upload: Upload) -> File:
    name = session.attach(upload.content)
    return File(name, upload.name, kind_of(upload.name), len(upload.content))


def send(
    session: Session,
    assistant: Assistant,
    conversation: Conversation,
    unsent: Unsent,
    model: str,
    after: Sequence[str],
    persona: str,
) -> None:
    """Save the message's files, then the message: never one without its files.

    Raises StorageError, and usage.LimitError, as Assistant.ask does.
    """
    saved = [_save(session, upload) for upload in unsent.uploads]
    files = [*unsent.files, *saved]
    if _list_gone(session, unsent.files):
        raise AttachmentError("attachment_missing")  # since `take_in`
    assistant.ask(
        conversation,
        unsent.prompt,
        model,
        unsent.turn_id,
        after=after,
        where=unsent.where,
        persona=persona,
        files=files,
        create=unsent.begins,
    )
    for upload, file in zip(unsent.uploads, saved, strict=True):
        if not session.has_attachment(file.hash):  # a chat was deleted that had the same one
            session.attach(upload.content)
