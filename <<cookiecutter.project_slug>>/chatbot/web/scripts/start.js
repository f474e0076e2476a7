// Streamlit would ask the server for this before it connects.
window.__streamlit = {
  BACKEND_BASE_URL: location.origin,
  HOST_CONFIG: { allowedOrigins: [location.origin], useExternalAuthToken: false },
};

// Streamlit's scripts keep the browser busy for a while, so it first gets to paint what is there.
// A page that is not in sight paints nothing.
addEventListener("DOMContentLoaded", () => {
  const run = () => { if (start) import(new URL(start, document.baseURI)); };
  if (!document.getElementById("first-sight") || document.hidden) {
    run();
  } else {
    requestAnimationFrame(() => setTimeout(run));
    setTimeout(run, 100); // milliseconds; the second of both does nothing
  }
});
