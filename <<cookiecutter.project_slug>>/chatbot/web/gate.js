// Runs in the page that asks to sign in, so that the tabs of a browser follow each other. The element
// says: `home`, the page that the person wants to see; `nobody`, whether nobody is signed in.
{
  const { home, nobody } = document.currentScript.dataset;
  const NAME = "chatbot_signed_in"; // web/scripts/sign_in.js writes whose session is open into this item
  try {
    if (nobody) localStorage.setItem(NAME, "");
  } catch {
    // Without local storage, each tab goes its own way.
  }
  addEventListener("storage", (event) => {
    if (event.key === NAME && event.newValue) location.replace(home);
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.replace(home); // found by going back
  });
  // Providers do not let themselves be shown in a frame.
  if (window.top !== window.self) document.querySelector("a").target = "_blank";
}
