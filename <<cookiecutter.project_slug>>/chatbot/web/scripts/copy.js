// Copies an answer's own Markdown, which its button holds, encoded: page/actions.py draws that. A page that
// was not served with HTTPS, or may not use the clipboard, has an older way, which needs a field.
const COPIED = 2000; // milliseconds for which the button says so
const copyOldWay = (text) => {
  const field = document.createElement("textarea");
  field.value = text;
  field.setAttribute("readonly", ""); // so that a phone shows no keyboard
  field.style.cssText = "position: fixed; top: 0; opacity: 0";
  document.body.append(field);
  field.select();
  const done = attempt(() => document.execCommand("copy"));
  field.remove();
  return done;
};
const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyOldWay(text);
  }
};
addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  if (!button || "done" in button.dataset) return;
  if (!await copy(decodeURIComponent(button.dataset.copy))) return;
  const label = button.querySelector("span");
  const name = label.textContent;
  button.dataset.done = "";
  label.textContent = button.dataset.copied;
  button.focus();
  setTimeout(() => {
    delete button.dataset.done;
    label.textContent = name;
  }, COPIED);
});
