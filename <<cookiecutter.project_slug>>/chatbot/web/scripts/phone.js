// On a phone, the sidebar covers the chat, so it makes way for the one that is chosen.
const CHOOSES_CHAT = '.st-key-new-chat button, .st-key-chats [class*="st-key-open-"] button';
addEventListener("click", (event) => {
  if (innerWidth >= 768 || !event.target.closest?.(CHOOSES_CHAT)) return;
  find('[data-testid="stSidebarCollapseButton"] button').forEach((button) => button.click());
});
