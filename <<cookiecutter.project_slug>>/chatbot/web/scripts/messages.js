// What a person reads stays where it is: Streamlit follows the end of an answer that grows even if a
// person has scrolled up, as it takes each scroll for its own while the text grows.
const keepPlace = () => {
  const NEAR = 40; // pixels from the end, where it is followed again
  const BEHIND = 1000; // milliseconds by which what a slow browser shows may be behind the page
  const PATIENCE = 10000; // milliseconds until earlier messages have come
  const SETTLING = 2000; // milliseconds in which what has come may still grow
  const GLIDING = 3000; // milliseconds for which the page may scroll on after a person's act
  const REDRAWN = ["previous", "next", "edit"].map((each) => `[class*="st-key-${each}-"] button`).join();
  const SENDING = '[data-testid="stChatInputSubmitButton"], [class*="st-key-send-"] button';
  const HEADER = 80; // pixels from the top of the window, which the model's name covers
  const ACTS = ["wheel", "touchmove", "pointerdown", "keydown"]; // of a person who goes elsewhere
  const WHEEL = 1; // the button; to press it once may scroll until it is pressed again
  const FIELDS = "input, textarea";
  const CARET = ["ArrowUp", "ArrowDown", "Home", "End", " "]; // keys that stay in a field
  const { get, set } = Object.getOwnPropertyDescriptor(Element.prototype, "scrollTop");
  let isHeld = false; // by a person: Streamlit may not scroll
  // The end, from when a chat opens, or a person sends a message or comes back: Streamlit may lose it.
  let isFollowed = false;
  let stop = null; // ends to keep a message in place
  let last = { top: 0, height: 0 };
  let end = Infinity; // of the text, as a person saw it when they last scrolled: it may have grown
  let heights = []; // of the page while it is held, and when it got them
  // When a person last did something that scrolls up or down. A page that is drawn anew is shorter for
  // a moment, so it also moves although nobody has scrolled.
  let [raised, lowered] = [-Infinity, -Infinity];
  let chat = null; // its address, once the page is there
  const isAtEnd = () => get.call(main()) + main().clientHeight > main().scrollHeight - NEAR;
  const notice = () => {
    const [top, height, now] = [get.call(main()), main().scrollHeight, performance.now()];
    const isHigher = top < last.top - 1 && height >= last.height && top + main().clientHeight < height - 1;
    if (!stop && isHigher && (now < raised + GLIDING || now > lastChange + BEHIND)) {
      [isHeld, isFollowed] = [true, false];
      heights = [[now, height]];
    }
    const isLower = top > last.top && top + main().clientHeight > Math.min(height, end) - NEAR;
    if (!stop && isHeld && isLower && now < lowered + GLIDING) {
      [isHeld, isFollowed] = [false, true];
      set.call(main(), height); // it has grown meanwhile
    }
    last = { top, height };
  };
  // The last of these that a person has seen is kept, and all that came after it.
  const noteHeight = () => {
    const now = performance.now();
    heights.push([now, main().scrollHeight]);
    const seen = heights.findLastIndex(([time]) => time < now - BEHIND);
    if (seen > 0) heights.splice(0, seen);
  };
  // In a page of another width, as when a phone is turned, lines break elsewhere: what is at the top
  // stays there.
  let seen = null; // the number of the message at the top, and the part of it that is above
  let width = 0;
  const messages = () => find('[data-testid="stChatMessage"]');
  const noteSeen = () => {
    if (!isHeld || main().clientWidth !== width) return;
    const number = messages().findIndex((each) => each.getBoundingClientRect().bottom > HEADER);
    const { top, height } = messages()[number]?.getBoundingClientRect() ?? {};
    seen = height ? { number, part: (HEADER - top) / height } : null;
  };
  const keepSeen = () => {
    const isOther = main().clientWidth !== width;
    width = main().clientWidth;
    const message = seen && messages()[seen.number];
    if (!isOther || !isHeld || stop || !message) return;
    const { top, height } = message.getBoundingClientRect();
    set.call(main(), get.call(main()) + top + seen.part * height - HEADER);
  };
  // Before a frame is shown in which the page, or what is in it, has another size.
  const sizes = new ResizeObserver(() => {
    if (!main()) return;
    keepSeen();
    if (!isFollowed || stop) return;
    set.call(main(), main().scrollHeight);
    last = { top: get.call(main()), height: main().scrollHeight };
  });
  const take = () => {
    if (!main()) return;
    const isOpened = chat === null || (chat && chat !== location.search); // a new chat gets its address late
    if (isOpened) [isHeld, isFollowed] = [false, true];
    chat = location.search;
    notice(); // the browser tells late of what a person has scrolled
    if (isFollowed && !stop) set.call(main(), main().scrollHeight);
    if (isHeld) noteHeight();
    if (Object.hasOwn(main(), "scrollTop")) return;
    const scroll = function (top) {
      notice();
      if (!isHeld && !stop) set.call(this, top);
    };
    Object.defineProperty(main(), "scrollTop", { get, set: scroll, configurable: true });
    [main(), ...main().children].forEach((each) => sizes.observe(each));
  };
  const goToEnd = () => {
    stop?.();
    [isHeld, isFollowed, raised] = [false, true, -Infinity];
    if (main()) set.call(main(), main().scrollHeight);
  };
  const scrolls = ({ target, type, key }, keys, isThatWay) => {
    if (type === "keydown") return keys.includes(key) && !(target.matches?.(FIELDS) && CARET.includes(key));
    return isThatWay && main()?.contains(target);
  };
  // What goes on after the act, either way: the scroll bar, a selection or the wheel, while it is pressed;
  // the browser's own search for words.
  const goesOn = ({ target, type, key, button, ctrlKey, metaKey }) => {
    if (type === "pointerdown") return button === WHEEL || main()?.contains(target);
    return type === "keydown" && (key === "F3" || (/^[fg]$/i.test(key) && (ctrlKey || metaKey)));
  };
  let finger = 0; // where it was last, in pixels from the top of the window
  const noticeAct = (event) => {
    const { type, touches, clientY, deltaY } = event;
    const y = touches?.[0]?.clientY ?? clientY;
    const delta = type === "touchmove" ? finger - y : deltaY;
    finger = y;
    const until = goesOn(event) ? Infinity : performance.now();
    const isUp = scrolls(event, ["ArrowUp", "PageUp", "Home", " ", "Tab"], delta < 0);
    const isDown = scrolls(event, ["ArrowDown", "PageDown", "End", " ", "Tab"], delta > 0);
    raised = isUp || until === Infinity ? until : -Infinity;
    lowered = isDown || until === Infinity ? until : -Infinity;
    isFollowed &&= !isUp;
    if (main()) noteHeight();
    end = heights.length ? heights[0][1] : Infinity;
  };
  ACTS.forEach((act) => addEventListener(act, noticeAct, { capture: true, passive: true }));
  const letGo = ({ button }) => {
    if (raised === Infinity && button !== WHEEL) [raised, lowered] = [-Infinity, -Infinity];
  };
  ["pointerup", "pointercancel"].forEach((act) => addEventListener(act, letGo, true));
  const noticeScroll = ({ target }) => {
    if (target !== main()) return;
    notice();
    noteSeen();
  };
  addEventListener("scroll", noticeScroll, { capture: true, passive: true });
  whenChanged.push(take);
  addEventListener("keydown", (event) => {
    const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (sends && event.target === input() && input().value.trim()) goToEnd();
  }, true);
  addEventListener("click", (event) => {
    if (event.target.closest?.(SENDING)) goToEnd();
  }, true);

  // Earlier messages come above the others, and another version replaces what follows it. Streamlit
  // draws all of this anew, in its own time; the page is short meanwhile. And from what a person unfolds
  // or edits, Streamlit would go to the end, as the page has grown.
  const keep = (select, patience = PATIENCE) => {
    stop?.();
    const kept = select();
    if (!kept) return;
    const { top } = kept.getBoundingClientRect();
    const until = performance.now() + patience;
    let came = Infinity;
    const finish = (event) => {
      if (event && !event.isTrusted) return;
      ACTS.forEach((act) => removeEventListener(act, finish, true));
      [stop, heights] = [null, []];
      isHeld = !main() || !isAtEnd();
      isFollowed &&= !isHeld;
      if (main()) noteSeen();
    };
    ACTS.forEach((act) => addEventListener(act, finish, true));
    stop = finish;
    const look = () => {
      if (stop !== finish) return;
      const now = performance.now();
      if (now > until || now > came + SETTLING) return finish();
      requestAnimationFrame(look);
      const element = select();
      if (!element) return;
      if (element !== kept) came = Math.min(came, now);
      const moved = element.getBoundingClientRect().top - top;
      if (Math.abs(moved) >= 1) set.call(main(), get.call(main()) + moved);
    };
    requestAnimationFrame(look);
  };
  const keepBelow = () => {
    const answers = find('[class*="st-key-answer-"]'); // a name that stays, unlike the element
    const kept = answers.find((each) => each.getBoundingClientRect().bottom > 0);
    const name = [...(kept?.classList ?? [])].find((each) => each.startsWith("st-key-answer-"));
    if (name) keep(() => document.getElementsByClassName(name)[0]);
  };
  const keepMessageOf = (button) => { // which is in the message, or in the row below it
    const { DOCUMENT_POSITION_FOLLOWING } = Node; // what is within counts as well
    const isAbove = (each) => each.compareDocumentPosition(button) & DOCUMENT_POSITION_FOLLOWING;
    const number = messages().findLastIndex(isAbove);
    if (number >= 0) keep(() => messages()[number]);
  };
  addEventListener("click", ({ target }) => {
    if (target.closest?.(".st-key-earlier button")) keepBelow();
    const button = target.closest?.(REDRAWN);
    if (button) keepMessageOf(button);
    const heading = target.closest?.("summary");
    if (main()?.contains(heading)) keep(() => heading.isConnected && heading, SETTLING);
  }, true);
};
keepPlace();
