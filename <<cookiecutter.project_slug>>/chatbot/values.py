"""Small values by name, in a file of records: the last record of a name counts."""

from typing import Any

from chatbot.journals import Journal
from chatbot.records import Delete, Record, Value


class Values(Journal):
    """The values of a file, as it was last refreshed: any JSON values, by name."""

    def clear(self) -> None:
        self.values: dict[str, Any] = {}

    def apply(self, record: Record) -> None:
        match record:
            case Value(name, value):
                self.values[name] = value
            case Delete():
                self.clear()
            case _:
                raise TypeError("a record of another kind of file")
