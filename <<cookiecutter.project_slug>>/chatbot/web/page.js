// Runs before Streamlit's own scripts, so that the first request for data already says whose it is.
// The server says by this element: `start`, where Streamlit's first script is. If people sign in:
// `session`, the public id of the person's. Else: `name`, of the cookie and of the item in local
// storage; `key`, of the session; `known`, whether the browser sent it; `cookie`, how the cookie is
// kept; `lost`, the sentence for a browser that keeps nothing.
{
  const { start, session, name, key, known, cookie, lost } = document.currentScript.dataset;
  const attempt = (action) => { try { return action(); } catch { return null; } };
  const find = (selector) => [...document.querySelectorAll(selector)];
  const input = () => document.querySelector('[data-testid="stChatInputTextArea"]');
  const type = (text) => {
    // React hears of a new value only from the browser's own setter.
    const { set } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
    set.call(input(), text);
    input().dispatchEvent(new Event("input", { bubbles: true }));
  };
  const whenLost = []; // is called when a connection is lost
  window.WebSocket = class extends WebSocket {
    constructor(...details) {
      super(...details);
      this.addEventListener("close", () => whenLost.forEach((action) => action()));
    }
  };

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
    whenLost.push(check);

    const draft = attempt(() => JSON.parse(sessionStorage.getItem(DRAFT)));
    attempt(() => sessionStorage.removeItem(DRAFT));
    if (draft?.session !== session || !draft.text) return;
    const waiting = setInterval(() => {
      if (!input()) return;
      clearInterval(waiting);
      if (!input().value) type(draft.text);
    }, 100);
  };
  if (session) followSignIn();

  // A task may die before it has read what a person sent. So that is kept until the page shows it as
  // saved. If the connection was lost, and a page that is connected and at rest does not show it, it
  // goes back into the input.
  const keepSent = () => {
    const NAME = "chatbot_sent";
    const REST = 1000; // milliseconds in which a run would begin, and the page draw what it sent
    const owner = session ?? key;
    const words = (text) => text.trim().replace(/\s+/g, " ");
    // What the task has but could not save is drawn as unsent: chatbot/page/composer.py.
    const count = (text, isUnsent) => find('[data-testid="stChatMessageAvatarUser"]')
      .map((avatar) => avatar.closest('[data-testid="stChatMessage"]'))
      .filter((message) => !message.closest(".st-key-unsent") === !isUnsent)
      .map((message) => message.querySelector('[data-testid="stChatMessageContent"]').textContent)
      .filter((content) => words(content) === words(text)).length;
    // Texts, each with the chat's address, how many messages looked the same before, and if it is unsent.
    let sent = [];
    let lost = false;
    let rested = 0; // when the page came to rest after that
    let looking = 0;
    const observer = new MutationObserver(() => look());
    const keep = (texts) => {
      sent = texts;
      if (sent.length) {
        attempt(() => sessionStorage.setItem(NAME, JSON.stringify({ owner, sent })));
      } else {
        attempt(() => sessionStorage.removeItem(NAME));
        clearInterval(looking);
        observer.disconnect();
        looking = 0;
      }
      if (!sent.length || looking) return;
      looking = setInterval(look, 200);
      const attributeFilter = ["data-test-script-state", "data-test-connection-state"];
      observer.observe(document, { subtree: true, attributeFilter });
    };
    const look = () => {
      const [app] = find('[data-testid="stApp"]');
      const { testConnectionState, testScriptState } = app?.dataset ?? {};
      const rests = testConnectionState === "CONNECTED" && testScriptState === "notRunning";
      rested = rests && input() ? rested || performance.now() : 0;
      const missing = sent.filter((each) => {
        const wasUnsent = each.unsent;
        each.unsent = count(each.text, true) > 0;
        const isDiscarded = wasUnsent && !each.unsent;
        const isElsewhere = each.chat !== location.search; // the task did read it
        const isBack = input()?.value.trim() === each.text;
        const isKept = count(each.text, false) > each.before;
        return !isKept && !isBack && (lost || !(isDiscarded || isElsewhere));
      });
      const waits = missing.some(({ unsent }) => unsent); // at a task that goes on trying
      if (missing.length && lost && !waits && rested && performance.now() > rested + REST) {
        type([...missing.map(({ text }) => text), input().value].filter(Boolean).join("\n\n"));
        missing.length = 0;
      }
      if (missing.length < sent.length) keep(missing);
    };
    const note = () => {
      const text = input()?.value.trim();
      if (!text) return;
      if (!sent.length) lost = false;
      keep([...sent, { text, chat: location.search, before: count(text, false), unsent: false }]);
    };
    addEventListener("keydown", (event) => {
      const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing;
      if (sends && event.target === input()) note();
    }, true);
    addEventListener("click", (event) => {
      if (event.target.closest?.('[data-testid="stChatInputSubmitButton"]')) note();
    }, true);
    whenLost.push(() => { [lost, rested] = [true, 0]; });

    const kept = attempt(() => JSON.parse(sessionStorage.getItem(NAME)));
    if (kept?.owner !== owner) {
      attempt(() => sessionStorage.removeItem(NAME)); // somebody else's words
    } else if (kept.sent?.length) {
      lost = true; // with the page before this one
      keep(kept.sent);
    }
  };
  keepSent();

  // On a phone, the sidebar covers the chat, so it makes way for the one that is chosen.
  const CHOOSES_CHAT = '.st-key-new-chat button, .st-key-chats [class*="st-key-open-"] button';
  addEventListener("click", (event) => {
    if (innerWidth >= 768 || !event.target.closest?.(CHOOSES_CHAT)) return;
    find('[data-testid="stSidebarCollapseButton"] button').forEach((button) => button.click());
  });

  // The first sight goes when the page has drawn its messages, or had time to draw something else.
  // Until then it covers that Streamlit scrolls down slowly, and that code grows when it gets its
  // colors. What is out of sight may take its time.
  const PATIENCE = 3000; // milliseconds from the end of the page's run
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
