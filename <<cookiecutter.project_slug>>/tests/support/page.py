"""What a person does with the page, through Streamlit's own test driver."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

OpenPage = Callable[..., AppTest]


def read_messages(page: AppTest) -> list[str]:
    """Return what the messages on the page say."""
    return [
        "".join(part.value for part in (*each.text, *each.markdown)) for each in page.chat_message
    ]


def about(page: AppTest) -> Block:
    """Return the section "Settings and about" at the end of the sidebar."""
    return next(each for each in page.sidebar.expander if each.label == "Settings and about")


def say(page: AppTest, prompt: str) -> AppTest:
    """Send a message."""
    return page.chat_input[0].set_value(prompt).run()


def click(page: AppTest, label: str) -> AppTest:
    """Click the one button with that label."""
    [button] = [button for button in page.button if button.label == label]
    return button.click().run()
