"""Every sentence for people, by the code of what happened."""

import re
from datetime import UTC, datetime, tzinfo

from chatbot.archives import ArchiveError
from chatbot.conversations import Turn
from chatbot.errors import ChatbotError, Facts
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
        "{example}, or 0 to keep conversations for ever."
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
        "CHATBOT_SIGN_IN_METADATA_URL is {value!r}; it must be the provider's address that "
        "ends with /.well-known/openid-configuration."
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
        "additional, fallback, guardrail, prompt_cache and prices."
    ),
    "models_no_fallback": mark("{file}: {name!r}, the fallback of [{table}], is no other table."),
    "models_none": mark("{file} offers no model; it needs at least one table."),
    "other": mark("A setting can't be used."),
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


def slow_storage() -> str:
    """Return the sentence about storage that the page waits for."""
    return say("The storage of conversations is slow at the moment. Nothing is lost.")


def newer_lines() -> str:
    """Return the sentence about what a later version has written."""
    return say("A newer version of the chatbot wrote a part of this; it is not shown here.")


def nothing_kept() -> str:
    """Return the sentence for a browser that keeps no data."""
    return say(
        "Your browser keeps no data of this page. When you reload or close it, you can't come "
        "back to these chats."
    )


def please_sign_in() -> str:
    """Return the sentence for who has to sign in."""
    return say("Please sign in.")


def provider_silent() -> str:
    """Return the sentence about a sign-in service that does not answer."""
    return say("The sign-in service does not answer at the moment. Wait a minute and try again.")


def delete_everything() -> str:
    """Return what the button that deletes everything deletes."""
    return say("All conversations, and all else that is kept about you except your usage")


def usage_stays() -> str:
    """Return the sentence about what stays when everything is deleted."""
    return say("Your usage stays: how many tokens you have used, but no text.")


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
            "You were not signed in. It took too long, or your browser keeps no cookies of this "
            "site, which it must."
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
    if isinstance(error, SettingsError):  # whose numbers are written as a setting has them
        return _fill(_SETTINGS, error.code, {name: str(error.facts[name]) for name in error.facts})
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
