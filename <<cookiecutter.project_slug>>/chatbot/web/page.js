// Runs before Streamlit's own scripts, so that the first request for data already says whose it is.
// The server says by this element: `name`, of the cookie and of the item in local storage; `key`, of
// the session; `known`, whether the browser sent it; `cookie`, how the cookie is kept; `lost`, the
// sentence for a browser that keeps nothing.
{
  const { name, key, known, cookie, lost } = document.currentScript.dataset;
  const attempt = (action) => { try { return action(); } catch { return null; } };

  // Streamlit would ask the server for this before it connects.
  window.__streamlit = {
    BACKEND_BASE_URL: location.origin,
    HOST_CONFIG: { allowedOrigins: [location.origin], useExternalAuthToken: false },
  };

  // The cookie comes with each request, local storage stays when cookies are cleared: both are kept
  // alike. A key that the browser did not send is new, so one in local storage wins.
  const stored = attempt(() => JSON.parse(localStorage.getItem(name))[name]);
  const mine = known || !/^k[0-9a-f]{32}$/.test(stored) ? key : stored;
  if (mine !== key) attempt(() => { document.cookie = `${name}=${mine}; ${cookie}`; });
  attempt(() => localStorage.setItem(name, JSON.stringify({ [name]: mine })));
  if (!attempt(() => document.cookie.includes(mine))) {
    const address = new URL(location.href);
    if (!address.searchParams.has("cookies")) {
      address.searchParams.set("cookies", "blocked");
      location.replace(address); // so that the page asks local storage for the key
    } else if (!attempt(() => localStorage.getItem(name).includes(mine))) {
      addEventListener("DOMContentLoaded", () => {
        const sentence = document.createElement("p");
        sentence.role = "status";
        sentence.id = "nothing-kept";
        sentence.textContent = lost;
        document.body.append(sentence);
      });
    }
  }

  // The first sight goes when the page has drawn its messages, or had time to draw something else.
  // Code comes last, and is higher then. Streamlit would scroll down to the newest message slowly.
  const PATIENCE = 3000; // milliseconds from the end of the page's run
  let ended = Infinity;
  const look = () => {
    const sight = document.getElementById("first-sight");
    if (!sight) {
      if (document.readyState === "loading") requestAnimationFrame(look);
      return;
    }
    const app = document.querySelector('[data-testid="stApp"]');
    if (app?.dataset.testScriptState === "notRunning") ended = Math.min(ended, performance.now());
    const messages = [...document.querySelectorAll('[data-testid="stChatMessageContent"]')];
    const isDrawn = (message) =>
      message.textContent && !message.querySelector('[data-testid="stSkeleton"]');
    const drawn = messages.length >= sight.dataset.messages && messages.every(isDrawn);
    if (drawn || performance.now() > ended + PATIENCE) {
      const scrolled = document.querySelector('[data-testid="stAppScrollToBottomContainer"]');
      if (scrolled) scrolled.scrollTop = scrolled.scrollHeight;
      sight.remove();
    } else {
      requestAnimationFrame(look);
    }
  };
  requestAnimationFrame(look);
}
