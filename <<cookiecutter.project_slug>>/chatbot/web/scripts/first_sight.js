// The first sight goes when the page has drawn its messages and what is below them, or had time to
// draw something else. Until then it covers that Streamlit scrolls down slowly, and that code grows
// when it gets its colors. What is out of sight may take its time, and so may an answer.
const PATIENCE = 3000; // milliseconds from the end of the page's run
const isScrolledDown = () => {
  const [scrolled] = find('[data-testid="stAppScrollToBottomContainer"]');
  if (!scrolled || scrolled.scrollTop + scrolled.clientHeight > scrolled.scrollHeight - 2) return true;
  scrolled.dispatchEvent(new Event("wheel")); // ends Streamlit's own scrolling, as a person's would
  scrolled.scrollTop = scrolled.scrollHeight;
  return false; // it counts if it is still so in the next frame
};
const isInSight = (element) => {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
};
const isWhole = () =>
  document.getElementById("chats-drawn") || find('[class*="st-key-answering-"]').length > 0;
const isDrawn = (count) => {
  const messages = find('[data-testid="stChatMessageContent"]');
  const isFilled = (message) => message.textContent || message.querySelector("img");
  if (messages.length < count || !messages.every(isFilled)) return false;
  const waits = find('main [data-testid="stSkeleton"]').some(
    (each) => isInSight(each) || !each.closest('[data-testid="stChatMessage"]'),
  );
  return isScrolledDown() && !waits && isWhole();
};
let ended = Infinity;
const look = () => {
  const sight = document.getElementById("first-sight");
  if (!sight) {
    if (document.readyState === "loading") requestAnimationFrame(look);
    return;
  }
  const [app] = find('[data-testid="stApp"]');
  if (app?.dataset.testScriptState === "notRunning") ended = Math.min(ended, performance.now());
  if (isDrawn(sight.dataset.messages) || performance.now() > ended + PATIENCE) {
    sight.remove();
  } else {
    requestAnimationFrame(look);
  }
};
requestAnimationFrame(look);
