// What is typed and not sent belongs to its chat: it does not follow into another one, and is there
// again when its chat is, also after a reload. It stays in this tab.
const keepDrafts = () => {
  const NAME = "chatbot_drafts";
  const EVERY = 200; // milliseconds between two looks at the input and the address
  const owner = session ?? key;
  const chat = () => new URLSearchParams(location.search).get("chat") ?? "";
  const kept = attempt(() => JSON.parse(sessionStorage.getItem(NAME)));
  const drafts = kept?.owner === owner ? kept.drafts : {};
  let open = null; // whose draft is in the input
  let saved = JSON.stringify(drafts);
  let sentFrom = null; // what was typed since then is for where the message goes
  const keep = (text) => {
    if (text.trim()) drafts[open] = text; else delete drafts[open];
    const now = JSON.stringify(drafts);
    if (now === saved) return;
    saved = now;
    attempt(() => sessionStorage.setItem(NAME, JSON.stringify({ owner, drafts })));
  };
  const look = () => {
    if (!input()) return;
    const now = chat();
    if (open === null) {
      open = now;
      if (drafts[open] && !input().value) type(drafts[open]);
    } else if (now !== open) {
      const isCarried = !open || open === sentFrom; // the chat has got its address by now
      const text = input().value;
      keep(isCarried ? "" : text);
      open = now;
      sentFrom = null;
      if (!isCarried && text !== (drafts[open] ?? "")) type(drafts[open] ?? "");
    }
    keep(input().value);
  };
  const send = () => { sentFrom = open; setTimeout(look); };
  addEventListener("keydown", (event) => {
    const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (sends && event.target === input()) send();
  }, true);
  addEventListener("click", (event) => {
    if (event.target.closest?.('[data-testid="stChatInputSubmitButton"]')) send();
    else if (event.target.closest?.('[data-testid="stSidebar"]')) sentFrom = null;
  }, true);
  addEventListener("pagehide", look);
  setInterval(look, EVERY);
};
keepDrafts();
