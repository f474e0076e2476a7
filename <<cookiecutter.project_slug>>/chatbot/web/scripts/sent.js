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
    .map((message) => message.querySelector('[data-testid="stText"], .prompt')?.textContent ?? "")
    .filter((content) => words(content) === words(text)).length;
  // Texts, each with the names of its files, the chat's address, how many messages looked the same before, and if it is unsent.
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
      const isRefused = find('.st-key-held-files [data-testid="stAlert"]').length > 0;
      const isBack = each.text ? input()?.value.trim() === each.text : isRefused;
      const isKept = count(each.text, false) > each.before;
      return !isKept && !isBack && (lost || !(isDiscarded || isElsewhere));
    });
    const waits = missing.some(({ unsent }) => unsent); // at a task that goes on trying
    if (missing.length && lost && !waits && rested && performance.now() > rested + REST) {
      type([...missing.map(({ text }) => text), input().value].filter(Boolean).join("\n\n"));
      const names = missing.flatMap((each) => each.files ?? []);
      if (names.length) files.attachAgain(names);
      missing.length = 0;
    }
    if (missing.length < sent.length) keep(missing);
  };
  const note = () => {
    const text = input()?.value.trim();
    const names = files.names();
    if (text === undefined || !(text || names.length)) return;
    if (!sent.length) lost = false;
    const before = count(text, false);
    keep([...sent, { text, files: names, chat: location.search, before, unsent: false }]);
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
