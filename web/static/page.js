// Behaviour of the chat page: citations, the panel of sources, the article dialog, and Chinese names
// for the parts of Gradio that have none. The conversation in the page is the only state: whatever
// adds, repeats or removes an answer, the panel follows what is on display.
(() => {
  "use strict";

  const wide = window.matchMedia("(min-width: 900px)");
  let shown = null; // the reply whose sources the panel holds
  let latest = ""; // markup of the newest reply, to notice a new one
  let emptyPanel = null; // what the panel says when there is nothing to show

  const panel = () => document.querySelector("#wj-panel .wj-panel-empty, #wj-panel .wj-sources");
  const replies = () => [...document.querySelectorAll("#wj-messages .wj-reply")];

  function fillPanel(reply) {
    const place = panel();
    if (!place) return;
    emptyPanel ??= place.cloneNode(true);
    const sources = reply?.querySelector(".wj-sources") ?? emptyPanel;
    place.replaceWith(sources.cloneNode(true));
    document.getElementById("wj-side").scrollTop = 0;
    shown = reply;
  }

  function followConversation() {
    const all = replies();
    const last = all.at(-1) ?? null;
    const fingerprint = last ? `${all.length} ${last.innerHTML}` : "";
    const gone = shown && !shown.isConnected;
    if (fingerprint === latest && !gone) return;
    const isNew = fingerprint !== latest;
    latest = fingerprint;
    if (isNew || !all.length) fillPanel(last);
    else shown = last;
  }

  // The newest question goes to the top, so that its answer is read from the beginning.
  let rows = 0;
  function scrollToQuestion() {
    const all = document.querySelectorAll("#wj-messages .message-row");
    if (all.length > rows) {
      [...document.querySelectorAll("#wj-messages .user-row")].at(-1)?.scrollIntoView();
    }
    rows = all.length;
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
    box = document.createElement("dialog");
    box.id = "wj-dialog";
    box.setAttribute("aria-label", "全文");
    const tab = document.createElement("a");
    tab.target = "_blank";
    tab.rel = "noopener";
    tab.textContent = "在新标签页打开";
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "关闭";
    close.addEventListener("click", () => box.close());
    const frame = document.createElement("iframe");
    frame.title = "全文";
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

  // A blank question never leaves the page: Gradio drops what is asked while one is under way.
  function holdBackBlank(event) {
    const question = document.querySelector("#wj-question textarea");
    const asks = event.type === "click"
      ? event.target.closest?.("#wj-send")
      : event.target === question && event.key === "Enter" && !event.shiftKey;
    if (asks && question && !question.value.trim()) {
      event.stopImmediatePropagation();
      event.preventDefault();
    }
  }
  for (const type of ["click", "keydown", "keypress"]) {
    document.addEventListener(type, holdBackBlank, true);
  }

  // What Gradio tells screen readers in English, or as a key that it forgot to translate.
  const SPOKEN = {
    "Loading content": "正在回答",
    "common.complete": "回答完成",
    "common.error": "没有成功",
  };

  // Gradio's own names for these are English, or the raw markup of the message.
  function nameInChinese() {
    const name = (selector, text) => {
      for (const node of document.querySelectorAll(selector)) {
        if (node.getAttribute("aria-label") !== text) node.setAttribute("aria-label", text);
      }
    };
    name('#wj-messages [role="log"]', "对话内容");
    name('#wj-messages [aria-label^="user\'s message"]', "提问");
    name('#wj-messages [aria-label^="bot\'s message"]', "回答");
    for (const node of document.querySelectorAll('.sr-only, [aria-live], [role="status"]')) {
      const text = node.firstChild;
      if (text?.nodeType === Node.TEXT_NODE && SPOKEN[text.data.trim()]) {
        text.data = SPOKEN[text.data.trim()];
      }
    }
  }

  let scheduled = false;
  new MutationObserver(() => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      followConversation();
      scrollToQuestion();
      nameInChinese();
    });
  }).observe(document.documentElement, { childList: true, subtree: true, characterData: true });
})();
