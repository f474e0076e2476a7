"""The sentences of notices and errors, by the code of what happened."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from chatbot.archives import ArchiveError
from chatbot.conversations import Turn
from chatbot.errors import ChatbotError, Facts
from chatbot.file_kinds import FileError
from chatbot.languages import mark, number, say, say_count, say_marked
from chatbot.models import ModelError
from chatbot.settings import SettingsError
from chatbot.usage import LimitError

_STORAGE = {
    "full": mark(
        "The chatbot's storage has a problem: there is no room left in the folder for "
        "conversations ({errno})."
    ),
    "read_only": mark(
        "The chatbot's storage has a problem: the folder for conversations can only be read "
        "({errno})."
    ),
    "forbidden": mark(
        "The chatbot's storage has a problem: the folder for conversations may not be used by "
        "this program ({errno})."
    ),
    "missing": mark(
        "The chatbot's storage has a problem: the folder for conversations, or a file in it, "
        "is missing ({errno})."
    ),
    "not_a_folder": mark(
        "The chatbot's storage has a problem: the folder for conversations is not a folder "
        "({errno})."
    ),
    "timeout": mark(
        "The chatbot's storage has a problem: the storage of conversations did not answer in "
        "time ({errno})."
    ),
    "replaced": mark(
        "The chatbot's storage has a problem: the storage of conversations was replaced by "
        "another one ({errno})."
    ),
    "fault": mark(
        "The chatbot's storage has a problem: the storage of conversations has a fault ({errno})."
    ),
    "other": mark(
        "The chatbot's storage has a problem: the storage of conversations failed ({errno})."
    ),
    "deleted": mark("This conversation was deleted."),
    "attachment_too_large": mark("A file may have up to {megabytes} MB."),
    "attachment_missing": mark("There is no such file."),
    "attachment_damaged": mark("The file is damaged."),
}

_MODEL = {
    "throttled": mark(
        "The model has too many requests at the moment. Wait a minute and try again."
    ),
    "daily_quota": mark(
        "The chatbot has used up its tokens of this model for today. Choose another one, or "
        "try again tomorrow."
    ),
    "unavailable": mark("The model is not available at the moment. Try again in a minute."),
    "broke_off": mark("The model broke off in the middle of the answer. Try again."),
    "timeout": mark("The model did not answer in time. Try again."),
    "denied": mark(
        "The chatbot may not use this model. Choose another one, or tell whoever runs the chatbot."
    ),
    "no_such_model": mark(
        "This model does not exist, or not in this region. Choose another one, or tell whoever "
        "runs the chatbot."
    ),
    "no_access": mark(
        "The chatbot's AWS account has no access to this model. Choose another one, or tell "
        "whoever runs the chatbot."
    ),
    "form_missing": mark(
        "This model's provider asks for a form with use case details, which the chatbot's AWS "
        "account has not submitted. Choose another model, or tell whoever runs the chatbot."
    ),
    "needs_profile": mark(
        "This model can be used only through an inference profile. Choose another one, or tell "
        "whoever runs the chatbot."
    ),
    "retired": mark(
        "This model is no longer offered. Choose another one, or tell whoever runs the chatbot."
    ),
    "credentials": mark(
        "The chatbot has no valid AWS credentials at the moment. Tell whoever runs the chatbot."
    ),
    "no_region": mark("The chatbot has no valid AWS region. Tell whoever runs the chatbot."),
    "network": mark(
        "The chatbot can't reach Amazon Bedrock over the network. Try again in a minute."
    ),
    "too_long": mark(
        "The conversation is too long for this model. Start a new chat or choose another model."
    ),
    "refused": mark("The model refused the request. Choose another model, or start a new chat."),
    "interrupted": mark("The answer was interrupted several times. Try again."),
    "files": mark("The files of this chat can't be read at the moment. Try again in a minute."),
    "bug": mark("The chatbot has a fault. Try again."),
    "other": mark("The model could not answer because of an unexpected fault. Try again."),
}

# By the model's stop reason; "" where the answer needs no comment.
_COMPLETE = {
    "": "",
    "end_turn": "",
    "stop_sequence": "",
    "empty": mark("The model gave an empty answer. Put the question differently."),
    "max_tokens": mark("The answer reached the model's limit of length. Ask it to continue."),
    "model_context_window_exceeded": mark(
        "The conversation has filled the model's memory. Start a new chat to go on."
    ),
    "guardrail_intervened": mark(
        "A guardrail of your organization withheld all or part of the answer. From now on, the "
        "model no longer sees this message and its answer."
    ),
    "content_filtered": mark(
        "The model's content filter withheld all or part of the answer. From now on, the model "
        "no longer sees this message and its answer."
    ),
    "refusal": mark(
        "The model declined to answer. From now on, it no longer sees this message and its answer."
    ),
    "other": mark("The model ended the answer in an unexpected way."),
}

_SETTINGS = {
    "backend": mark("CHATBOT_BACKEND is {value!r}; it must be {choices}."),
    "retention_days": mark(
        "CHATBOT_RETENTION_DAYS is {value!r}; it must be a whole number of days, such as "
        "{example}, or 0 to keep conversations forever."
    ),
    "frame_ancestors": mark(
        "CHATBOT_FRAME_ANCESTORS has {value!r}; it must have sites such as {example}, with "
        "spaces between them."
    ),
    "drain_seconds": mark(
        "CHATBOT_DRAIN_SECONDS is {value!r}; it must be a whole number of seconds, such as "
        "{example}, or 0 to end at once."
    ),
    "sign_in": mark("To have people sign in, set {missing} as well."),
    "address": mark(
        "CHATBOT_ADDRESS is {value!r}; it must be where browsers find the chatbot, such as "
        "{example}, without a path."
    ),
    "metadata_url": mark(
        "CHATBOT_SIGN_IN_METADATA_URL is {value!r}; it must be the provider's address, which "
        "begins with https:// and ends with /.well-known/openid-configuration."
    ),
    "sign_in_hours": mark(
        "CHATBOT_SIGN_IN_HOURS is {value!r}; it must be a whole number of hours from 1 to 999, "
        "such as {example}."
    ),
    "sign_in_too_long": mark(
        "CHATBOT_SIGN_IN_HOURS is {value!r}, which is more than the {days} days of "
        "CHATBOT_RETENTION_DAYS; it must not be."
    ),
    "daily_tokens": mark(
        "CHATBOT_DAILY_TOKENS is {value!r}; it must be a whole number of tokens, such as "
        "{example}, or 0 for no limit."
    ),
    "guardrail_id": mark(
        "CHATBOT_GUARDRAIL_ID is {value!r}; it must be the id of a guardrail, such as "
        "{example}, or its ARN."
    ),
    "guardrail_version": mark(
        "CHATBOT_GUARDRAIL_VERSION is {value!r}; it must be a number, or DRAFT."
    ),
    "models_unreadable": mark("{file} can't be read: {reason}."),
    "models_no_table": mark("{file}: {name!r} is outside of a table."),
    "models_wrong_type": mark("{file}: {name!r} in [{table}] has the wrong type."),
    "models_wrong_fields": mark(
        "{file}: [{table}] needs name, id and context_window, and may have inference, "
        "additional, fallback, files, guardrail, prompt_cache, input_price, output_price, "
        "cache_read_price and cache_write_price."
    ),
    "models_files": mark(
        "{file}: files in [{table}] can't be used: kinds must be a list of png, jpeg, gif, webp, "
        "pdf, csv, doc, docx, xls, xlsx, html, txt and md; count and images whole numbers; "
        "megabytes, image_megabytes and total_megabytes numbers."
    ),
    "models_no_fallback": mark(
        "{file}: {name!r}, the fallback of [{table}], must be the name of another table."
    ),
    "models_none": mark("{file} offers no model; it needs at least one table."),
    "other": mark("A setting can't be used."),
}

# What is wrong with an assistants.toml.
_ASSISTANTS = {
    "assistants_unreadable": mark("{file} can't be read: {reason}."),
    "assistants_team": mark("{file}: 'instructions' has the wrong type; it must be a text."),
    "assistants_no_table": mark(
        "{file}: {name!r} is outside of a table; only 'instructions' may be there."
    ),
    "assistants_none": mark("{file} offers no assistant; it needs at least one table."),
    "assistants_too_many": mark("{file} offers more than {most} assistants."),
    "assistants_no_model": mark("{file}: {name!r}, the model of [{table}], is not in models.toml."),
    "assistants_unknown": mark(
        "{file}: [{table}] has {name!r}, which means nothing; it needs name, and may have icon, "
        "description, instructions, model and suggestions."
    ),
    "assistants_no_name": mark("{file}: [{table}] has no name."),
    "assistants_wrong_type": mark(
        "{file}: {name!r} in [{table}] has the wrong type; it must be a text."
    ),
    "assistants_blank": mark("{file}: {name!r} in [{table}] is blank; write it, or leave it out."),
    "assistants_too_long": mark("{file}: {name!r} in [{table}] is longer than {limit} characters."),
    "assistants_icon": mark(
        "{file}: {value!r}, the icon of [{table}], is neither an emoji nor a Material icon such "
        "as :material/edit:."
    ),
    "assistants_suggestions": mark(
        "{file}: the suggestions of [{table}] must be a list of at most {most} different texts, "
        "each of at most {limit} characters."
    ),
}

# Why a file can't be taken.
_FILES = {
    "no_files": mark("{name}: {model} takes no files."),
    "wrong_kind": mark("{name}: {model} does not take this kind of file. It takes {kinds}."),
    "gone": mark("{name}: The file was deleted meanwhile. Attach it again."),
    "empty": mark("{name}: The file is empty."),
    "too_large": mark("{name}: The file may have up to {megabytes} MB."),
    "too_many_pixels": mark("{name}: The image may have up to {pixels} pixels a side."),
    "too_many_documents": mark("{name}: A message may have up to {count} documents."),
    "too_many_images": mark("{name}: A message may have up to {count} images."),
    "too_large_together": mark("{name}: All files together may have up to {megabytes} MB."),
    "not_what_it_says": mark(
        "{name}: The content does not match the ending of the file's name. Save it in that format, "
        "or rename it."
    ),
    "other": mark("A file can't be taken."),
}

# Only the command line says these, in English.
_ARCHIVES = {
    "damaged": "The archive is no export of this chatbot, or it is damaged.",
    "foreign": "The archive is no export of this chatbot: {name!r} is in it.",
    "too_large": "The archive has a file of more than {megabytes} MB: {name!r}.",
    "no_backup": "{folder} has nothing that AWS Backup restored.",
    "bucket": "The archive can't be read from S3, or written to it: {reason}.",
    "other": "The archive can't be used.",
}

_LIMITS = {
    "daily_tokens": mark("You have used today's {limit} tokens. You can ask again at {time}."),
    "other": mark("You can't ask anything at the moment."),
}

NOBODY = "Nothing is kept of that person."  # as the command line says, in English
FAULT = "The page has a fault."  # for the log


def slow_storage() -> str:
    """Return the sentence about storage that the page waits for."""
    return say("The storage of conversations is slow at the moment. Nothing is lost.")


def newer_lines() -> str:
    """Return the sentence about what a later version has written."""
    return say("A newer version of the chatbot wrote a part of this; it is not shown here.")


def nothing_kept() -> str:
    """Return the sentence for a browser that keeps no data."""
    return say(
        "Your browser stores no data of this site. When you reload or close the page, you can't "
        "come back to these chats. To keep them, allow cookies."
    )


def please_sign_in() -> str:
    """Return the sentence for who has to sign in."""
    return say("Please sign in.")


def do_you_sign_out() -> str:
    """Return the question for who comes from another site in order to sign out."""
    return say("Do you want to sign out?")


def provider_silent() -> str:
    """Return the sentence about a sign-in service that does not answer."""
    return say("The sign-in service does not answer at the moment. Wait a minute and try again.")


def administrators_only() -> str:
    """Return the sentence for who asks for what only administrators may see."""
    return say("Only administrators may see what everybody has used.")


def waiting() -> str:
    """Return the sentence about an answer that waits for another one."""
    return say("Begins when the answer above has ended.")


def may_not_enter(name: str) -> str:
    """Return the sentence for who signed in but is in no group that may use the chatbot."""
    return say(
        "{name} may not use this chatbot. Ask whoever runs it, or sign in as somebody else.",
        name=name,
    )


def not_signed_in(error: str, *, has_cookies: bool) -> str:
    """Return the sentence about a sign-in that failed.

    error: the provider's code, from the address. Anybody may have made that up, so only what looks
        like a code is shown.
    has_cookies: whether the browser has kept the cookie of the attempt.
    """
    if re.fullmatch("[a-z_]{1,40}", error):
        return say("You were not signed in. The sign-in service says: {error}.", error=error)
    if not has_cookies:
        return say(
            "You were not signed in. It took too long, or your browser blocks the cookies of this "
            "site: allow them, and try again."
        )
    return say("You were not signed in.")


def signed_in_as(name: str) -> str:
    """Return the line that says who signed in."""
    return say("Signed in as {name}", name=name)


def tokens(used: int, cached: int) -> str:
    """Return how many tokens were used, and how many of these came from the model's cache."""
    return say("{used} ({cached} cached)", used=used, cached=cached) if cached else number(used)


