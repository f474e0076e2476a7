// Files in the input. Streamlit would send a message without the files that did not reach the task,
// and drop without a word those that only an earlier task has. So a message waits until its files are
// there, and after a lost connection they are attached again, or named. Files may also be dropped
// anywhere, and pasted wherever no text is being written.
const watchFiles = () => {
  const { unready, again, blocked, xsrf } = document.currentScript.dataset;
  const ACCEPTED = '[data-testid="stChatInputFileUploadButton"] input[type="file"]';
  const box = () => document.querySelector('[data-testid="stChatInput"]');
  const chips = () => [...(box()?.querySelectorAll('[data-testid="stFileChip"]') ?? [])];
  const nameOf = (chip) => chip.querySelector('[data-testid="stFileChipName"]').title;
  const known = new Map(); // the browser's files by their names
  const notice = document.createElement("p");
  notice.id = "files-notice";
  notice.role = "alert";
  const place = () => { // above the input, which grows with its files
    if (!notice.textContent) return;
    const { top, left, width } = box()?.getBoundingClientRect() ?? {};
    notice.hidden = !width;
    Object.assign(notice.style, {
      bottom: `${innerHeight - top + 8}px`, left: `${left}px`, width: `${width}px`,
    });
  };
  const tell = (sentence) => {
    notice.textContent = sentence;
    notice.hidden = !sentence;
    if (!notice.isConnected) document.body.append(notice);
    place();
  };
  whenChanged.push(place);
  addEventListener("resize", place);
  // Streamlit takes no file without its cookie.
  const canUpload = () => attempt(() => document.cookie.includes(`${xsrf}=`));
  const remember = (list) => {
    [...(list ?? [])].forEach((file) => known.set(file.name, file));
    if (list?.length && !canUpload()) tell(blocked);
  };
  const attach = (list) => {
    const picker = box()?.querySelector(ACCEPTED);
    if (!picker || !list.length) return;
    const data = new DataTransfer();
    list.forEach((file) => data.items.add(file));
    picker.files = data.files;
    picker.dispatchEvent(new Event("change", { bubbles: true }));
  };
  files.names = () => chips().map(nameOf);
  files.attachAgain = (names) => {
    const absent = names.filter((name) => !known.has(name));
    attach(names.filter((name) => known.has(name)).map((name) => known.get(name)));
    if (absent.length) tell(`${again} ${absent.join(", ")}`);
  };

  // Who sends, with a file that is not there?
  const holdBack = (event) => {
    const failed = chips().filter((chip) => chip.getAttribute("aria-invalid") === "true");
    const why = (chip) => chip.querySelector('[role="alert"]')?.textContent.replace(/^Error: /, "");
    const told = failed.map((chip) => `${nameOf(chip)} (${why(chip) ?? ""})`).join(", ");
    tell(failed.length ? canUpload() ? `${unready} ${told}` : blocked : "");
    if (!failed.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  addEventListener("keydown", (event) => {
    const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (sends && event.target === input()) holdBack(event);
  }, true);
  addEventListener("click", (event) => {
    if (event.target.closest?.('[data-testid="stChatInputSubmitButton"]')) holdBack(event);
    else if (event.target.closest?.('[data-testid="stFileChip"]')) tell("");
  }, true);

  // Which files are there?
  addEventListener("change", (event) => {
    if (event.target.matches?.(ACCEPTED)) remember(event.target.files);
  }, true);
  addEventListener("paste", (event) => {
    const pasted = event.clipboardData?.files ?? [];
    remember(pasted);
    const writes = event.target.closest?.("input, textarea, [contenteditable]");
    if (pasted.length && !writes) attach([...pasted]);
  }, true);
  addEventListener("drop", (event) => {
    const dropped = event.dataTransfer?.files ?? [];
    remember(dropped);
    if (!dropped.length || box()?.contains(event.target)) return;
    event.preventDefault();
    attach([...dropped]);
  }, true);

  // After a lost connection, another task may be asked, which has none of them.
  let missing = [];
  let parted = false; // whether Streamlit has heard of it
  const look = () => {
    const [app] = find('[data-testid="stApp"]');
    const connected = app?.dataset.testConnectionState === "CONNECTED";
    parted = parted || !connected;
    if (!connected || !parted || !box()?.querySelector(ACCEPTED)) return;
    observer.disconnect();
    chips().forEach((chip) => chip.querySelector('[data-testid="stFileChipDeleteBtn"] button').click());
    const names = missing;
    missing = [];
    parted = false;
    setTimeout(() => files.attachAgain(names)); // once those are gone
  };
  const observer = new MutationObserver(look);
  whenLost.push(() => {
    missing = [...new Set([...missing, ...files.names()])];
    if (!missing.length) return;
    const attributeFilter = ["data-test-script-state", "data-test-connection-state"];
    observer.observe(document, { subtree: true, childList: true, attributeFilter });
  });
};
watchFiles();
