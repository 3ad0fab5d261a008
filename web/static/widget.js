// The portal widget; docs/widget.md is the guide for webmasters. It asks nobody but its endpoint and
// the portal's token-url, and whatever comes from there becomes text nodes, never markup.
(() => {
  "use strict";

  const STORED_VERSION = 1;
  const MAX_TURNS_KEPT = 30;
  const MAX_CHARS_KEPT = 300_000;
  const MAX_MESSAGES_SENT = 10;
  const MAX_CHARS_SENT = 2000;
  const MAX_EMPHASIS_CHARS = 30; // a longer short answer is the sentence itself
  const SILENCE_MS = 60_000; // the server says something every 15 s
  const RENEW_SECONDS = 60;
  const UNSURE = 0.3;
  const MARKER = /\[(\d+)\]/;
  const FULL_SCREEN = "(max-width: 600px), (max-height: 480px)"; // or zoomed to 200 %

  // --- Words ---

  const WORDS = {
    zh: {
      lang: "zh-CN",
      title: "资料问答",
      subtitle: "只根据已收录的文档回答",
      greeting: "您好，请直接提问。我只根据已收录的文档回答，每句话都可以点开原文核对。",
      suggestions: "试试这样问",
      box: "您的问题",
      placeholder: "请输入问题，按回车发送",
      open: "打开",
      close: "关闭",
      fresh: "新对话",
      unread: "（有新回答）",
      log: "对话记录",
      send: "发送",
      stop: "停止",
      you: "您问：",
      answer: "回答：",
      waiting: "正在查找相关段落……",
      source: "来源",
      related: "相关段落",
      doc: "文档：",
      look: "在原文中查看",
      newTab: "（新标签页）",
      refused: "文中没有答案",
      unsure: "把握不大，请核对来源。",
      stopped: "已停止",
      failed: "没有成功",
      retry: "重试",
      copy: "复制",
      copied: "已复制，含来源",
      rate: "评价这个回答",
      up: "有用",
      down: "没用",
      citation: "引用错误",
      thanks: "谢谢，已记录",
      network: "连接不上问答服务，请检查网络后重试。",
      broken: "连接中断，回答没有传完，请重试。",
      token: "没有取得访问凭证，请刷新页面后再试。",
      status: (code) => `问答服务暂时不可用（${code}），请稍后再试。`,
      wait: (seconds) => `请在 ${seconds} 秒后再试。`,
      understood: (question) => `按“${question}”理解`,
      date: (iso) => iso.split("-").map((part, i) => Number(part) + "年月日"[i]).join(""),
    },
    en: {
      lang: "en",
      title: "Ask the documents",
      subtitle: "Answers from the documents only",
      greeting: "Hello! Answers come from the documents alone; open a number to check the original.",
      suggestions: "Try one of these",
      box: "Your question",
      placeholder: "Type a question, Enter to send",
      open: "Open",
      close: "Close",
      fresh: "New conversation",
      unread: " (new answer)",
      log: "Conversation",
      send: "Send",
      stop: "Stop",
      you: "You asked: ",
      answer: "Answer: ",
      waiting: "Searching…",
      source: "Source",
      related: "Related passages",
      doc: "Document: ",
      look: "View in the original",
      newTab: " (new tab)",
      refused: "Not in the documents",
      unsure: "Not very sure; please check the sources.",
      stopped: "Stopped",
      failed: "That did not work",
      retry: "Try again",
      copy: "Copy",
      copied: "Copied with sources",
      rate: "Rate this answer",
      up: "Helpful",
      down: "Not helpful",
      citation: "Wrong citation",
      thanks: "Thank you, noted",
      network: "Cannot reach the service. Please try again.",
      broken: "The connection was lost. Please try again.",
      token: "No access token. Please reload the page.",
      status: (code) => `The service is unavailable (${code}). Please try again.`,
      wait: (seconds) => ` Try again in ${seconds} s.`,
      understood: (question) => `Understood as “${question}”`,
      date: (iso) => iso,
    },
  };

  // --- Options ---

  function readOptions(tag) {
    const data = tag?.dataset ?? {};
    const own = tag?.src ? new URL(".", tag.src).href : "";
    const words = data.lang === "en" ? WORDS.en : WORDS.zh;
    return {
      words,
      id: data.id || "",
      endpoint: address(data.endpoint || own),
      tokenUrl: data.tokenUrl ? address(data.tokenUrl) : null,
      title: data.title || words.title,
      greeting: data.greeting || words.greeting,
      color: /^#(?:[0-9a-f]{3}){1,2}$/i.test(data.color ?? "") ? data.color : "#1f4e8c",
      position: data.position === "left" ? "left" : "right",
      theme: ["light", "dark"].includes(data.theme) ? data.theme : "auto",
      suggestions: (data.suggestions ?? "").split("|").map((text) => text.trim()).filter(Boolean),
      open: data.open !== undefined && data.open !== "false",
      zIndex: /^\d{1,10}$/.test(data.zIndex ?? "") ? data.zIndex : "2147483000",
    };
  }

  /** An absolute http(s) address without a final slash; null if it is none. */
  function address(text) {
    try {
      const url = new URL(text, document.baseURI);
      return /^https?:$/.test(url.protocol) ? url.href.replace(/[?#].*$|\/+$/g, "") : null;
    } catch {
      return null;
    }
  }

  // --- Colours ---

  const SURFACES = { light: [255, 255, 255], dark: [26, 33, 43] };

  function palette(color) {
    const short = color.length === 4 ? [...color.slice(1)].map((d) => d + d).join("") : color.slice(1);
    const brand = [0, 2, 4].map((at) => parseInt(short.slice(at, at + 2), 16));
    const onBrand = contrast(brand, [0, 0, 0]) > contrast(brand, [255, 255, 255]) ? "#000" : "#fff";
    return { brand: css(brand), onBrand, light: accents(brand, "light"), dark: accents(brand, "dark") };
  }

  /** A tint of the surface, and the brand moved until it can be read on it. */
  function accents(brand, theme) {
    const surface = SURFACES[theme];
    const soft = mix(surface, brand, theme === "light" ? 0.1 : 0.2);
    const pole = theme === "light" ? [0, 0, 0] : [255, 255, 255];
    let accent = brand;
    for (let part = 0.05; contrast(accent, soft) < (theme === "light" ? 4.6 : 6) && part <= 1; part += 0.05) {
      accent = mix(brand, pole, part);
    }
    return { accent: css(accent), soft: css(soft) };
  }

  const css = (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`;
  const mix = (one, other, part) => one.map((value, i) => value + (other[i] - value) * part);

  function contrast(one, other) {
    const [dark, light] = [one, other].map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }

  function luminance(rgb) {
    const [r, g, b] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  // --- Style: no rem, since the root's size is the portal's ---

  function styleText(options) {
    const { brand, onBrand, light, dark } = palette(options.color);
    const darkColors = `color-scheme: dark; --surface: #1a212b; --ground: #141a22; --ink: #e5e9ef;
      --muted: #a3afbe; --line: #36414f; --field: #7b899a; --caution: #eabf6a;
      --caution-soft: #2c2617; --mark: #ffd666; --accent: ${dark.accent}; --soft: ${dark.soft};`;
    return `
:host { all: initial !important; }
.root {
  color-scheme: light; --surface: #fff; --ground: #f6f8fb; --ink: #1b2430; --muted: #566273;
  --line: #dce2ea; --field: #7b8798; --caution: #855600; --caution-soft: #fdf5e3; --mark: #d99a00;
  --accent: ${light.accent}; --soft: ${light.soft}; --brand: ${brand}; --on-brand: ${onBrand};
  font: medium/1.7 -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", system-ui, sans-serif;
  color: var(--ink); text-align: start; overflow-wrap: anywhere; line-break: strict;
  -webkit-text-size-adjust: 100%;
}
.root.dark { ${darkColors} }
@media (prefers-color-scheme: dark) { .root.auto { ${darkColors} } }
* { box-sizing: border-box; margin: 0; }
[hidden] { display: none !important; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
button {
  min-height: 2em; padding: 0 .75em; border: 1px solid transparent; border-radius: 8px;
  background: none; color: inherit; font: inherit; text-align: start; cursor: pointer;
}
svg {
  display: block; width: 20px; height: 20px; fill: none; stroke: currentColor; stroke-width: 2;
  stroke-linecap: round; stroke-linejoin: round;
}
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.bubble {
  position: fixed; z-index: ${options.zIndex}; bottom: calc(24px + env(safe-area-inset-bottom));
  ${options.position}: calc(24px + env(safe-area-inset-${options.position}));
  display: flex; align-items: center; gap: 10px; height: 54px; max-width: min(16em, 80vw);
  padding: 0 22px 0 18px; border-radius: 27px; background: var(--brand); color: var(--on-brand);
  font-weight: 600; box-shadow: 0 0 0 1px rgb(255 255 255 / 35%), 0 6px 22px rgb(15 30 55 / 24%);
}
.bubble svg { flex: none; width: 24px; height: 24px; }
.bubble span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bubble:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; box-shadow: 0 0 0 3px #fff; }
.bubble[aria-expanded="true"] { width: 54px; padding: 0; justify-content: center; }
.bubble[aria-expanded="true"] span { display: none; }
.bubble.unread::after {
  content: ""; position: absolute; top: 0; right: 4px; width: 14px; height: 14px;
  border: 2px solid #fff; border-radius: 50%; background: #c62828;
}

.panel {
  position: fixed; z-index: ${options.zIndex}; inset: auto; ${options.position}: 24px; bottom: 92px;
  width: 408px; max-width: none; height: min(660px, calc(100dvh - 112px)); max-height: none;
  padding: 0; border: 1px solid var(--line); border-radius: 16px; overflow: hidden;
  background: var(--surface); color: inherit;
  box-shadow: 0 12px 44px rgb(15 30 55 / 24%);
}
.panel::backdrop { background: none; }
.panel[open] { display: flex; flex-direction: column; }
.panel.full {
  inset: 0; width: 100%; height: 100dvh; border: 0; border-radius: 0; box-shadow: none;
  padding: env(safe-area-inset-top) env(safe-area-inset-right) env(safe-area-inset-bottom) env(safe-area-inset-left);
}
.top {
  flex: none; display: flex; align-items: center; gap: 10px; padding: 12px 10px 11px 16px;
  border-top: 3px solid var(--brand); border-bottom: 1px solid var(--line);
}
.badge {
  flex: none; display: grid; place-items: center; width: 36px; height: 36px; border-radius: 10px;
  background: var(--brand); color: var(--on-brand);
}
.names { flex: 1; min-width: 0; line-height: 1.4; }
.names h2 { overflow: hidden; font-size: 1em; font-weight: 600; text-overflow: ellipsis; white-space: nowrap; }
.names p { color: var(--muted); font-size: .8125em; }
.icon { flex: none; display: grid; place-items: center; width: 36px; height: 36px; padding: 0; color: var(--muted); }
.icon:hover { background: var(--soft); color: var(--accent); }

.log { flex: 1; min-height: 0; padding: 18px 16px 8px; overflow-y: auto; overscroll-behavior: contain; }
.log:focus-visible { outline-offset: -3px; }
.greeting { white-space: pre-line; }
.hint { margin: 18px 0 8px; color: var(--muted); font-size: .8125em; }
.chips { display: flex; flex-direction: column; align-items: flex-start; gap: 8px; padding: 0; list-style: none; }
.chips button { padding: .35em .9em; border-color: var(--line); border-radius: 18px; color: var(--accent); font-size: .9em; line-height: 1.5; }
.chips button:hover, .tools button:hover { border-color: var(--accent); background: var(--soft); }
.turn { padding-bottom: 22px; }
.question {
  width: fit-content; max-width: 86%; max-height: 10em; margin: 0 0 12px auto; padding: .45em .9em;
  overflow-y: auto; border-radius: 14px 14px 4px; background: var(--soft); white-space: pre-wrap;
}
.text { white-space: pre-line; }
.text strong { color: var(--accent); font-weight: 600; }
.nowrap { white-space: nowrap; }
.marker {
  position: relative; min-height: 0; min-width: 1.7em; margin: 0 0 0 .15em; padding: 0 .4em; border-radius: 6px;
  background: var(--soft); color: var(--accent); font-size: .75em; font-weight: 600; line-height: 1.6;
  text-align: center; vertical-align: .1em;
}
.marker::after { content: ""; position: absolute; inset: -9px -3px; }
.marker:hover, .marker[aria-expanded="true"] { background: var(--accent); color: var(--surface); }
.note { margin-top: 8px; color: var(--muted); font-size: .875em; }
.unsure { color: var(--caution); }
.label { display: block; margin-bottom: 2px; font-size: .8125em; font-weight: 600; color: var(--caution); }
.card { padding: 10px 14px; border: 1px solid transparent; border-left: 3px solid var(--mark); border-radius: 8px; background: var(--caution-soft); }
.text + .card { margin-top: 10px; }
.progress { display: flex; align-items: center; gap: 8px; color: var(--muted); font-size: .9em; }
.progress i { width: 8px; height: 8px; border-radius: 50%; background: var(--accent); }

.sources { margin-top: 12px; }
.sources h3 { margin-bottom: 4px; color: var(--muted); font-size: .8125em; font-weight: 500; }
.source { border: 1px solid var(--line); border-radius: 10px; font-size: .875em; }
.source + .source { margin-top: 6px; }
.source > button { display: flex; align-items: center; gap: 8px; width: 100%; min-height: 38px; padding: 4px 10px; border-radius: 9px; }
.source > button:hover { background: var(--ground); }
.source > button svg { flex: none; width: 16px; height: 16px; color: var(--muted); }
.source > button[aria-expanded="true"] svg { transform: rotate(180deg); }
.source b { flex: none; min-width: 1.6em; border-radius: 5px; background: var(--soft); color: var(--accent); font-size: .9em; text-align: center; }
.source .name { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
[aria-expanded="true"] > .name { font-weight: 600; white-space: normal; }
.source .date { flex: none; color: var(--muted); font-size: .9em; }
.detail { padding: 2px 12px 10px; border-radius: 9px; }
.detail blockquote { padding: 1px 0 1px 10px; border-left: 3px solid var(--mark); white-space: pre-line; }
.detail .doc { margin-top: 6px; color: var(--muted); font-size: .9em; }
.detail a { display: inline-flex; align-items: center; gap: 4px; min-height: 28px; margin-top: 4px; color: var(--accent); text-underline-offset: 3px; }
.detail a svg { width: 14px; height: 14px; }

.tools { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 6px; margin-top: 10px; font-size: .8125em; }
.tools button { min-height: 28px; border-color: var(--line); color: var(--muted); }
.tools button:hover { color: var(--accent); }
.tools button[aria-pressed="true"] { border-color: var(--accent); background: var(--soft); color: var(--accent); font-weight: 600; }
.rating { display: contents; }
.tools .said { color: var(--muted); }

.ask { flex: none; display: flex; align-items: flex-end; gap: 8px; margin: 4px 12px 12px; padding: 6px; border: 1px solid var(--field); border-radius: 12px; background: var(--surface); }
.ask:focus-within { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
.ask textarea {
  flex: 1; min-width: 0; min-height: 36px; max-height: 7.6em; padding: 4px 6px; border: 0; outline: 0; resize: none;
  background: none; color: inherit; font: inherit; line-height: 28px;
}
::placeholder { color: var(--muted); opacity: 1; }
.go { flex: none; display: flex; align-items: center; gap: 6px; min-height: 36px; background: var(--brand); color: var(--on-brand); font-size: .9em; font-weight: 600; }
.go.stop { border-color: var(--field); background: var(--surface); color: var(--ink); }
.go svg { width: 18px; height: 18px; }

@media (max-width: 600px) {
  .bubble { width: 54px; padding: 0; justify-content: center; bottom: calc(16px + env(safe-area-inset-bottom)); ${options.position}: 16px; }
  .bubble span { display: none; }
}
@media (pointer: coarse) {
  .icon { width: 44px; height: 44px; }
  .tools button, .detail a { min-height: 40px; }
  .source > button, .go, .chips button { min-height: 44px; }
  .ask textarea { padding: 8px 6px; }
}
@media (forced-colors: active) {
  button, .badge { border: 1px solid ButtonText; }
  [aria-pressed="true"], .marker[aria-expanded="true"] { border-width: 3px; }
}
@media (prefers-reduced-motion: no-preference) {
  .panel[open] { animation: rise .18s ease-out; }
  .progress i { animation: pulse 1.2s ease-in-out infinite; }
  .source > button svg { transition: transform .15s; }
  @keyframes rise { from { opacity: 0; transform: translateY(10px); } }
  @keyframes pulse { 50% { opacity: .25; } }
}`;
  }

  function adopt(root, text) {
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(text);
      root.adoptedStyleSheets = [sheet];
    } catch {
      root.append(element("style", {}, text)); // browsers from before 2023
    }
  }

  // --- Building ---

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") node.addEventListener("click", value);
      else node.setAttribute(name, value);
    }
    node.append(...children.filter(Boolean));
    return node;
  }

  const ICONS = {
    chat: "M21 12a8 8 0 0 1-8 8H4l2-3.2A8 8 0 1 1 21 12ZM9 10.5h8M9 14h5",
    close: "M6 6l12 12M18 6L6 18",
    fresh: "M12 5v14M5 12h14",
    down: "M6 9l6 6 6-6",
    send: "M12 19V5M6 11l6-6 6 6",
    stop: "M7 7h10v10H7z",
    out: "M14 5h5v5M19 5l-9 9M18 14v5H5V6h5",
  };

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }

  // --- Records ---

  const string = (value) => (typeof value === "string" ? value : "");
  const list = (value) => (Array.isArray(value) ? value : []);

  function citations(value) {
    return list(value)
      .filter((item) => item && typeof item === "object")
      .map((item) => ({
        n: Number.isSafeInteger(item.n) ? item.n : 0,
        doc: string(item.doc),
        title: string(item.title) || string(item.doc),
        date: /^[\d-]{4,10}$/.test(item.date) ? item.date : "",
        start: item.start,
        end: item.end,
        quote: string(item.quote),
      }));
  }

  /** An answer record as CONTRACT.md has it, or null. */
  function asRecord(value) {
    if (!value || typeof value !== "object" || typeof value.answer !== "string") return null;
    return {
      ...value,
      refused: value.refused === true,
      citations: citations(value.citations),
      suggestions: citations(value.suggestions),
    };
  }

  // --- Memory ---

  function load(key) {
    try {
      const { version, open, turns } = JSON.parse(sessionStorage.getItem(key));
      if (version === STORED_VERSION) return { open: open === true, turns: list(turns).map(asTurn).filter(Boolean) };
    } catch {
      // Nothing there, or forbidden.
    }
    return { turns: [] };
  }

  function save(key, open, turns) {
    const kept = turns.slice(-MAX_TURNS_KEPT);
    const withoutView = (name, value) => (name === "view" ? undefined : value);
    try {
      let text;
      do {
        text = JSON.stringify({ version: STORED_VERSION, open, turns: kept }, withoutView);
      } while (text.length > MAX_CHARS_KEPT && kept.shift());
      sessionStorage.setItem(key, text);
    } catch {
      // Full or forbidden: only the memory is lost.
    }
  }

  /** A turn as stored; what was being asked when its page was left has been stopped by that. */
  function asTurn(value) {
    if (typeof value?.question !== "string") return null;
    const record = asRecord(value.record);
    const trouble = value.trouble ? { message: string(value.trouble.message) } : null;
    return { ...value, text: string(value.text), record, trouble, waiting: false };
  }

  function history(turns) {
    const cut = (text) => [...text].slice(0, MAX_CHARS_SENT).join("");
    return turns
      .filter((turn) => turn.record)
      .flatMap((turn) => [
        { role: "user", content: cut(turn.question) },
        { role: "assistant", content: cut(turn.record.answer.replace(/\[\d+\]/g, "")) },
      ])
      .slice(-MAX_MESSAGES_SENT);
  }

  // --- The service ---

  class Trouble extends Error {
    constructor(code, message, retryAfter) {
      super(message);
      Object.assign(this, { code, retryAfter });
    }
  }

  function service({ endpoint, tokenUrl, words }) {
    let token = null; // a promise

    async function fetchToken() {
      try {
        const response = await fetch(tokenUrl, { credentials: "same-origin", cache: "no-store" });
        const body = response.ok ? (await response.text()).trim() : "";
        const value = body.startsWith("{") ? JSON.parse(body).token : body;
        if (/^[\w.~+/=-]+$/.test(string(value))) return { value, ends: endOf(value) };
      } catch {
        // As without one.
      }
      throw new Trouble("token", words.token);
    }

    async function bearer(renew) {
      const current = await token?.catch(() => null);
      if (renew || !(current?.ends - Date.now() / 1000 > RENEW_SECONDS)) token = fetchToken();
      return (await token).value;
    }

    async function post(path, body, signal, accept = "application/json") {
      for (let attempt = 0; ; attempt++) {
        const headers = { "Content-Type": "application/json", Accept: accept };
        if (tokenUrl) headers.Authorization = `Bearer ${await bearer(attempt > 0)}`;
        const response = await fetch(`${endpoint}/api/v1/${path}`, {
          method: "POST", headers, body: JSON.stringify(body), signal, cache: "no-store",
        });
        if (response.ok) return response;
        if (response.status !== 401 || !tokenUrl || attempt > 0) throw await troubleOf(response, words);
      }
    }

    return {
      async ask(question, turns, signal, onEvent) {
        const body = { question, history: history(turns) };
        const response = await beforeSilence(post("ask", body, signal, "text/event-stream"), words);
        const record = asRecord(await lastRecord(response, onEvent, words));
        if (!record) throw new Trouble("protocol", words.broken);
        return record;
      },
      async rate(answerId, rating) {
        const body = { answer_id: answerId, rating: rating === "up" ? "up" : "down" };
        if (rating === "citation") body.problem = "citation";
        await post("feedback", body);
      },
      articleUrl(citation, all) {
        const same = all.filter((other) => other.doc === citation.doc && other !== citation);
        const spans = [citation, ...same].filter(({ start, end }) => [start, end].every(Number.isSafeInteger));
        const query = spans.map(({ start, end }) => `start=${start}&end=${end}`).join("&");
        return inside(`${endpoint}/article/`, citation.doc, query);
      },
      token: tokenUrl && bearer,
    };
  }

  /** The address of a document, or null if its name leads out of `folder`. */
  function inside(folder, doc, query) {
    try {
      const path = doc.split("/").map(encodeURIComponent).join("/");
      const link = `${folder}${path}?${query}#quote`;
      return doc && new URL(link).href === link ? link : null;
    } catch {
      return null; // half of a surrogate pair has no address
    }
  }

  function endOf(token) {
    try {
      const [claim] = token.split(".");
      const { exp } = JSON.parse(atob(claim.replaceAll("-", "+").replaceAll("_", "/")));
      return typeof exp === "number" ? exp : Infinity;
    } catch {
      return Infinity;
    }
  }

  async function troubleOf(response, words) {
    const body = await response.json().catch(() => null);
    const { code, message } = body?.error ?? {};
    const text = string(message) || words.status(response.status);
    return new Trouble(string(code) || `http_${response.status}`, text, response.headers.get("retry-after"));
  }

  async function lastRecord(response, onEvent, words) {
    if (!/event-stream/.test(response.headers.get("content-type"))) return response.json().catch(() => null);
    let record = null;
    const parser = eventParser((name, text) => {
      const data = JSON.parse(text);
      if (name === "error") throw new Trouble(string(data.error?.code), string(data.error?.message) || words.broken);
      if (name === "done") record = data;
      else onEvent(name, data);
    });
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    while (!record) {
      const { value, done } = await beforeSilence(reader.read(), words);
      if (done) break;
      parser(decoder.decode(value, { stream: true }));
    }
    reader.cancel().catch(() => {});
    return record;
  }

  async function beforeSilence(coming, words) {
    let timer;
    const silence = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Trouble("silent", words.broken)), SILENCE_MS);
    });
    try {
      return await Promise.race([coming, silence]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Server-sent events from pieces of text that end anywhere. */
  function eventParser(emit) {
    let rest = "";
    let name = "";
    let data = [];
    return (piece) => {
      const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/); // a CR at the end may be half a CRLF
      rest = lines.pop();
      for (const line of lines) {
        const [, field, value] = /^([^:]*):? ?([^]*)$/.exec(line);
        if (line === "") {
          if (data.length) emit(name || "message", data.join("\n"));
          name = "";
          data = [];
        } else if (field === "event") name = value;
        else if (field === "data") data.push(value);
      }
    };
  }

  // --- One answer, drawn ---

  /** Letters and digits alone: other width or punctuation is not another understanding. */
  const plain = (text) => text.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

  function drawTurn(turn, words, actions) {
    const body = element("div", { class: "answer", lang: "zh-CN" });
    turn.view.replaceChildren(
      element("p", { class: "question" }, element("span", { class: "sr" }, words.you), turn.question),
      element("span", { class: "sr" }, words.answer),
      body,
    );
    (turn.record ? drawAnswer : drawUnfinished)(body, turn, words, actions);
  }

  function drawAnswer(body, turn, words, actions) {
    const { record } = turn;
    const cards = sources(record, words, actions);
    const text = answerText(record, cards, words);
    if (record.refused) {
      // Thanks and greetings are refusals too, without passages.
      const label = cards.nodes.length && element("span", { class: "label" }, words.refused);
      body.append(element("div", { class: "card refusal" }, label, text));
    } else {
      body.append(text);
      if (record.confidence < UNSURE) body.append(note("note unsure", words.unsure));
    }
    body.append(...understanding(turn, words), ...cards.nodes, tools(turn, words, actions));
  }

  function drawUnfinished(body, turn, words, actions) {
    if (turn.text) body.append(element("p", { class: "text" }, turn.text.replace(/\[\d*$/, "")));
    if (turn.waiting) {
      const text = turn.stage || words.waiting;
      if (!turn.text) body.append(element("p", { class: "progress" }, element("i"), text));
      return;
    }
    const { trouble } = turn;
    body.append(trouble
      ? element("div", { class: "card trouble" }, element("span", { class: "label" }, words.failed), trouble.message)
      : note("note stopped", words.stopped));
    if (trouble?.mend) return;
    const again = element("button", { onclick: () => actions.again(turn) }, words.retry);
    body.append(element("div", { class: "tools" }, again));
  }

  const note = (className, text) => element("p", { class: className }, text);

  function understanding({ question, record }, words) {
    const understood = string(record.standalone_question);
    const same = ["", plain(question)].includes(plain(understood));
    return same ? [] : [note("note understood", words.understood(understood))];
  }

  function answerText(record, cards, words) {
    const text = element("p", { class: "text" });
    const short = string(record.short_answer);
    let bold = [...short].length <= MAX_EMPHASIS_CHARS ? short : "";
    for (const part of record.answer.split(/((?:\[\d+\])+[，。、；：！？）”》]*)/u)) {
      if (/^\[\d+\]/.test(part)) {
        text.append(element("span", { class: "nowrap" }, ...part.split(/(\[\d+\])/).map((piece) => {
          const card = cards.byNumber.get(Number(MARKER.exec(piece)?.[1]));
          return card ? marker(card, words) : piece;
        })));
      } else if (bold && part.includes(bold)) {
        const [before, ...after] = part.split(bold);
        text.append(before, element("strong", {}, bold), after.join(bold));
        bold = "";
      } else text.append(part);
    }
    return text;
  }

  function marker(card, words) {
    const { n, title } = card.citation;
    const button = element("button", {
      class: "marker", "aria-label": `${words.source} ${n} ${title}`, "aria-expanded": "false", "aria-controls": card.id,
      onclick: () => {
        card.toggle();
        if (!card.detail.hidden) card.detail.focus({ preventScroll: true });
        card.detail.scrollIntoView({ block: "nearest" });
      },
    }, String(n));
    card.openers.push(button);
    return button;
  }

  let cardCount = 0;

  const cited = (record) => (record.refused ? record.suggestions : record.citations);

  function sources(record, words, actions) {
    const all = cited(record);
    const cards = all.map((citation) => sourceCard(citation, all, words, actions));
    const byNumber = new Map(cards.filter((card) => card.citation.n).map((card) => [card.citation.n, card]));
    const box = element("div", { class: "sources" }, element("h3", {}, record.refused ? words.related : words.source), ...cards.map((card) => card.node));
    return { byNumber, nodes: cards.length ? [box] : [] };
  }

  function sourceCard(citation, all, words, actions) {
    const { n, title, doc, date, quote } = citation;
    const id = `wenju-source-${++cardCount}`;
    const link = actions.link(citation, all);
    const detail = element("div", { class: "detail", id, role: "group", "aria-label": title, tabindex: "-1", hidden: "" },
      element("blockquote", {}, quote),
      note("doc", words.doc + doc),
      link && element("a", { href: link, target: "_blank", rel: "noopener" },
        words.look, icon("out"), element("span", { class: "sr" }, words.newTab)));
    const card = {
      citation, id, detail, openers: [],
      toggle() {
        detail.hidden = !detail.hidden;
        for (const opener of card.openers) opener.setAttribute("aria-expanded", String(!detail.hidden));
        if (!detail.hidden && link) actions.freshLink(detail.querySelector("a"), link);
      },
    };
    const head = element("button", { "aria-expanded": "false", "aria-controls": id, onclick: () => card.toggle() },
      n && element("b", {}, element("span", { class: "sr" }, words.source), String(n)),
      element("span", { class: "name" }, title),
      date && element("span", { class: "date" }, words.date(date)),
      icon("down"));
    card.openers.push(head);
    card.node = element("div", { class: "source" }, head, detail);
    return card;
  }

  function tools(turn, words, actions) {
    const said = element("span", { class: "said", role: "status" });
    const kinds = ["up", "down", ...(turn.record.citations.length ? ["citation"] : [])];
    const buttons = kinds.map((kind) => element("button", {
      class: kind, "aria-pressed": String(turn.rating === kind),
      onclick: async () => {
        await actions.rate(turn, kind, said);
        buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(turn.rating === kinds[i])));
      },
    }, words[kind]));
    return element("div", { class: "tools" },
      element("button", { class: "copy", onclick: () => actions.copy(turn, said) }, words.copy),
      turn.record.rateable && element("span", { role: "group", "aria-label": words.rate, class: "rating" }, ...buttons),
      said);
  }

  function copyText({ record }, words, link) {
    const all = cited(record);
    const lines = all.map((citation) => {
      const { n, title, date, quote } = citation;
      const parts = [n && `[${n}]`, `“${quote}”`, `《${title}》`, date && words.date(date), link(citation, all)];
      return parts.filter(Boolean).join(" ");
    });
    return [record.answer, "", ...lines].join("\n").trim();
  }

  async function copyToClipboard(text, near) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Over plain http there is no clipboard, but the old command.
      const focused = near.getRootNode().activeElement;
      const box = element("textarea", { class: "sr", readonly: "", tabindex: "-1" });
      box.value = text;
      near.append(box);
      box.select();
      const copied = document.execCommand("copy");
      box.remove();
      focused?.focus({ preventScroll: true });
      return copied;
    }
  }

  // --- Frame ---

  function frame(options) {
    const { words } = options;
    const button = (className, name, iconName) =>
      element("button", { class: className, "aria-label": name, title: name }, icon(iconName));
    const parts = {
      fresh: button("icon fresh", words.fresh, "fresh"),
      close: button("icon close", words.close, "close"),
      log: element("div", { class: "log", role: "log", "aria-live": "off", "aria-label": words.log, tabindex: "0" }),
      status: element("p", { class: "sr", role: "status" }),
      box: element("textarea", { rows: "1", "aria-label": words.box, placeholder: words.placeholder, enterkeyhint: "send" }),
      go: element("button", { class: "go" }),
      bubble: element("button", { class: "bubble", "aria-haspopup": "dialog" }),
    };
    parts.form = element("form", { class: "ask" }, parts.box, parts.go);
    parts.panel = element("dialog", { class: "panel", "aria-labelledby": "title" },
      element("div", { class: "top" },
        element("span", { class: "badge" }, icon("chat")),
        element("div", { class: "names" },
          element("h2", { id: "title" }, options.title),
          note("", words.subtitle)),
        parts.fresh, parts.close),
      parts.log, parts.status, parts.form);
    parts.root = element("div", { class: `root ${options.theme}`, lang: words.lang }, parts.panel, parts.bubble);
    return parts;
  }

  // --- Widget ---

  function createWidget(options, id) {
    const { words } = options;
    const host = element("wenju-widget", { id });
    const shadow = host.attachShadow({ mode: "open" });
    adopt(shadow, styleText(options));
    const ui = frame(options);
    shadow.append(ui.root);

    const calls = service(options);
    const full = window.matchMedia(FULL_SCREEN);
    const handlers = new Map();
    let turns = [];
    let asking = null; // { turn, controller }
    let opener = null; // had the focus before
    let follow = true;
    let pageOverflow = null;

    function emit(name, detail = {}) {
      for (const handler of [...(handlers.get(name) ?? [])]) {
        try {
          handler(detail);
        } catch (error) {
          console.error(error);
        }
      }
      host.dispatchEvent(new CustomEvent(`wenju:${name}`, { detail, bubbles: true }));
    }

    const key = `wenju:${options.endpoint}${options.id && `#${options.id}`}`;
    const remember = () => save(key, ui.panel.open, turns);

    function showPanel(withFocus) {
      const isFull = full.matches;
      ui.panel.classList.toggle("full", isFull);
      if (isFull) ui.panel.showModal();
      else ui.panel.open = true; // show() would take the focus
      holdPage(isFull);
      fitKeyboard();
      drawBubble();
      if (withFocus || isFull) (withFocus ? ui.box : ui.log).focus({ preventScroll: true });
      keepInView();
    }

    function hidePanel() {
      if (ui.panel.classList.contains("full")) ui.panel.close();
      else ui.panel.open = false;
      holdPage(false);
    }

    function holdPage(hold) {
      const { style } = document.documentElement;
      if (hold) {
        pageOverflow ??= style.overflow;
        style.overflow = "hidden";
      } else if (pageOverflow !== null) {
        style.overflow = pageOverflow;
        pageOverflow = null;
      }
    }

    /** A phone's keyboard covers the page without making it smaller. */
    function fitKeyboard() {
      const view = window.visualViewport;
      const fits = ui.panel.classList.contains("full") && view && view.scale < 1.01;
      ui.panel.style.height = fits ? `${view.height}px` : "";
      ui.panel.style.top = fits ? `${view.offsetTop}px` : "";
    }

    function open() {
      if (ui.panel.open) return ui.box.focus();
      opener = document.activeElement;
      ui.bubble.classList.remove("unread");
      showPanel(true);
      remember();
      return emit("open");
    }

    function close() {
      if (!ui.panel.open) return;
      hidePanel();
      drawBubble();
      const back = opener?.isConnected && ![document.body, host].includes(opener) ? opener : ui.bubble;
      back.focus({ preventScroll: true });
      remember();
      emit("close");
    }

    function drawBubble() {
      const isOpen = ui.panel.open;
      const unread = ui.bubble.classList.contains("unread") ? words.unread : "";
      ui.bubble.setAttribute("aria-expanded", String(isOpen));
      ui.bubble.setAttribute("aria-label", `${isOpen ? words.close : words.open} ${options.title}${unread}`);
      ui.bubble.replaceChildren(icon(isOpen ? "down" : "chat"), element("span", {}, options.title));
    }

    function drawLog() {
      ui.log.replaceChildren();
      if (!turns.length) {
        ui.log.append(note("greeting", options.greeting));
        const chips = options.suggestions.map((text) =>
          element("li", {}, element("button", { onclick: () => askHere(text) }, text)));
        if (chips.length) ui.log.append(note("hint", words.suggestions), element("ul", { class: "chips" }, ...chips));
      }
      for (const turn of turns) addTurn(turn);
      drawGo();
    }

    function addTurn(turn) {
      turn.view = element("section", { class: "turn" });
      ui.log.append(turn.view);
      draw(turn);
    }

    function draw(turn) {
      drawTurn(turn, words, actions);
      keepInView();
    }

    function keepInView() {
      const last = turns.at(-1)?.view;
      if (last && follow) ui.log.scrollTop += last.getBoundingClientRect().top - ui.log.getBoundingClientRect().top - 14;
    }

    function drawGo() {
      const name = asking ? words.stop : words.send;
      ui.go.classList.toggle("stop", Boolean(asking));
      ui.go.replaceChildren(icon(asking ? "stop" : "send"), name);
      ui.log.setAttribute("aria-busy", String(Boolean(asking)));
    }

    function fitBox() {
      ui.box.style.height = "auto";
      ui.box.style.height = `${ui.box.scrollHeight}px`;
    }

    async function ask(text) {
      const question = String(text ?? "").trim();
      if (!question) return null;
      stop();
      const before = [...turns];
      const turn = { question, waiting: true, text: "" };
      turns.push(turn);
      follow = true;
      if (turns.length === 1) drawLog();
      else addTurn(turn);
      emit("question", { question });
      return work(turn, before);
    }

    /** Asks by a button that is gone then; the box would call up a phone's keyboard. */
    function askHere(question) {
      ui.log.focus({ preventScroll: true });
      ask(question);
    }

    async function work(turn, before) {
      const controller = new AbortController();
      asking = { turn, controller };
      drawGo();
      remember();
      say(words.waiting);
      try {
        turn.record = await calls.ask(turn.question, before, controller.signal, (name, data) => onEvent(turn, name, data));
      } catch (error) {
        if (!controller.signal.aborted) fail(turn, error);
      }
      if (controller.signal.aborted) return null; // stop() has seen to it
      controller.abort();
      asking = null;
      turn.waiting = false;
      drawGo();
      draw(turn);
      report(turn);
      remember();
      return turn.record ?? null;
    }

    function onEvent(turn, name, data) {
      if (!turn.waiting) return;
      if (name === "delta") turn.text += string(data.text);
      else if (words === WORDS.zh) turn.stage = string(data.text);
      draw(turn);
    }

    function fail(turn, error) {
      const { code, message, retryAfter } = error instanceof Trouble
        ? error
        : { code: "network", message: turn.text ? words.broken : words.network };
      const waits = /^\d+$/.test(retryAfter) && !/\d/.test(message);
      turn.trouble = {
        code,
        message: message + (waits ? words.wait(retryAfter) : ""),
        mend: ["bad_request", "too_long"].includes(code),
      };
      if (turn.trouble.mend && !ui.box.value) {
        ui.box.value = turn.question;
        fitBox();
      }
    }

    function report(turn) {
      if (turn.record) {
        say(words.answer + turn.record.answer.replace(/\[\d+\]/g, ""));
        emit("answer", structuredClone(turn.record));
      } else {
        say(turn.trouble.message);
        emit("error", { question: turn.question, code: turn.trouble.code, message: turn.trouble.message });
      }
      if (!ui.panel.open) {
        ui.bubble.classList.add("unread");
        drawBubble();
      }
    }

    function say(text) {
      ui.status.textContent = text;
    }

    function stop() {
      if (!asking) return;
      const { turn, controller } = asking;
      asking = null;
      turn.waiting = false;
      controller.abort();
      drawGo();
      draw(turn);
      say(words.stopped);
      remember();
    }

    function reset() {
      stop();
      turns = [];
      drawLog();
      say(words.fresh);
      remember();
    }

    const actions = {
      again(turn) {
        turns = turns.filter((other) => other !== turn);
        turn.view.remove();
        if (ui.box.value.trim() === turn.question) ui.box.value = "";
        askHere(turn.question);
      },
      async rate(turn, rating, said) {
        try {
          await calls.rate(turn.record.id, rating);
          turn.rating = rating;
          said.textContent = words.thanks;
          remember();
          emit("feedback", { answer_id: turn.record.id, rating });
        } catch (error) {
          said.textContent = error instanceof Trouble ? error.message : words.network;
        }
      },
      async copy(turn, said) {
        const copied = await copyToClipboard(copyText(turn, words, actions.link), ui.panel);
        said.textContent = copied ? words.copied : words.failed;
      },
      link: calls.articleUrl,
      freshLink(anchor, link) {
        if (!calls.token) return;
        calls.token(false).then((token) => {
          anchor.href = link.replace("?", `?token=${encodeURIComponent(token)}&`);
        }, () => {});
      },
    };

    ui.bubble.addEventListener("click", () => (ui.panel.open ? close() : open()));
    ui.close.addEventListener("click", close);
    ui.fresh.addEventListener("click", () => {
      reset();
      ui.box.focus();
    });
    ui.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (asking) stopByHand();
      else send();
    });
    ui.box.addEventListener("input", fitBox);
    ui.box.addEventListener("keydown", (event) => {
      // Enter then chooses a Chinese word; it does not send.
      const composing = event.isComposing || event.keyCode === 229;
      if (event.key !== "Enter" || event.shiftKey || composing) return;
      event.preventDefault();
      if (!asking) send();
    });
    ui.root.addEventListener("keydown", (event) => {
      event.stopPropagation(); // not meant for the portal
      if (event.key !== "Escape" || event.isComposing || !ui.panel.open) return;
      event.preventDefault();
      close();
    });
    ui.panel.addEventListener("cancel", (event) => {
      event.preventDefault(); // a phone's back gesture
      close();
    });
    for (const type of ["wheel", "touchmove", "keydown"]) {
      ui.log.addEventListener(type, () => { follow = false; }, { passive: true });
    }
    full.addEventListener("change", () => {
      if (!ui.panel.open) return;
      const hadFocus = shadow.activeElement;
      hidePanel();
      showPanel(false);
      hadFocus?.focus({ preventScroll: true });
    });
    window.visualViewport?.addEventListener("resize", fitKeyboard);
    window.visualViewport?.addEventListener("scroll", fitKeyboard);

    function send() {
      const question = ui.box.value;
      if (!question.trim()) return;
      ui.box.value = "";
      fitBox();
      ask(question);
    }

    function stopByHand() {
      stop();
      ui.box.focus({ preventScroll: true });
    }

    const widget = {
      id,
      element: host,
      get isOpen() {
        return ui.panel.open;
      },
      open,
      close,
      ask(question) {
        open();
        return ask(question);
      },
      reset,
      on(name, handler) {
        if (!handlers.has(name)) handlers.set(name, new Set());
        handlers.get(name).add(handler);
        return widget;
      },
      off(name, handler) {
        handlers.get(name)?.delete(handler);
        return widget;
      },
    };

    function start() {
      document.body.append(host);
      const stored = load(key);
      turns = stored.turns;
      drawLog();
      drawBubble();
      if (stored.open ?? options.open) showPanel(false);
      emit("ready", { id });
    }

    return { widget, start };
  }

  // A tag manager may run this where the browser names no tag.
  const tag = document.currentScript ??
    [...document.scripts].find((script) => /\/widget\.js(?:$|[?#])/.test(script.src) && !script.dataset.wenju);
  const options = readOptions(tag);
  if (!options.endpoint) {
    console.error("问据挂件：data-endpoint 不是有效的 http(s) 地址，挂件没有启动。");
    return;
  }
  if (tag) tag.dataset.wenju = "";
  const registry = (window.Wenju ??= {
    widgets: [],
    get(id) {
      return this.widgets.find((widget) => widget.id === id) ?? null;
    },
  });
  const { widget, start } = createWidget(options, options.id || `wenju-${registry.widgets.length + 1}`);
  registry.widgets.push(widget);
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
