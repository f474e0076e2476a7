// Runs before Streamlit's own scripts, so that the first request for data already says whose it is.
// The server says by this element: `name`, of the cookie and of the item in local storage; `key`, of
// the session; `known`, whether the browser sent it; `cookie`, how the cookie is kept; `start`, where
// Streamlit's first script is; `lost`, the sentence for a browser that keeps nothing.
{
  const { name, key, known, cookie, start, lost } = document.currentScript.dataset;
  const attempt = (action) => { try { return action(); } catch { return null; } };

  // Streamlit would ask the server for this before it connects.
  window.__streamlit = {
    BACKEND_BASE_URL: location.origin,
    HOST_CONFIG: { allowedOrigins: [location.origin], useExternalAuthToken: false },
  };

  // Streamlit's scripts keep the browser busy for a while, so it first gets to paint what is there.
  // A page that is not in sight paints nothing.
  addEventListener("DOMContentLoaded", () => {
    const run = () => { if (start) import(new URL(start, document.baseURI)); };
    if (!document.getElementById("first-sight") || document.hidden) {
      run();
    } else {
      requestAnimationFrame(() => setTimeout(run));
      setTimeout(run, 100); // milliseconds; the second of both does nothing
    }
  });

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
  // Until then it covers that Streamlit scrolls down slowly, and that code grows when it gets its
  // colors. What is out of sight may take its time.
  const PATIENCE = 3000; // milliseconds from the end of the page's run
  const find = (selector) => [...document.querySelectorAll(selector)];
  const isScrolledDown = () => {
    const [scrolled] = find('[data-testid="stAppScrollToBottomContainer"]');
    if (!scrolled || scrolled.scrollTop + scrolled.clientHeight > scrolled.scrollHeight - 2) return true;
    scrolled.dispatchEvent(new Event("wheel")); // ends Streamlit's own scrolling, as a person's would
    scrolled.scrollTop = scrolled.scrollHeight;
    return false; // it counts if it is still so in the next frame
  };
  const isInSight = (element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  };
  const isDrawn = (count) => {
    const messages = find('[data-testid="stChatMessageContent"]');
    if (messages.length < count || !messages.every((each) => each.textContent)) return false;
    const waits = find('main [data-testid="stSkeleton"]').some(
      (each) => isInSight(each) || !each.closest('[data-testid="stChatMessage"]'),
    );
    return isScrolledDown() && !waits;
  };
  let ended = Infinity;
  const look = () => {
    const sight = document.getElementById("first-sight");
    if (!sight) {
      if (document.readyState === "loading") requestAnimationFrame(look);
      return;
    }
    const [app] = find('[data-testid="stApp"]');
    if (app?.dataset.testScriptState === "notRunning") ended = Math.min(ended, performance.now());
    if (isDrawn(sight.dataset.messages) || performance.now() > ended + PATIENCE) {
      sight.remove();
    } else {
      requestAnimationFrame(look);
    }
  };
  requestAnimationFrame(look);
}
