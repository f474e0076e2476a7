// Runs before Streamlit's own scripts, so that the first request for data already says whose it is.
// The server says by this element: `start`, where Streamlit's first script is. If people sign in:
// `session`, the public id of the person's. Else: `name`, of the cookie and of the item in local
// storage; `key`, of the session; `known`, whether the browser sent it; `cookie`, how the cookie is
// kept; `lost`, the sentence for a browser that keeps nothing.
{
  const { start, session, name, key, known, cookie, lost } = document.currentScript.dataset;
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
  const keepKey = () => {
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
  };
  if (key) keepKey();

  // A person who signs out, or in as somebody else, does so in all tabs of the browser. A sign-in that
  // is too old is noticed when the person comes back to the tab, and when the connection is lost.
  const followSignIn = () => {
    const NAME = "chatbot_signed_in"; // web/gate.js empties it
    const DRAFT = "chatbot_draft"; // what was typed and not sent; each tab has its own
    const input = () => document.querySelector('[data-testid="stChatInputTextArea"]');
    let going = -Infinity; // when the browser began to leave by itself, as it does to sign out
    const leave = () => {
      if (performance.now() < going + 60000) return; // or it would come back instead
      const draft = JSON.stringify({ session, text: input()?.value ?? "" });
      attempt(() => sessionStorage.setItem(DRAFT, draft));
      location.reload();
    };
    const check = async () => {
      const answer = await fetch("_stcore/host-config").catch(() => null);
      if (answer?.status === 401 || answer?.status === 403) leave();
    };
    attempt(() => localStorage.setItem(NAME, session));
    addEventListener("storage", (event) => {
      if (event.key === NAME && event.newValue !== session) leave();
    });
    addEventListener("focus", check);
    document.addEventListener("visibilitychange", () => document.hidden || check());
    addEventListener("chatbot_leave", leave); // page/account.py says so
    addEventListener("beforeunload", () => { going = performance.now(); });
    addEventListener("pageshow", (event) => { // found by going back
      going = -Infinity;
      if (event.persisted) leave();
    });
    window.WebSocket = class extends WebSocket {
      constructor(...details) {
        super(...details);
        this.addEventListener("close", check);
      }
    };

    const draft = attempt(() => JSON.parse(sessionStorage.getItem(DRAFT)));
    attempt(() => sessionStorage.removeItem(DRAFT));
    if (draft?.session !== session || !draft.text) return;
    const waiting = setInterval(() => {
      if (!input()) return;
      clearInterval(waiting);
      if (input().value) return;
      // React hears of a new value only from the browser's own setter.
      const { set } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
      set.call(input(), draft.text);
      input().dispatchEvent(new Event("input", { bubbles: true }));
    }, 100);
  };
  if (session) followSignIn();

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
