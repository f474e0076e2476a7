// The keyboard's focus begins in the input, also when another chat is opened, and goes back there
// when the element that had it is gone. Else it would fall to the page as a whole.
const showFocus = () => {
  let last = null; // what had the focus, unless a person took it away
  let chat = null; // the one that has had the focus in its input
  let edited = ""; // the class of the field in which a message is edited
  let isMoving = false; // whether the last key was Tab: who moves the focus themselves, keeps it
  const canHaveFocus = (element) =>
    element.isConnected && !element.disabled && element.checkVisibility({ visibilityProperty: true });
  const isLost = () => [null, document.body].includes(document.activeElement);
  const give = () => {
    const dialog = find(DIALOGS).at(-1);
    if (main()) main().tabIndex = -1;
    const inDialog = dialog?.querySelectorAll("button, input, textarea, [href]") ?? [];
    const openers = dialog ? [] : chats.openers();
    for (const place of [...inDialog, ...openers, isDesktop() && !dialog && input(), main()]) {
      if (place) place.focus({ preventScroll: true });
      if (!isLost()) return;
    }
  };
  // A message that a person edits has a field of its own.
  const enterEditor = () => {
    const [field] = find('[class*="st-key-edited-"] textarea');
    const name = field?.closest('[class*="st-key-edited-"]').className ?? "";
    if (field && name !== edited) {
      field.focus();
      field.setSelectionRange(field.value.length, field.value.length);
    }
    edited = name;
  };
  const look = () => {
    if (!input()) return;
    enterEditor();
    if (chat !== location.search) {
      const isTyping = document.activeElement?.matches("input, textarea");
      const isFree = !isMoving && !isTyping && !find(DIALOGS).length;
      if (isDesktop() && isFree) input().focus({ preventScroll: true });
      chat = location.search;
    }
    if (last && isLost() && !canHaveFocus(last)) give();
  };
  addEventListener("keydown", ({ key }) => { isMoving = key === "Tab"; });
  addEventListener("pointerdown", () => { isMoving = false; });
  addEventListener("focusin", ({ target }) => { last = target; });
  // The browser says the same of an element that is being removed, so look a moment later.
  addEventListener("focusout", ({ target }) => setTimeout(() => {
    if (last === target && isLost() && document.hasFocus() && canHaveFocus(target)) last = null;
  }));
  whenChanged.push(look);
  addEventListener("transitionend", noteChange); // the sidebar is gone
  addEventListener("click", (event) => {
    if (!event.target.closest?.("#skip")) return;
    event.preventDefault();
    input()?.focus();
  });
};
showFocus();