def error(error: ChatbotError, zone: tzinfo = UTC) -> str:
    """Return the sentence for what went wrong, with times as in this time zone."""
    if isinstance(error, LimitError):
        time = _time(error.facts["until"], zone)
        return _fill(_LIMITS, error.code, error.facts | {"time": time})
    if isinstance(error, FileError):
        return _fill(_FILES, error.code, error.facts)
    if isinstance(error, SettingsError):  # whose numbers are written as a setting has them
        facts: Facts = {name: str(value) for name, value in error.facts.items()}
        return _fill(_SETTINGS | _ASSISTANTS, error.code, facts)
    if isinstance(error, ModelError):
        sentences = _MODEL
    elif isinstance(error, ArchiveError):
        sentences = _ARCHIVES
    else:
        sentences = _STORAGE
    return _fill(sentences, error.code, error.facts)


def end(turn: Turn) -> str:
    """Return the sentence about how an answer failed or ended, or "" if it needs none."""
    if turn.notice:
        return turn.notice
    if turn.state == "failed":
        return _fill(_MODEL, turn.code, turn.facts)
    sentence = _fill(_COMPLETE, turn.code, turn.facts) if turn.state == "complete" else ""
    if not sentence and "messages" in turn.facts:
        sentence = say(
            "The conversation is too long for this model, which saw only the newest {messages} "
            "messages of it.",
            messages=turn.facts["messages"],
        )
    unseen = turn.facts.get("files")
    if turn.state == "complete" and isinstance(unseen, int):
        sentence = f"{sentence} {files_unseen(unseen)}".strip()
    return sentence


