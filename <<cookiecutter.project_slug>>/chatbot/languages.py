"""The language of the page: each sentence that a person reads passes through `say`."""


def say(sentence: str, /, **facts: object) -> str:
    """Return the sentence, completed with its facts, in the language of who reads it.

    sentence: in English, with the names of its facts in braces, as `str.format` has them. It must
        be written out where this is called: a language's file is searched for it.
    """
    return sentence.format(**facts) if facts else sentence


def say_count(one: str, other: str, /, count: int, **facts: object) -> str:
    """Return the sentence for that many, which may use {count}, as `say` does.

    one, other: in English, for one and for any other number.
    """
    return say(one if count == 1 else other, count=f"{count:,}", **facts)
