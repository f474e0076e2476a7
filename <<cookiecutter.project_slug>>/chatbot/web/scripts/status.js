// What a screen reader says: who wrote each message, and once how it stands with an answer, never
// its text. chatbot/page/answering.py tells it.
const tellAnswers = () => {
  const BEGINNING = 80; // characters of a prompt that tell messages apart
  // What can be done with a message is below it: chatbot/page/actions.py.
  const BELOW = ':is([class*="st-key-under-"], [class*="st-key-edit-"]) button';
  const said = new Map(); // the last state of each answer that this page told
  let line = null;
  const known = new Set(); // chats whose older answers are no news
  const tell = () => {
    const sentences = [];
    const [answers] = find("[data-answers]");
    if (!answers) return;
    const isKnown = known.has(answers.dataset.chat);
    known.add(answers.dataset.chat);
    for (const { dataset, textContent } of find("[data-answers] [data-turn]")) {
      const { turn, state } = dataset;
      const before = said.get(turn);
      said.set(turn, state);
      if (before === state || (state !== "open" && !before && !isKnown)) continue;
      sentences.push(textContent);
    }
    if (sentences.length && line) line.textContent = sentences.join(" ");
  };
  const name = () => {
    const [words] = find("[data-words]");
    if (!words) return;
    let prompt = "";
    for (const each of find(`[data-testid="stChatMessage"], ${BELOW}`)) { // from top to bottom
      if (each.dataset.testid !== "stChatMessage") {
        each.setAttribute("aria-description", prompt);
        continue;
      }
      const isPerson = each.querySelector('[data-testid="stChatMessageAvatarUser"]') !== null;
      const content = each.querySelector('[data-testid="stChatMessageContent"]');
      if (isPerson) prompt = content?.textContent.slice(0, BEGINNING) ?? "";
      each.role = "article";
      each.ariaLabel = isPerson ? words.dataset.you : words.dataset.assistant;
      content?.removeAttribute("aria-label"); // of Streamlit's, in English
    }
  };
  // In the page's outline, an answer's headings are below the page's own, and skip no level.
  const outline = () => {
    const ranks = new Map(); // of each message's headings so far
    for (const heading of find('[data-testid="stChatMessage"] :is(h1, h2, h3, h4, h5, h6)')) {
      const message = heading.closest('[data-testid="stChatMessage"]');
      const rank = Number(heading.tagName[1]);
      const above = (ranks.get(message) ?? []).filter((other) => other < rank);
      ranks.set(message, [...above, rank]);
      heading.ariaLevel = Math.min(above.length + 2, 6);
    }
  };
  // A list has its marks, a quotation its line and a table its first column where its text begins.
  const direct = () => {
    const blocks = ":is(ul, ol, blockquote, table)";
    find(`.stMarkdown ${blocks}:not([dir], ${blocks} *)`).forEach((each) => { each.dir = "auto"; });
  };
  // What scrolls by itself can be scrolled with the keyboard, too. The source of a diagram is there for
  // screen readers only: chatbot/page/messages.py hides it.
  const reach = () => {
    const DIAGRAM = '[data-testid="stMermaidChart"]';
    const sources = (what) => `[data-testid="stMarkdownPre"]:has(${what}) + *`;
    find(`${sources(`${DIAGRAM} img`)} :is(.stCode, pre)`).forEach((each) => { each.tabIndex = -1; });
    const scrolls = `.stMarkdown :is(pre, table, .katex, ${DIAGRAM}):not([tabindex], ${sources(DIAGRAM)} *)`;
    for (const each of find(scrolls)) {
      const { scrollWidth, clientWidth, offsetWidth, parentElement } = each;
      const isTooWide = offsetWidth > parentElement.clientWidth; // a formula is in a line of text
      if (scrollWidth > clientWidth || isTooWide) each.tabIndex = 0;
    }
  };
  addEventListener("DOMContentLoaded", () => {
    line = document.createElement("p");
    line.role = "status";
    line.id = "told";
    document.body.append(line);
  });
  whenChanged.push(tell, name, outline, direct, reach);
  // Something also gets too wide when a picture or a font has come, or as the window gets narrow.
  document.addEventListener("load", reach, true);
  document.fonts.addEventListener("loadingdone", reach);
  addEventListener("resize", reach);
};
tellAnswers();