def stands_in(model: str, first: str) -> str:
    """Return the sentence about an answer that is from another model than the one asked first."""
    return say("{model} answered, as {first} was too busy.", model=model, first=first)


def stopped(turn: Turn, *, by_this_tab: bool, was_shown: bool) -> str:
    """Return the sentence about a stopped answer.

    by_this_tab: whether the message that stopped it, if it was one, came from this tab.
    was_shown: whether this tab showed the answer in progress.
    """
    if turn.code != "superseded":
        return say("Stopped.")
    if by_this_tab:
        return say("Stopped. You sent another message before it ended.")
    if was_shown:
        return say("Stopped. The next message came from another tab or device before it ended.")
    return say("Stopped. The next message was sent before it ended.")


def cannot_start(settings_error: ChatbotError) -> str:
    """Return the sentence about settings that keep the chatbot from starting."""
    return say("The chatbot can't start. {cause}", cause=error(settings_error))


def told(state: str) -> str:
    """Return the sentence that a screen reader says of an answer in this state."""
    if state == "open":
        return say("The answer is being written.")
    if state == "complete":
        return say("The answer is complete.")
    if state == "stopped":
        return say("The answer was stopped.")
    return say("The answer failed.")


def skip_to_input() -> str:
    """Return the words of the link past everything that is before the input."""
    return say("Skip to the message box")


