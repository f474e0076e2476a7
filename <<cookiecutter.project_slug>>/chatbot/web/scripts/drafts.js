// What is typed or attached and not sent belongs to its chat: it does not follow into another one, and
// is there again when its chat is, also after a reload: of files, their names. It stays in this tab.
const keepDrafts = () => {
  const NAME = "chatbot_drafts";
  const EVERY = 200; // milliseconds between two looks at the input
  const PATIENCE = 3000; // milliseconds after a click that has chosen no other chat
  const owner = session ?? key;
  const kept = attempt(() => JSON.parse(sessionStorage.getItem(NAME)));
  if (kept?.owner !== owner) attempt(() => sessionStorage.removeItem(NAME)); // somebody else's words
  const drafts = kept?.owner === owner ? kept.drafts : {};
  const attached = kept?.owner === owner ? kept.attached ?? {} : {}; // names of files, by chat
  let open = null; // whose draft is in the input
  let coming = []; // names of files that are being attached again
  let saved = JSON.stringify([drafts, attached]);
  let leaving = null; // what was in the input when another chat was chosen
  let waits = 0; // for that chat's address
  let sends = false; // since something was sent, an address that changes is this chat's own
  const names = () => {
    coming = coming.filter((each) => !files.names().includes(each));
    return [...files.names(), ...coming];
  };
  const keep = (text, names) => {
    if (text.trim()) drafts[open] = text; else delete drafts[open];
    if (names.length) attached[open] = names; else delete attached[open];
    const now = JSON.stringify([drafts, attached]);
    if (now === saved) return;
    saved = now;
    attempt(() => sessionStorage.setItem(NAME, JSON.stringify({ owner, drafts, attached })));
  };
  const attach = () => {
    const names = attached[open];
    if (!names) return;
    coming = names;
    setTimeout(() => { coming = files.attachAgain(names, open); }); // once those before are gone
  };
  const look = () => {
    if (!input()) return;
    const chat = new URLSearchParams(location.search).get("chat") ?? "";
    const text = input().value;
    if (open === null) {
      open = chat;
      if (drafts[open] && !text) type(drafts[open]);
      attach();
    } else if (chat !== open) {
      const isSame = !open || sends;
      const before = isSame ? "" : leaving ?? text;
      keep(before, isSame ? [] : names());
      if (!isSame) files.putAside(open);
      coming = [];
      open = chat;
      const typedSince = text.startsWith(before) ? text.slice(before.length) : text;
      const draft = isSame ? text : (drafts[open] ?? "") + typedSince;
      if (text !== draft) type(draft);
      if (!isSame) attach();
      [leaving, sends] = [null, false];
      return; // the other chat's files are not gone yet
    }
    if (leaving === null) keep(input().value, names());
  };
  const send = () => { [sends, coming] = [true, []]; setTimeout(look); };
  addEventListener("keydown", (event) => {
    const isSent = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (isSent && event.target === input()) send();
  }, true);
  addEventListener("click", (event) => {
    const inSidebar = event.target.closest?.('[data-testid="stSidebar"]');
    if (event.target.closest?.('[data-testid="stChatInputSubmitButton"]')) send();
    if (!inSidebar || !input()) return;
    look();
    [leaving, sends] = [input().value, false];
    clearTimeout(waits);
    waits = setTimeout(() => { leaving = null; }, PATIENCE);
  }, true);
  for (const name of ["pushState", "replaceState"]) { // at once, before anybody types on
    const change = history[name];
    history[name] = function (...details) {
      change.apply(this, details);
      attempt(look);
    };
  }
  addEventListener("popstate", look);
  addEventListener("pagehide", look);
  setInterval(look, EVERY);
};
keepDrafts();
