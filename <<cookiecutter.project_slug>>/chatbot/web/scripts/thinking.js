// Counts the seconds until an answer's first word: Streamlit's own are in English. The style is in
// chatbot/page/parts.py.
const countSeconds = () => {
  const begun = new WeakMap(); // by element: when it was seen first, in milliseconds
  const inWords = { style: "unit", unit: "second", unitDisplay: "long" };
  setInterval(() => {
    for (const line of find('[data-testid="stSpinner"] p')) {
      if (!begun.has(line)) begun.set(line, Date.now());
      const seconds = Math.floor((Date.now() - begun.get(line)) / 1000);
      if (seconds) {
        line.dataset.time = new Intl.NumberFormat(document.documentElement.lang, inWords).format(seconds);
      }
    }
  }, 250);
};
countSeconds();
