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
