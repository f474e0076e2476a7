// A task may die before it has read what a person sent, and Streamlit drops it if something else asks
// for a run of the page in the same moment. So what was sent is kept until the page shows it as saved.
// If the connection was lost, or a run has come and gone, and a page that is connected and at rest
// does not show it, it goes back into the input.
const keepSent = () => {
  const NAME = "chatbot_sent";
  const REST = 1000; // milliseconds in which a run would begin, and the page draw what it sent
  const LONG_REST = 10000; // milliseconds after which none is going to begin
  const owner = session ?? key;
  const words = (text) => text.trim().replace(/\s+/g, " ");
  const turnOf = (answer) => answer?.className.match(/st-key-(answer-\w+)/)?.[1];
  const openChat = () => new URLSearchParams(location.search).get("chat") ?? "";
  // The turns that the page has shown. One of them may be absent while the page is drawn anew.
  const known = new Set();
  const learn = () => find('[class*="st-key-answer-"]').forEach((each) => known.add(turnOf(each)));
  whenChanged.push(learn);
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
        turns.push(turnOf(answer));
      }
    }
    return turns.filter((turn) => turn !== undefined);
  };
  // Texts, each with the names of its files, the chat's id, the turns that are not its own, if the
  // input was empty since, if it is unsent, and if the page has run since.
  let sent = [];
  let typed = null; // what a person has in the input since they sent something
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
    learn();
    const [app] = find('[data-testid="stApp"]');
    const { testConnectionState, testScriptState } = app?.dataset ?? {};
    const rests = testConnectionState === "CONNECTED" && testScriptState === "notRunning";
    rested = rests && input() ? rested || performance.now() : 0;
    const taken = []; // turns of these messages: of two with the same text, each has its own
    const missing = sent.filter((each) => {
      each.hasRun ||= testScriptState === "running";
      const turns = turnsOf(each.text);
      const wasUnsent = each.unsent;
      each.unsent = turns.includes("");
      const isDiscarded = wasUnsent && !each.unsent;
      each.chat ||= openChat(); // the first message of all begins it
      const isElsewhere = each.chat !== openChat(); // the task did read it
      const isRefused = find('.st-key-held-files [data-testid="stAlert"]').length > 0;
      const text = input()?.value.trim();
      each.cleared ||= text !== undefined && text !== each.text;
      const isBack = each.text
        ? each.cleared && text === each.text && text !== typed : isRefused;
      const own = turns.find((turn) => turn && ![...each.before, ...taken].includes(turn));
      if (own) taken.push(own);
      return !own && !isBack && (lost || !(isDiscarded || isElsewhere));
    });
    missing.forEach(({ before }) => before.push(...taken));
    const waits = missing.some(({ unsent }) => unsent); // at a task that goes on trying
    const hasRun = missing.every((each) => each.hasRun);
    const patience = lost ? REST : hasRun ? 2 * REST : LONG_REST;
    if (missing.length && !waits && rested && performance.now() > rested + patience) {
      const gone = missing.filter(({ cleared, text }) => cleared || !text); // not still in the input
      const texts = gone.map(({ text }) => text).filter(Boolean);
      if (texts.length) type([...texts, input().value].filter(Boolean).join("\n\n"));
      const names = gone.flatMap((each) => each.files ?? []);
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
    rested = 0; // the page may have rested for long before that
    sent.forEach((each) => { each.cleared = false; }); // the same words are in the input once more
    learn();
    const before = [...known];
    const fresh = { cleared: false, unsent: false, hasRun: false };
    keep([...sent, { text, files: names, chat: openChat(), before, ...fresh }]);
    typed = null;
  };
  addEventListener("input", ({ isTrusted, target }) => {
    if (isTrusted && target === input()) typed = target.value.trim();
  }, true);
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
