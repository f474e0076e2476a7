// Files in the input. Streamlit would send a message without the files that did not reach the task,
// send nothing while one is being uploaded, and drop without a word those that only an earlier task
// has. So a message waits until its files are there, and after a lost connection they are attached
// again, or named. Those of another chat's draft are put aside: scripts/drafts.js says when. Files may
// also be dropped anywhere, and pasted wherever no text is being written.
const watchFiles = () => {
  const { unready, again, blocked, uploading, largest, most, kinds, xsrf } = document.currentScript.dataset;
  const ACCEPTED = '[data-testid="stChatInputFileUploadButton"] input[type="file"]';
  const box = () => document.querySelector('[data-testid="stChatInput"]');
  const chips = () => [...(box()?.querySelectorAll('[data-testid="stFileChip"]') ?? [])];
  const SPINNER = '[data-testid="stFileChipIconSpinner"]';
  const nameOf = (chip) => chip.querySelector('[data-testid="stFileChipName"]').title;
  const known = new Map(); // the browser's files by their names
  const aside = new Map(); // the same of each chat that was left: two may have files of one name
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
  const takeOff = () => {
    chips().forEach((chip) => chip.querySelector('[data-testid="stFileChipDeleteBtn"] button').click());
  };
  files.putAside = (chat) => {
    aside.set(chat, new Map(known));
    takeOff();
    tell("");
  };
  files.attachAgain = (names, chat) => { // returns the names of those that it has
    aside.get(chat)?.forEach((file, name) => known.set(name, file));
    const present = names.filter((name) => known.has(name));
    const absent = names.filter((name) => !known.has(name));
    attach(present.map((name) => known.get(name)));
    if (absent.length) tell(`${again} ${absent.join(", ")}`);
    return present;
  };

  // Streamlit shows a file only when the task has answered. One that it will not show is not awaited
  // for long.
  const SHOWN_WITHIN = 10000; // milliseconds
  const shown = new WeakSet(); // the input's files
  let coming = 0; // files that it does not show yet
  let expires = 0;
  const count = () => {
    const fresh = chips().filter((chip) => !shown.has(chip));
    fresh.forEach((chip) => shown.add(chip));
    coming = Math.max(0, coming - fresh.length);
  };
  const expect = (list) => {
    count();
    coming += list.length;
    clearTimeout(expires);
    expires = setTimeout(() => { coming = 0; }, SHOWN_WITHIN);
  };
  whenChanged.push(count);

  // Who sends, with a file that is not there? What is only on its way is awaited, and then sent.
  const EVERY = 200; // milliseconds between two looks
  let pending = null; // what a person has sent, and what looks after it
  const here = () => [input()?.value.trim(), new URLSearchParams(location.search).get("chat")].join();
  const forget = () => {
    if (!pending) return;
    clearInterval(pending.looking);
    pending = null;
    tell("");
  };
  const isUploading = () => { count(); return coming || box()?.querySelector(SPINNER); };
  const sendLater = () => {
    if (!pending) return;
    const button = box()?.querySelector('[data-testid="stChatInputSubmitButton"]');
    if (pending.place !== here()) {
      forget(); // it is another chat's input, or the words are gone
    } else if (!isUploading() && button && !button.disabled) {
      forget();
      button.click();
    }
  };
  whenChanged.push(sendLater);
  const reasons = (names) => { // Streamlit's own are in English
    const endings = box().querySelector(ACCEPTED).accept.split(",").filter((each) => each[0] === ".");
    const isTaken = (name) => endings.some((ending) => name.toLowerCase().endsWith(ending));
    return [
      ...(names.some((name) => known.get(name)?.size > most) ? [largest] : []),
      ...(names.every(isTaken) ? [] : [`${kinds} ${endings.join(", ")}`]),
    ];
  };
  const holdBack = (event) => {
    forget();
    const failed = chips().filter((chip) => chip.getAttribute("aria-invalid") === "true");
    const names = failed.map(nameOf);
    const told = () => [`${unready} ${names.join(", ")}`, ...reasons(names)].join("\n");
    tell(failed.length ? canUpload() ? told() : blocked : "");
    if (!failed.length && !isUploading()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (failed.length) return;
    const looking = setInterval(() => {
      sendLater();
      if (pending && !notice.textContent) tell(uploading);
    }, EVERY);
    pending = { place: here(), looking };
  };
  // Who goes on writing has not finished.
  addEventListener("input", ({ isTrusted, target }) => {
    if (isTrusted && target === input()) forget();
  }, true);
  addEventListener("keydown", (event) => {
    const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (sends && event.target === input()) holdBack(event);
  }, true);
  addEventListener("click", (event) => {
    const chip = event.target.closest?.('[data-testid="stFileChip"]');
    if (event.target.closest?.('[data-testid="stChatInputSubmitButton"]')) holdBack(event);
    if (!chip) return;
    forget();
    tell("");
    const isRemoved = event.target.closest('[data-testid="stFileChipDeleteBtn"]');
    if (!isRemoved && chip.getAttribute("aria-invalid") === "true") expect([chip]); // tried again
  }, true);

  // Which files are there?
  addEventListener("change", (event) => {
    if (!event.target.matches?.(ACCEPTED)) return;
    remember(event.target.files);
    expect(event.target.files);
  }, true);
  addEventListener("paste", (event) => {
    const pasted = event.clipboardData?.files ?? [];
    remember(pasted);
    const writes = event.target.closest?.("input, textarea, [contenteditable]");
    if (pasted.length && !writes) attach([...pasted]);
    else if (event.target === input()) expect(pasted);
  }, true);
  addEventListener("drop", (event) => {
    const dropped = event.dataTransfer?.files ?? [];
    remember(dropped);
    if (box()?.contains(event.target)) expect(dropped);
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
    takeOff();
    const names = missing;
    missing = [];
    parted = false;
    setTimeout(() => files.attachAgain(names)); // once those are gone
  };
  const observer = new MutationObserver(look);
  whenLost.push(() => {
    forget();
    coming = 0;
    missing = [...new Set([...missing, ...files.names()])];
    if (!missing.length) return;
    const attributeFilter = ["data-test-script-state", "data-test-connection-state"];
    observer.observe(document, { subtree: true, childList: true, attributeFilter });
  });
};
watchFiles();
