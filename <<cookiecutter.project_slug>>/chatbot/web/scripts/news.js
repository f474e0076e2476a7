// A page that nobody touches hears of new chats and messages, from other tabs, devices and tasks: it
// asks what there is, and has the page look again if that is not what it has drawn. Asking costs the
// server a hundredth of what a run of the page does. A tab out of sight does not ask, nor does one
// that is busy, or shows a menu or a dialog, which a run might close. What a person does comes first:
// of two that ask for a run in the same moment, Streamlit drops what the first one asked for.
const followNews = () => {
  const EVERY = 4000; // milliseconds
  const LATER = 60000; // until it looks again where looking did not help
  const AFTER_ACT = 1000; // milliseconds in which the run begins that a person asked for
  const ACTS = ["click", "change", "keydown"];
  const drawn = () => document.getElementById("chats-drawn")?.dataset.stamp;
  const rests = () => {
    const [app] = find('[data-testid="stApp"]');
    const { testConnectionState, testScriptState } = app?.dataset ?? {};
    return testConnectionState === "CONNECTED" && testScriptState === "notRunning"
      && performance.now() > acted + AFTER_ACT
      && !document.querySelector('[role="menu"], [role="dialog"]');
  };
  let acted = -Infinity; // when a person last did something
  const noteAct = ({ isTrusted, key = "", ctrlKey, metaKey }) => {
    const isTyping = key.length === 1 && !ctrlKey && !metaKey;
    if (isTrusted && !isTyping) acted = performance.now();
  };
  ACTS.forEach((act) => addEventListener(act, noteAct, { capture: true, passive: true }));
  let asking = false;
  let looked = ""; // for what, and when
  let at = -Infinity;
  const ask = async () => {
    const before = drawn();
    if (asking || document.hidden || !before || !rests()) return;
    asking = true;
    const chat = new URLSearchParams(location.search).get("chat") ?? "";
    const answer = await fetch(`chats/news?chat=${encodeURIComponent(chat)}`).catch(() => null);
    const told = answer?.ok ? await answer.text().catch(() => "") : "";
    asking = false;
    if (answer?.status === 404) clearInterval(asks); // this browser sends no cookie
    if (!told || told === before || drawn() !== before || !rests()) return;
    if (told === looked && performance.now() < at + LATER) return;
    [looked, at] = [told, performance.now()];
    document.querySelector(".st-key-look-again button")?.click();
  };
  const asks = setInterval(ask, EVERY);
  document.addEventListener("visibilitychange", ask);
};
followNews();
