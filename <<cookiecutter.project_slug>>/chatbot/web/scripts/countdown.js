// Counts down to when something can be tried again: chatbot/page/notices.py draws the element, which
// says: `seconds`, that were left when it was drawn; `over`, the sentence for when none is.
const begun = new WeakMap(); // by element: what it said, and when this was seen first
const asTime = (seconds) => {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
};
const countDown = () => find(".countdown[data-seconds]").forEach((element) => {
  const { seconds, over } = element.dataset;
  if (begun.get(element)?.seconds !== seconds) begun.set(element, { seconds, at: Date.now() });
  const left = Math.ceil(seconds - (Date.now() - begun.get(element).at) / 1000);
  const place = element.querySelector("time");
  if (left > 0 && place) {
    if (place.textContent !== asTime(left)) place.textContent = asTime(left);
  } else if (element.textContent !== over) {
    element.textContent = over;
  }
});
setInterval(countDown, 250);
