"""Scripts that the page runs in the browser, with `st.html`: it runs no other, so keep them here.

The security policy knows a script by its text, so what differs from page to page belongs into the
HTML beside it.
"""

LEAVE = """dispatchEvent(new Event("chatbot_leave"));"""  # web/scripts/sign_in.js does so

SCRIPTS = (LEAVE,)
