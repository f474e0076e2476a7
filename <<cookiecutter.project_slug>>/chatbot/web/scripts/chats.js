// What Streamlit can't do for the list of chats. A screen reader hears which one is open; where a
// dialog closes, the focus goes back to what has opened it, or to what undoes a deletion.
const tendChats = () => {
  const EVERY = 200; // milliseconds
  const PATIENCE = 2000; // milliseconds in which the page draws what follows a dialog
  let opener = ""; // the class of the menu that was clicked last
  let hadDialog = false;
  let until = 0; // when the focus is no longer given back
  const mark = () => {
    const chat = new URLSearchParams(location.search).get("chat") || "-";
    for (const button of find('.st-key-chats [class*="st-key-open-"] button')) {
      const isOpen = Boolean(button.closest(`.st-key-open-${CSS.escape(chat)}`));
      if (isOpen === button.hasAttribute("aria-current")) continue;
      if (isOpen) button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    }
  };
  const focus = () => {
    const hasDialog = Boolean(document.querySelector('[role="dialog"]'));
    if (hadDialog && !hasDialog) until = performance.now() + PATIENCE;
    hadDialog = hasDialog;
    if (hasDialog || !opener || performance.now() > until) return;
    if (document.activeElement && document.activeElement !== document.body) return;
    const [target] = [...find(`.${opener} button`), ...find(".st-key-undo button")];
    target?.focus();
  };
  addEventListener("click", (event) => {
    const menu = event.target.closest?.('[class*="st-key-menu-"]');
    if (menu) opener = [...menu.classList].find((name) => name.startsWith("st-key-menu-"));
  }, true);
  setInterval(() => { mark(); focus(); }, EVERY);
};
tendChats();
