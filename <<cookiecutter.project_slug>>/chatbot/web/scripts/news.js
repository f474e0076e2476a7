// A page that nobody touches hears of new chats and messages, from other tabs, devices and tasks: it
// asks what there is, and has the page look again if that is not what it has drawn. Asking costs the
// server a hundredth of what a run of the page does. A tab out of sight does not ask, nor does one
// that is busy, or shows a menu or a dialog, which a run might close.
const followNews = () => {
  const EVERY = 4000; // milliseconds
  const LATER = 60000; // until it looks again where looking did not help
  const drawn = () => document.getElementById("chats-drawn")?.dataset.stamp;
  const rests = () => {
    const [app] = find('[data-testid="stApp"]');
    const { testConnectionState, testScriptState } = app?.dataset ?? {};
    return testConnectionState === "CONNECTED" && testScriptState === "notRunning"
      && !document.querySelector('[role="menu"], [role="dialog"]');
  };
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
