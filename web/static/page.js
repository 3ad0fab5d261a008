// Behaviour of the chat page: citations, the panel of sources, the article dialog, the buttons under
// each answer, the conversation kept for a reload and written to a file, and Chinese names for the
// parts of Gradio that have none. The messages in the page are the only state: whatever adds, repeats
// or removes an answer, everything here follows what is on display.
(() => {
  "use strict";

  const wide = window.matchMedia("(min-width: 900px)");
  const find = (selector) => document.querySelector(selector);
  const messages = () => [...document.querySelectorAll("#wj-messages :is(.wj-question, .wj-reply)")];
  const replies = () => [...document.querySelectorAll("#wj-messages .wj-reply")];
  const question = () => find("#wj-question textarea");

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // ---- Sources

  let shown = null; // the reply whose sources the panel holds
  let latest = ""; // names the newest reply, to notice a new one
  let emptyPanel = null; // what the panel says when there is nothing to show

  const panel = () => find("#wj-panel .wj-panel-empty, #wj-panel .wj-sources");

  function fillPanel(reply) {
    const place = panel();
    if (!place) return;
    emptyPanel ??= place.cloneNode(true);
    const sources = reply?.querySelector(".wj-sources") ?? emptyPanel;
    place.replaceWith(sources.cloneNode(true));
    find("#wj-side").scrollTop = 0;
    shown = reply;
  }

  function followConversation() {
    const all = replies();
    const last = all.at(-1) ?? null;
    const name = last ? `${all.length} ${last.className} ${text(last, ".wj-text")}` : "";
    const gone = shown && !shown.isConnected;
    if (name === latest && !gone) return;
    const isNew = name !== latest;
    latest = name;
    if (isNew || !all.length) fillPanel(last);
    else shown = last;
  }

  // The newest question goes to the top, so that its answer is read from the beginning; once more
  // when the answer is there, because before it there may have been too little to scroll.
  let newest = "";
  function scrollToQuestion() {
    const count = document.querySelectorAll("#wj-messages .message-row").length;
    if (newest !== `${count} ${latest}`) {
      [...document.querySelectorAll("#wj-messages .user-row")].at(-1)?.scrollIntoView();
    }
    newest = `${count} ${latest}`;
  }

  function showSource(link) {
    const reply = link.closest(".wj-reply");
    if (wide.matches && reply !== shown) fillPanel(reply);
    const home = wide.matches ? panel() : reply;
    const number = link.getAttribute("href").replace("#source-", "");
    const card = home.querySelector(`.source-${number}`);
    if (!card) return;
    for (const other of document.querySelectorAll(".wj-source.is-active")) {
      other.classList.remove("is-active");
    }
    card.classList.add("is-active");
    card.tabIndex = -1;
    card.focus({ preventScroll: true });
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    card.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  }

  function dialog() {
    let box = document.getElementById("wj-dialog");
    if (box) return box;
    box = element("dialog", { id: "wj-dialog", ariaLabel: "全文" });
    const tab = element("a", { target: "_blank", rel: "noopener" }, "在新标签页打开");
    const close = element("button", { type: "button" }, "关闭");
    close.addEventListener("click", () => box.close());
    const frame = element("iframe", { title: "全文" });
    box.append(tab, close, frame);
    box.addEventListener("click", (event) => {
      if (event.target === box) box.close();
    });
    window.addEventListener("message", (event) => {
      if (event.source === frame.contentWindow && event.data === "wj-close") box.close();
    });
    box.addEventListener("close", () => frame.removeAttribute("src"));
    document.body.append(box);
    return box;
  }

  function openArticle(link) {
    const box = dialog();
    box.querySelector("iframe").src = link.href;
    box.querySelector("a").href = link.href;
    box.showModal();
  }

  document.addEventListener("click", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
    const link = event.target.closest?.("a.wj-cite, a.wj-open");
    if (!link || !plain) return;
    event.preventDefault();
    if (link.classList.contains("wj-cite")) showSource(link);
    else openArticle(link);
  }, true);

  // ---- Reading messages back

  // Not innerText, which is empty for what is not on display.
  function plain(node) {
    const copy = node?.cloneNode(true);
    for (const line of copy?.querySelectorAll("br") ?? []) line.replaceWith("\n");
    return copy?.textContent.trim() ?? "";
  }

  const text = (node, selector) => plain(node.querySelector(selector));

  function sourcesOf(reply) {
    return [...reply.querySelectorAll(".wj-source")].map((card) => {
      const link = new URL(card.querySelector("a.wj-open").href);
      const number = text(card, ".wj-number");
      return {
        number,
        title: text(card, "h3").slice(number.length),
        date: text(card, ".wj-date"),
        quote: text(card, "mark"),
        doc: decodeURIComponent(link.pathname.split("/article/").at(-1)),
        start: link.searchParams.get("start"),
        end: link.searchParams.get("end"),
      };
    });
  }

  function whence(source) {
    const title = source.title === source.doc ? "" : `《${source.title.replace(/^《|》$/g, "")}》`;
    return [title, source.date, source.doc].filter(Boolean).join("，");
  }

  // ---- Buttons under each answer

  const ICONS = {
    copy: "M9 9h11v11H9zM5 15V4h11",
    up: "M7 11v9H4v-9zM7 11l4-8a2.5 2.5 0 0 1 2.5 2.5V9h4.6a2 2 0 0 1 2 2.3l-1.2 7a2 2 0 0 1-2 1.7H7",
    citation: "M5 21V4h13l-3 4.5 3 4.5H5",
    again: "M20 11a8 8 0 1 0-2.3 6.3M20 4v7h-7",
    edit: "M4 20h4L19 9l-4-4L4 16z",
  };
  ICONS.down = ICONS.up;

  function tool(kind, label, act) {
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("viewBox", "0 0 24 24");
    icon.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", ICONS[kind]);
    icon.append(path);
    const button = element("button", { type: "button", className: `wj-tool wj-tool-${kind}` }, icon, label);
    button.addEventListener("click", act);
    return button;
  }

  const answerId = (reply) => /(?:^|\s)answer-(\w+)/.exec(reply.className)?.[1];

  function addTools(reply) {
    // The footer says whether feedback is taken.
    if (reply.querySelector(":scope > .wj-below") || !find("#wj-footer p")) return;
    const tools = element("div", { className: "wj-tools", role: "group", ariaLabel: "对这个回答" });
    // What is new in the log of the conversation is read aloud; these are not worth it.
    tools.setAttribute("aria-live", "off");
    const said = element("p", { className: "wj-said", role: "status" });
    const id = answerId(reply);
    if (!reply.matches(".wj-notice")) tools.append(tool("copy", "复制", () => copy(reply, said)));
    if (id && find(".wj-takes-feedback")) tools.append(...ratingTools(reply, id, said));
    if (reply.matches(".wj-notice-question")) tools.append(tool("edit", "修改问题", () => edit(reply)));
    else tools.append(tool("again", "重试", () => find("#wj-again").click()));
    const below = element("div", { className: "wj-below" }, tools, said);
    reply.insertBefore(below, reply.querySelector(":scope > .wj-sources"));
  }

  function edit(reply) {
    const asked = messages()[messages().indexOf(reply) - 1];
    write(question(), plain(asked));
    question().focus();
  }

  async function copy(reply, said) {
    const sources = sourcesOf(reply).map((source) =>
      `${source.number ? `[${source.number}]` : "·"} “${source.quote}”——${whence(source)}`);
    const heading = reply.matches(".wj-refusal") ? "相关段落：" : "来源：";
    const whole = [text(reply, ".wj-text"), ...(sources.length ? ["", heading, ...sources] : [])].join("\n");
    say(said, (await copied(whole)) ? "已复制，含来源" : "没能复制，请选中文字后复制");
  }

  async function copied(whole) {
    try {
      await navigator.clipboard.writeText(whole);
      return true;
    } catch {
      return copiedTheOldWay(whole); // plain http has no clipboard, and a person can forbid it
    }
  }

  function copiedTheOldWay(whole) {
    const before = document.activeElement;
    const area = element("textarea", { className: "wj-copying", value: whole, readOnly: true });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    before?.focus({ preventScroll: true });
    return done;
  }

  function say(place, words) {
    place.textContent = words;
  }

  // ---- Feedback

  const RATINGS = {
    up: ["有用", { rating: "up" }, ""],
    down: ["没用", { rating: "down" }, "哪里不对？（可不填）"],
    citation: ["引用错误", { rating: "down", problem: "citation" }, "哪一处引用不对？（可不填）"],
  };

  function ratingTools(reply, id, said) {
    const kinds = reply.matches(".wj-refusal") ? ["up", "down"] : ["up", "down", "citation"];
    const group = kinds.map((kind) => {
      const button = tool(kind, RATINGS[kind][0], () => rate(kind));
      button.ariaPressed = String(ratings[id] === kind);
      return button;
    });

    async function rate(kind) {
      reply.querySelector(".wj-comment")?.remove();
      const [, body, asked] = RATINGS[kind];
      if (!(await send({ answer_id: id, ...body }, said))) return;
      ratings[id] = kind;
      kinds.forEach((one, at) => { group[at].ariaPressed = String(one === kind); });
      if (asked) askWhy(reply, { answer_id: id, ...body }, asked, said, group[kinds.indexOf(kind)]);
      keep();
    }
    return group;
  }

  async function send(body, said) {
    say(said, "");
    try {
      const response = await fetch("api/v1/feedback", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      const told = response.ok ? null : (await response.json()).error.message;
      say(said, told ?? "已记下，谢谢");
      return response.ok;
    } catch {
      say(said, "没有存下，请稍后再试");
      return false;
    }
  }

  // The rating is stored already; a comment stores it once more, with the words.
  function askWhy(reply, body, asked, said, button) {
    const input = element("input", { type: "text", maxLength: 500, placeholder: asked, ariaLabel: asked });
    const form = element("form", { className: "wj-comment" }, input, element("button", { type: "submit" }, "提交"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const comment = input.value.trim();
      if (comment && !(await send({ ...body, comment }, said))) return;
      form.remove();
      button.focus();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      form.remove();
      button.focus();
    });
    reply.querySelector(".wj-below").append(form);
    input.focus();
  }

  // ---- The conversation, kept for a reload: in this tab alone, and not for the next person

  const PLACE = "wenju-conversation";
  const KEPT_MS = 12 * 60 * 60 * 1000;
  const MOST_KEPT = 40; // messages
  let ratings = {}; // by answer id
  let ready = false; // what was kept has been looked at, so that it may be replaced
  let said = false; // there was a conversation: an empty one is a new one from now on
  let keptAt = 0;
  let keptName = "";

  // Storage may be forbidden or full; then a reload forgets, which is no reason to fail.
  function storedIn(place) {
    try {
      const found = JSON.parse(sessionStorage.getItem(place) ?? "null");
      const age = Date.now() - found?.saved;
      return age >= 0 && age < KEPT_MS ? found : null;
    } catch {
      return null;
    }
  }

  function store(place, value) {
    try {
      if (value) sessionStorage.setItem(place, JSON.stringify(value));
      else sessionStorage.removeItem(place);
    } catch { /* see above */ }
  }

  function keep() {
    const all = messages().slice(-MOST_KEPT);
    said ||= all.length > 0;
    if (!ready || !said) return;
    keptAt = Date.now();
    const kept = all.map((node) => {
      const copy = node.cloneNode(true);
      copy.querySelector(".wj-below")?.remove();
      return { role: node.matches(".wj-question") ? "user" : "assistant", content: copy.outerHTML };
    });
    const names = Object.entries(ratings).filter(([id]) => kept.some((one) => one.content.includes(id)));
    const whole = { saved: keptAt, messages: kept, ratings: Object.fromEntries(names) };
    store(PLACE, kept.length ? whole : null);
  }

  function keepIfChanged() {
    const all = messages();
    const name = `${all.length} ${all.at(-1)?.className} ${all.at(-1)?.textContent.length} ${latest}`;
    if (!ready || name === keptName) return;
    keptName = name;
    keep();
  }

  function restore() {
    // The footer comes from the server: once it is there, Gradio hears clicks.
    if (ready || hold || !find("#wj-kept textarea") || !question() || !find("#wj-footer p")) return;
    bringDraftBack();
    const found = storedIn(PLACE);
    if (!keepsMessages(found)) {
      ready = true;
      return;
    }
    if (found.ratings && typeof found.ratings === "object") ratings = found.ratings;
    const place = find("#wj-kept textarea");
    write(place, JSON.stringify({ messages: found.messages }));
    // Gradio takes the value over in a later turn; the server empties it when it has read it.
    setTimeout(() => find("#wj-restore").click(), 0);
    holdUntil(() => !place.value, () => {
      ready = true;
      document.documentElement.classList.remove("wj-restoring");
    });
  }

  const keepsMessages = (found) => Array.isArray(found?.messages) && found.messages.length > 0;

  // The welcome does not flash up where a conversation goes on.
  if (keepsMessages(storedIn(PLACE))) document.documentElement.classList.add("wj-restoring");

  // Left open on a shared computer, the page forgets as well.
  setInterval(() => {
    if (messages().length && Date.now() - keptAt > KEPT_MS) find("#wj-clear").click();
  }, 60_000);

  // ---- The server gone

  // Gradio says so in English, and does not find back. A page that is loaded anew does, and brings
  // the conversation and the question in the box along.
  const DRAFT = "wenju-draft";
  const RETRY_MS = 1000;
  let lost = false;

  function noticeLoss() {
    if (lost || !find(".toast-body.error")) return;
    lost = true;
    const bar = element("p", { id: "wj-lost" }, "与服务器的连接断了，正在重新连接……");
    bar.setAttribute("role", "alert");
    document.body.append(bar);
    reconnect(bar);
  }

  async function reconnect(bar) {
    const back = await fetch("healthz", { cache: "no-store" }).then((found) => found.ok, () => false);
    if (!back) setTimeout(reconnect, RETRY_MS, bar);
    else if (reloadedJustNow()) offerReload(bar);
    else loadAnew();
  }

  function offerReload(bar) {
    const button = element("button", { type: "button" }, "刷新页面");
    button.addEventListener("click", loadAnew);
    bar.replaceChildren("刚才没有成功，对话和没发出的问题都还在。", button);
  }

  const reloadedJustNow = () => Date.now() - (draft()?.saved ?? 0) < 10_000;

  function loadAnew() {
    store(DRAFT, { saved: Date.now(), text: question()?.value ?? "" });
    window.location.reload();
  }

  const draft = () => storedIn(DRAFT);

  function bringDraftBack() {
    const found = draft();
    if (typeof found?.text !== "string" || !found.text) return;
    store(DRAFT, { saved: found.saved });
    write(question(), found.text);
  }

  // ---- The conversation as a file

  // Words of people and documents stay words: no heading, list, link, image or tag of theirs.
  const literal = (words) => words
    .replace(/[\\`*_<>~|]/g, "\\$&")
    .replace(/\](?=[(:])/g, "\\]")
    .replace(/!(?=\[)/g, "\\!")
    .replace(/^(\s*)(?=#|[-+=]+(?:\s|$))/gm, "$1\\")
    .replace(/^(\s*\d+)(?=[.)]\s)/gm, "$1\\");

  const quoted = (words, mark = "> ") => words.split("\n").map((line) => mark + line).join("\n");

  function localTime(date, { parts = ["-", " ", ":"] } = {}) {
    const two = (number) => String(number).padStart(2, "0");
    const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join(parts[0]);
    return `${day}${parts[1]}${two(date.getHours())}${parts[2]}${two(date.getMinutes())}`;
  }

  function replyAsMarkdown(reply) {
    const [given, version] = text(reply, ".wj-meta").split(" ");
    const label = text(reply, ".wj-label");
    const lines = [
      label ? `**${label}**` : "**回答**",
      literal(text(reply, ".wj-text")),
      ...[".wj-understood", ".wj-confidence", ".wj-hedge"].map((part) => literal(text(reply, part))),
    ];
    const sources = sourcesOf(reply);
    if (sources.length) lines.push(`**${text(reply, ".wj-sources h2")}**`);
    for (const source of sources) {
      const place = `第 ${source.start}–${source.end} 字`;
      const mark = source.number ? `[${source.number}] ` : "";
      lines.push(`${mark}${literal(whence(source))}，${place}`, quoted(literal(source.quote)));
    }
    if (given) lines.push(`${localTime(new Date(given))} · 索引版本 ${literal(version)}`);
    return lines.filter(Boolean);
  }

  function asMarkdown() {
    const blocks = ["# 问据对话", `导出于 ${localTime(new Date())}`];
    for (const node of messages()) {
      if (node.matches(".wj-question")) blocks.push("---", "**问题**", literal(plain(node)));
      else blocks.push(...replyAsMarkdown(node));
    }
    return `${blocks.join("\n\n")}\n`;
  }

  function exportConversation() {
    const name = `问据对话-${localTime(new Date(), { parts: ["", "-", ""] })}.md`;
    const file = URL.createObjectURL(new Blob([asMarkdown()], { type: "text/markdown" }));
    element("a", { href: file, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(file), 10_000);
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#wj-export")) exportConversation();
  });

  // ---- Asking

  function write(area, value) {
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(area, value);
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // While the conversation is being cleared or brought back, a question waits: sent at once, it
  // would go with the old messages, or be overwritten by those that are still on their way. It also
  // waits for a moment after an answer: Gradio loses what is asked while it closes a stream. And
  // after a question, all else waits for the first sign of it: Gradio cannot cancel a stream before
  // it has begun, so that a new conversation would be filled with the answer to an old question.
  const HELD_MS = 10_000; // longer than any of this takes
  const BEGUN_MS = 2000; // a sign is not seen where the same trouble comes again within one frame
  const LOOK_MS = 20;
  const QUIET_MS = 150; // shorter than anyone reads
  let hold = null;
  let working = false;
  let settledAt = 0;

  const quiet = () => !working && Date.now() - settledAt >= QUIET_MS;

  let changes = 0; // of what is said
  function changesWhatIsSaid({ target }) {
    const node = target.closest ? target : target.parentElement;
    return node?.closest("#wj-messages .message-row") && !node.closest(".wj-below");
  }

  function noticeEnd() {
    const now = Boolean(find("#wj-messages .wj-status"));
    if (working && !now) settledAt = Date.now();
    working = now;
  }

  function holdUntil(over, then = () => {}, longest = HELD_MS) {
    hold = { next: new Set() };
    const end = Date.now() + longest;
    const timer = setInterval(() => {
      if (!over() && Date.now() < end) return;
      clearInterval(timer);
      const { next } = hold;
      hold = null;
      then();
      for (const button of next) button.click(); // each may begin a hold for those behind it
    }, LOOK_MS);
  }

  // The button that was pressed goes away; whoever uses the keyboard goes on in the box. On a touch
  // screen that would open a keyboard over the answer.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(
      "#wj-send, #wj-stop, #wj-clear, #wj-examples button, .wj-tool-again");
    const keyboard = event.detail === 0 || window.matchMedia("(hover: hover)").matches;
    if (button && event.isTrusted && keyboard) question()?.focus({ preventScroll: true });
  }, true);

  function guardAsking(event) {
    const box = question();
    const button = event.type === "click"
      ? event.target.closest?.("#wj-send, #wj-examples button, #wj-again, #wj-clear")
      : event.target === box && event.key === "Enter" && !event.shiftKey && !event.isComposing
        ? find("#wj-send")
        : null;
    if (!button || !box) return;
    // A blank question never leaves the page: Gradio drops what is asked while one is under way.
    const clears = button.id === "wj-clear";
    // What asks nothing never leaves the page: Gradio drops or cancels what is asked beside it.
    const idle = clears
      ? !hold && !find("#wj-messages .message-row")
      : button.id === "wj-send" && !box.value.trim();
    if (!idle && !hold && !working && !quiet()) holdUntil(quiet);
    if (idle || hold) {
      event.stopImmediatePropagation();
      event.preventDefault();
      if (!idle) hold.next.add(button);
    } else if (clears) {
      holdUntil(() => !find("#wj-messages .message-row") && quiet());
    } else if (!working && event.type !== "keydown") { // its keypress is what Gradio heeds
      const before = changes;
      holdUntil(() => working || changes !== before, undefined, BEGUN_MS);
    }
  }
  for (const type of ["click", "keydown", "keypress"]) {
    document.addEventListener(type, guardAsking, true);
  }

  // ---- Chinese names

  // What Gradio tells screen readers in English, or as a key that it forgot to translate.
  const SPOKEN = {
    "Loading content": "正在回答",
    "common.complete": "回答完成",
    "common.error": "没有成功",
  };

  // Gradio's own names for these are English, or the raw markup of the message.
  function nameInChinese() {
    const name = (selector, words) => {
      for (const node of document.querySelectorAll(selector)) {
        if (node.getAttribute("aria-label") !== words) node.setAttribute("aria-label", words);
      }
    };
    name('#wj-messages [role="log"]', "对话内容");
    name('#wj-messages [aria-label^="user\'s message"]', "提问");
    name('#wj-messages [aria-label^="bot\'s message"]', "回答");
    for (const node of document.querySelectorAll('.sr-only, [aria-live], [role="status"]')) {
      const part = node.firstChild;
      if (part?.nodeType === Node.TEXT_NODE && SPOKEN[part.data.trim()]) {
        part.data = SPOKEN[part.data.trim()];
      }
    }
  }

  function follow() {
    restore();
    followConversation();
    replies().forEach(addTools);
    scrollToQuestion();
    keepIfChanged();
    noticeLoss();
    nameInChinese();
  }

  let scheduled = false;
  new MutationObserver((records) => {
    changes += records.filter(changesWhatIsSaid).length;
    noticeEnd();
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      follow();
    });
  }).observe(document.documentElement, { childList: true, subtree: true, characterData: true });
})();
