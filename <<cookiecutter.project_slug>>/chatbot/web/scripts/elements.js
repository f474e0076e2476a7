// Runs before Streamlit's own scripts, so that the first request for data already says whose it is.
// The server says by this element: `start`, where Streamlit's first script is. If people sign in:
// `session`, the public id of the person's. Else: `name`, of the cookie and of the item in local
// storage; `key`, of the session; `known`, whether the browser sent it; `cookie`, how the cookie is
// kept; `lost`, the sentence for a browser that keeps nothing.
const { start, session, name, key, known, cookie, lost } = document.currentScript.dataset;
const attempt = (action) => { try { return action(); } catch { return null; } };
const find = (selector) => [...document.querySelectorAll(selector)];
const input = () => document.querySelector('[data-testid="stChatInputTextArea"]');
const main = () => document.querySelector('[data-testid="stAppScrollToBottomContainer"]'); // scrolls
const type = (text) => {
  // React hears of a new value only from the browser's own setter.
  const { set } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
  set.call(input(), text);
  input().dispatchEvent(new Event("input", { bubbles: true }));
};
// What scripts/files.js knows of those in the input.
const files = { names: () => [], putAside: (chat) => {}, attachAgain: (names, chat) => [] };
// Where the focus goes back to from a chat's menu or dialog: scripts/chats.js knows.
const chats = { openers: () => [] };
const whenLost = []; // is called when a connection is lost
window.WebSocket = class extends WebSocket {
  constructor(...details) {
    super(...details);
    this.addEventListener("close", () => whenLost.forEach((action) => action()));
  }
};
// Whether there is a mouse, and room: a phone would open its keyboard over the page.
const isDesktop = () => innerWidth >= 768 && matchMedia("(pointer: fine)").matches;
const DIALOGS = '[role="dialog"], dialog[open]'; // what covers the page
const whenChanged = []; // is called soon after elements have come or gone
let changed = 0;
let lastChange = -Infinity; // when elements last came or went, in milliseconds
const noteChange = () => {
  lastChange = performance.now();
  changed ||= setTimeout(() => { changed = 0; whenChanged.forEach((action) => action()); }, 30);
};
addEventListener("DOMContentLoaded", () => {
  new MutationObserver(noteChange).observe(document.body, { childList: true, subtree: true });
});
