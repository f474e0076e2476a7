// Streamlit can't mark one button of a list, nor name the list: for a screen reader, this does.
const markOpenChat = () => {
  const chat = new URLSearchParams(location.search).get("chat");
  for (const button of find('.st-key-chats [class*="st-key-open-"] button')) {
    const isOpen = Boolean(button.closest(`.st-key-open-${CSS.escape(chat ?? "-")}`));
    if (isOpen === (button.getAttribute("aria-current") === "page")) continue;
    if (isOpen) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
};
setInterval(markOpenChat, 250);
