// A task may die before it has read what a person sent, and Streamlit drops it if something else asks
// for a run of the page in the same moment. So what was sent is kept until the page shows it as saved.
// If the connection was lost, or a run has come and gone, and a page that is connected and at rest
// does not show it, it goes back into the input.
const keepSent = () => {
  const NAME = "chatbot_sent";
  const REST = 1000; // milliseconds in which a run would begin, and the page draw what it sent
  const owner = session ?? key;
  const words = (text) => text.trim().replace(/\s+/g, " ");
  // The ids of the turns whose prompt is this text, and "" where the task has it but could not save
  // it, which is drawn as unsent: chatbot/page/composer.py.
  const turnsOf = (text) => {
    const turns = [];
    let isAsked = false;
    for (const message of find('[data-testid="stChatMessage"]')) {
      const isPerson = message.querySelector('[data-testid="stChatMessageAvatarUser"]') !== null;
      if (isPerson) {
        const prompt = message.querySelector('[data-testid="stText"], .prompt')?.textContent ?? "";
        isAsked = words(prompt) === words(text);
        if (isAsked && message.closest(".st-key-unsent")) turns.push("");
      } else if (isAsked) {
        const [answer] = message.querySelectorAll('[class*="st-key-answer-"]');
        turns.push(answer?.className.match(/st-key-(answer-\w+)/)?.[1]);
      }
    }
    return turns.filter((turn) => turn !== undefined);
  };
  // Texts, each with the names of its files, the chat's address, the turns that looked the same
  // before, if it is unsent, and if the page has run since.
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
      each.hasRun ||= testScriptState === "running";
      const turns = turnsOf(each.text);
      const wasUnsent = each.unsent;
      each.unsent = turns.includes("");
      const isDiscarded = wasUnsent && !each.unsent;
      const isElsewhere = each.chat !== location.search; // the task did read it
      const isRefused = find('.st-key-held-files [data-testid="stAlert"]').length > 0;
      const isBack = each.text ? input()?.value.trim() === each.text : isRefused;
      const isKept = turns.some((turn) => turn && !each.before.includes(turn));
      return !isKept && !isBack && (lost || !(isDiscarded || isElsewhere));
    });
    const waits = missing.some(({ unsent }) => unsent); // at a task that goes on trying
    const isDropped = lost || missing.every(({ hasRun }) => hasRun);
    const patience = lost ? REST : 2 * REST;
    if (missing.length && isDropped && !waits && rested && performance.now() > rested + patience) {
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
    const before = turnsOf(text);
    const unsent = false;
    keep([...sent, { text, files: names, chat: location.search, before, unsent, hasRun: false }]);
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
