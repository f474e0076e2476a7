// What Streamlit can't do for the list of chats. A screen reader hears which one is open; where a
// dialog closes, the focus goes back to what has opened it, or to what undoes a deletion.
const tendChats = () => {
  const EVERY = 200; // milliseconds
  const COVERS = `${DIALOGS}, [role="menu"]`;
  let opener = ""; // the class of the menu that was clicked last, until a person goes elsewhere
  const mark = () => {
    const chat = new URLSearchParams(location.search).get("chat") || "-";
    for (const button of find('.st-key-chats [class*="st-key-open-"] button')) {
      const isOpen = Boolean(button.closest(`.st-key-open-${CSS.escape(chat)}`));
      if (isOpen === button.hasAttribute("aria-current")) continue;
      if (isOpen) button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    }
  };
  chats.openers = () =>
    opener ? [...find(`.${opener} button`), ...find(".st-key-undo button")] : [];
  const focus = () => {
    if (find(COVERS).length) return;
    if (document.activeElement && document.activeElement !== document.body) return;
    chats.openers()[0]?.focus();
  };
  ["pointerdown", "keydown"].forEach((act) => addEventListener(act, () => {
    if (!find(COVERS).length) opener = "";
  }, true));
  addEventListener("click", (event) => {
    const menu = event.target.closest?.('[class*="st-key-menu-"]');
    if (menu) opener = [...menu.classList].find((name) => name.startsWith("st-key-menu-"));
  }, true);
  setInterval(() => { mark(); focus(); }, EVERY);
};
tendChats();