def unsaved(storage_error: ChatbotError) -> str:
    """Return the sentence about an answer in progress that can't be saved."""
    return say("{cause} The answer goes on as soon as it can be saved.", cause=error(storage_error))


def not_sent(cause: ChatbotError, zone: tzinfo = UTC) -> str:
    """Return the sentence about a message that was not saved, with times as in this time zone."""
    return say("Your message was not sent. {cause}", cause=error(cause, zone))


def used_today(tokens: int, limit: int) -> str:
    """Return the sentence about the tokens of this day, whose limit is 0 if there is none."""
    if limit:
        return say("Today (UTC): {tokens} of {limit} tokens.", tokens=tokens, limit=limit)
    return say("Today (UTC): {tokens} tokens.", tokens=tokens)


def more_rows(rows: int) -> str:
    """Return the sentence about rows of a table that are not shown."""
    return say_count("The download has {count} more.", "The download has {count} more.", rows)


def too_long(characters: int, limit: int) -> str:
    """Return the sentence about a message that is longer than the limit."""
    return say(
        "Your message was not sent: it has {characters} characters, and a message may have up to "
        "{limit}. Shorten it below, or send it in parts.",
        characters=characters,
        limit=limit,
    )


def unwritten(cause: str | None) -> str:
    """Return what the command line says about an output that takes no more, in English."""
    return f"The output can't be written: {cause or 'unknown'}."


