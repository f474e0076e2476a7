"""Scripts that the page runs in the browser, with `st.html`: it runs no other, so keep them here.

The security policy knows a script by its text, so what differs from page to page belongs into the
HTML beside it.
"""

LEAVE = """dispatchEvent(new Event("chatbot_leave"));"""  # web/scripts/sign_in.js does so

# The newest one: another may stand there until the page's run ends.
DOWNLOAD_HERE = """[...document.querySelectorAll("a.download")].at(-1)?.click();"""

SCRIPTS = (LEAVE, DOWNLOAD_HERE)
