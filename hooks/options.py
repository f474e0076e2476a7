"""Where the answers of version 0.1.0, which can be replayed, look for the template's extension."""

from stateful_streamlit_chatbot_template import ChatbotTemplate as Options

__all__ = ["Options"]