def unread(cause: str | None) -> str:
    """Return what the command line says about a file that can't be read, in English."""
    return f"The file can't be read: {cause or 'unknown'}."


def damaged(lines: int) -> str:
    """Return the sentence about damaged lines of a conversation's file."""
    return say_count(
        "{count} damaged line is not shown.", "{count} damaged lines are not shown.", lines
    )


def forgotten(model: str, messages: int) -> str:
    """Return the sentence about messages that no longer fit the model's window."""
    return say_count(
        "{model} no longer sees the oldest message of this conversation.",
        "{model} no longer sees the oldest {count} messages of this conversation.",
        messages,
        model=model,
    )


def untitled(conversation_id: str) -> str:
    """Return the title of a conversation whose own can't be read: when it was begun."""
    day, time = conversation_id[:8], conversation_id[9:13]
    begun = f"{day[:4]}-{day[4:6]}-{day[6:]} {time[:2]}:{time[2:]} UTC"
    return say("Conversation of {begun}", begun=begun)


def about_answer(model: str, time: str, tokens: int, cost: float | None) -> str:
    """Return the line under an answer: which model, when, how many tokens, and what they cost.

    What is "", 0 or None is left out. cost: in US dollars.
    """
    facts = [model, time]
    if tokens:
        facts.append(say_count("{count} token", "{count} tokens", tokens))
    if cost is not None:
        facts.append(say("US$ {cost}", cost=number(cost, 2 if cost >= 1 else 4)))
    return " · ".join(fact for fact in facts if fact)


# The list of chats


def how_it_ended(turn: Turn) -> str:
    """Return the sentence about how an answer ended or was stopped; "" if it needs none."""
    return say("Stopped.") if turn.state == "stopped" else end(turn)


def chat_is_missing() -> str:
    """Return the sentence about an address that leads to no chat."""
    return say("This chat does not exist, or was deleted.")


def deleted_chat(title: str) -> str:
    """Return the sentence about a chat that was deleted a moment ago."""
    return say("“{title}” was deleted.", title=title)


def ask_to_delete(title: str, messages: int) -> str:
    """Return the sentence that asks before a chat is deleted."""
    return say_count(
        "“{title}” with its message will be deleted.",
        "“{title}” with its {count} messages will be deleted.",
        messages,
        title=title,
    )


def too_late() -> str:
    """Return the sentence about a deletion that can't be undone any more."""
    return say("The chat was deleted for good; it can't be brought back.")


def nothing_found(query: str) -> str:
    """Return the sentence about a search that found nothing."""
    return say("No chat has “{query}”.", query=query)


def found(count: int) -> str:
    """Return the sentence about how many chats a search found."""
    return say_count("{count} chat found", "{count} chats found", count)


def month(year: int, number: int) -> str:
    """Return the name of a month, as a group of chats has it."""
    written = str(year)  # a whole number would have its digits in groups
    names = (
        *(say("January {year}", year=written), say("February {year}", year=written)),
        *(say("March {year}", year=written), say("April {year}", year=written)),
        *(say("May {year}", year=written), say("June {year}", year=written)),
        *(say("July {year}", year=written), say("August {year}", year=written)),
        *(say("September {year}", year=written), say("October {year}", year=written)),
        *(say("November {year}", year=written), say("December {year}", year=written)),
    )
    return names[number - 1]


def actions_of(title: str) -> str:
    """Return the name of the button with what can be done with a chat."""
    return say("Actions for “{title}”", title=title)


# Assistants


def assistant_gone(name: str) -> str:
    """Return the sentence about an assistant that is no longer offered.

    name: of the one that answers instead.
    """
    return say(
        "The assistant of this chat is no longer offered. {name} answers instead.", name=name
    )


def no_such_assistant(name: str) -> str:
    """Return the sentence about an address with an assistant that is not offered."""
    return say("The assistant that the address names is not offered. This is {name}.", name=name)


def own_too_long(characters: int, limit: int) -> str:
    """Return the sentence about a person's own instructions that are too long to be kept."""
    return say(
        "Not saved: your instructions have {characters} characters, and may have up to {limit}.",
        characters=characters,
        limit=limit,
    )


