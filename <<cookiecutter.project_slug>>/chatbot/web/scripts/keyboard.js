// The shortcuts of the keyboard. chatbot/page/answering.py has the list that a person reads.
const listenToKeys = () => {
  const IS_MAC = /Mac|iP/.test(navigator.platform);
  const OPEN = `${DIALOGS}, [role="listbox"], [role="menu"], [data-testid="stPopoverBody"]`;
  const CLOSE_LIST = '[data-collapsed="false"] [data-testid="stSidebarCollapseButton"] button';
  const click = (selector) => {
    const [element] = find(selector);
    element?.click();
    return Boolean(element);
  };
  const focusWhenShown = (element, frames = 60) => {
    element.focus();
    if (document.activeElement !== element && frames) {
      requestAnimationFrame(() => focusWhenShown(element, frames - 1)); // the sidebar slides in
    }
  };
  const search = () => {
    const [field] = find(".st-key-search-chats input");
    if (!field) return false;
    click('[data-testid="stExpandSidebarButton"]');
    focusWhenShown(field);
    return true;
  };
  const showShortcuts = () => {
    const [words] = find("[data-words]");
    const [shown] = find("#shortcuts[open]"); // one that is closed is removed a moment later
    if (shown) return shown.close() ?? true;
    if (!words || find(DIALOGS).length) return false;
    const dialog = document.createElement("dialog");
    dialog.id = "shortcuts";
    dialog.append(...words.cloneNode(true).childNodes);
    const [heading] = dialog.getElementsByTagName("h2");
    dialog.setAttribute("aria-label", heading.textContent);
    const close = document.createElement("button");
    close.textContent = words.dataset.close;
    close.addEventListener("click", () => dialog.close());
    dialog.append(close);
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    return true;
  };
  const escape = () => {
    if (find(OPEN).some((each) => each.checkVisibility())) return false; // it closes by itself
    return (innerWidth < 768 && click(CLOSE_LIST)) || click('[class*="st-key-answering-"] button');
  };
  // Before Streamlit hears of it: a button may have the same shortcut by itself.
  addEventListener("keydown", (event) => {
    if (event.isComposing || event.repeat) return;
    const { key, shiftKey, altKey } = event;
    const mod = IS_MAC ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
    const isCovered = find(DIALOGS).length > 0;
    let done = false;
    if (key === "Escape") {
      done = escape();
    } else if (mod && !altKey && key === "/") {
      done = showShortcuts();
    } else if (mod && !altKey && !isCovered && shiftKey && key.toLowerCase() === "o") {
      done = click(".st-key-new-chat button");
    } else if (mod && !altKey && !isCovered && !shiftKey && key.toLowerCase() === "k") {
      done = search();
    }
    if (!done) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
};
listenToKeys();
