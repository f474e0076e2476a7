"""What went wrong, as a code with its facts; chatbot/page/wording.py has the sentences."""

Facts = dict[str, str | int]


class ChatbotError(Exception):
    """Something that a person has to be told.

    code: a word for what happened, such as "full".
    facts: what its sentence needs, by name, such as the number of a limit.

    Its text, `code: name=value`, is for logs only.
    """

    def __init__(self, code: str, **facts: str | int) -> None:
        self.code = code
        self.facts: Facts = facts
        details = ", ".join(f"{name}={value}" for name, value in facts.items())
        super().__init__(f"{code}: {details}" if details else code)