def thought_for(seconds: float) -> str:
    """Return the line about how long a model has thought."""
    whole = max(1, round(seconds))
    if whole < 60:
        return say_count("Thought for {count} second", "Thought for {count} seconds", whole)
    return say("Thought for {minutes} min {seconds} s", minutes=whole // 60, seconds=whole % 60)


def _time(seconds: str | int, zone: tzinfo) -> str:
    time = f"{datetime.fromtimestamp(int(seconds), zone):%H:%M}"
    return f"{time} UTC" if zone is UTC else time


def _fill(sentences: dict[str, str], code: str, facts: Facts) -> str:
    """Return the sentence for the code, or "other", with its facts.

    Code and facts may come from a file that somebody else wrote.
    """
    try:
        return say_marked(sentences.get(code, sentences["other"]), facts)
    except (LookupError, ValueError, TypeError, AttributeError):
        return say_marked(sentences["other"], {"errno": say("unknown")})


# What the page says about itself, and around a notice.


def footer(own_words: str, retention_days: int) -> str:
    """Return the line below the input.

    own_words: the team's, in the place of the page's own.
    retention_days: after how many days without a visit a person's chats are deleted; 0: never.
    """
    words = own_words or say("Answers can be wrong: check what matters.")
    return f"{words} {kept(retention_days)}"


def kept(retention_days: int) -> str:
    """Return how long chats are kept, as `footer` has it."""
    if not retention_days:
        return say("Chats are kept until you delete them.")
    return say_count(
        "Chats are kept for a day after your last visit.",
        "Chats are kept for {count} days after your last visit.",
        retention_days,
    )


def contact(whom: str) -> str:
    """Return the sentence that says whom to ask: Markdown, as `whom` is."""
    return say("Questions? Contact: {whom}", whom=whom)


def can_try_again(time: str) -> str:
    """Return the sentence above a countdown, with the time that is left."""
    return say("You can try again in {time}.", time=time)


def can_try_now() -> str:
    """Return the sentence for when a countdown has ended."""
    return say("You can try again now.")


def details(facts: Facts) -> dict[str, str]:
    """Return what whoever runs the chatbot wants to know, by its name on the page."""
    names = {
        "error": say("Error"),
        "errno": say("System error"),
        "request": say("Request"),
        "model": say("Model"),
        "host": say("Hostname"),
    }
    return {names[name]: str(value) for name, value in facts.items() if name in names and value}


def fault() -> str:
    """Return the sentence for a fault of the page itself."""
    return say(
        "The page has a fault. Everything you sent and every answer is saved. Reload the page."
    )


def what_deletion_takes(chats: int) -> str:
    """Return what goes with all chats."""
    return say_count(
        "This deletes your chat, with all that was said and attached, and the choices that the "
        "chatbot remembers. It can't be undone.",
        "This deletes your {count} chats, with all that was said and attached, and the choices "
        "that the chatbot remembers. It can't be undone.",
        chats,
    )


def what_deletion_leaves() -> str:
    """Return what stays without any chat."""
    return say("Your usage stays: how many tokens you have used, but no text.")


# Files


def file_advice(models: Sequence[str]) -> str:
    """Return the sentence about models that take the files that the chosen one does not."""
    return say("These models take such files: {models}.", models=", ".join(models))


def files_unseen(count: int) -> str:
    """Return the sentence about older files of the conversation that the model was not sent."""
    return say_count(
        "The model did not see one older file of this chat.",
        "The model did not see {count} older files of this chat.",
        count,
    )


def files_not_ready() -> str:
    """Return the sentence about files in the input that did not reach the chatbot."""
    return say(
        "Not sent, because these files could not be uploaded. Click on each to try again, or "
        "remove it:"
    )


def largest_file(megabytes: int) -> str:
    """Return the sentence about how large a file may be."""
    return say("A file may have up to {megabytes} MB.", megabytes=megabytes)


def kinds_of_files() -> str:
    """Return the sentence before the kinds that files may have."""
    return say("These kinds of files can be attached:")


def files_uploading() -> str:
    """Return the sentence about a message that waits for its files."""
    return say("Your message will be sent when its files are uploaded.")


def files_need_cookies() -> str:
    """Return the sentence about files in a browser that keeps no cookies, so it can't send any."""
    return say(
        "Your browser blocks the cookies of this site, so no files can be uploaded. Remove the "
        "files to send your message without them, or allow cookies and reload the page."
    )


def files_lost() -> str:
    """Return the sentence about files that a lost connection took, and that can't be had again."""
    return say("The connection was lost. Attach these files again:")
