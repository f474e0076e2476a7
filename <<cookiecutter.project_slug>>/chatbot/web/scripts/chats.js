// What Streamlit can't do for the list of chats. A screen reader hears which one is open; one opens in
// a tab of its own, as a link would; where a dialog closes, the focus goes back to what has opened it,
// or to what undoes a deletion.
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
  const noteClick = (event) => {
    const { target, type, button, ctrlKey, metaKey } = event;
    const place = target.closest?.('.st-key-chats [class*="st-key-open-"]');
    const isWheel = button === 1;
    if (!place || !(isWheel || ctrlKey || metaKey)) return;
    event.preventDefault(); // else the wheel would begin to scroll the list
    if (type === "mousedown") return;
    event.stopImmediatePropagation();
    const [, chat] = place.className.match(/st-key-open-(\S+)/);
    open(`?chat=${encodeURIComponent(chat)}`, "_blank", "noopener");
  };
  ["mousedown", "click", "auxclick"].forEach((type) => addEventListener(type, noteClick, true));
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
