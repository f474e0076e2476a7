"""Scripts that the page runs in the browser, with `st.html`: it runs no other, so keep them here.

The security policy knows a script by its text, so what differs from page to page belongs into the
HTML beside it.
"""

LEAVE = """dispatchEvent(new Event("chatbot_leave"));"""  # web/scripts/sign_in.js does so

# The newest one: another may stand there until the page's run ends.
DOWNLOAD_HERE = """[...document.querySelectorAll("a.download")].at(-1)?.click();"""

SPEAK = """{
  const { lang, dir, dataset: { chosen } } = document.getElementById("chatbot-language");
  Object.assign(document.documentElement, { lang, dir });
  const kept = `max-age=${chosen ? 34560000 : 0}; path=/; samesite=lax`; // seconds
  const secure = location.protocol === "https:" ? "; secure" : "";
  try {
    document.cookie = `chatbot_language=${chosen}; ${kept}${secure}`; // languages.COOKIE
  } catch {
    // The browser lets the page keep nothing.
  }
}"""

SCRIPTS = (LEAVE, DOWNLOAD_HERE, SPEAK)
