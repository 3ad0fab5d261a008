
"use strict";
// The table of questions. Everything from the data becomes a text node, never markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("filters");
  const body = document.querySelector("#rows tbody");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const PAGE = 50;
  const FILTERS = ["right", "cause", "type", "doc", "change"];
  const sorting = { key: "place", down: false };
  let found = [];
  let shown = 0;

  const fold = (text) => text.normalize("NFKC").toLowerCase();

  data.rows.forEach((row, place) => {
    row.place = place;
    const ranks = (row.ranks ?? []).map((rank) => rank ?? Infinity);
    row.rank = ranks.length ? Math.min(...ranks) : NaN;
    const gold = [...(row.golds ?? []), ...(row.items ?? []), ...(row.keypoints ?? [])];
    const turns = (row.history ?? []).map(([, content]) => content);
    row.text = fold(
      [row.id, row.question, row.answer, row.short ?? "", ...gold.map(([text]) => text), ...turns].join("\n"),
    );
  });

  function element(tag, name, ...children) {
    const node = document.createElement(tag);
    if (name) node.className = name;
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  const percent = (value) => `${(100 * value).toFixed(1)}%`;
  const docName = (place) => data.docs[place][1] ?? data.docs[place][0];
  const causeName = (row) => (row.cause ? data.causes[row.cause][0] : "");

  function rankText(rank) {
    if (Number.isNaN(rank)) return "–";
    return rank === Infinity ? "未检索到" : String(rank);
  }

  // Filters

  function fill(name, options) {
    const select = form.elements[name];
    if (!select) return;
    for (const [value, label] of options) {
      const option = element("option", "", label);
      option.value = value;
      select.append(option);
    }
  }

  function counted(values, label) {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    return [...counts].map(([value, number]) => [value, `${label(value)}（${number}）`]);
  }

  const listed = (key) => data.rows.map((row) => row[key]).filter((value) => value !== undefined);
  fill("cause", counted(listed("cause"), (cause) => data.causes[cause][0]));
  fill("type", counted(listed("type"), (kind) => data.types[kind]));
  fill("change", counted(listed("change"), (change) => data.changes[change]));
  fill("doc", counted(listed("docs").flat(), docName));

  function passes(row, wanted, words) {
    return (
      (!wanted.right || row.right === (wanted.right === "right")) &&
      (!wanted.cause || row.cause === wanted.cause) &&
      (!wanted.type || row.type === wanted.type) &&
      (!wanted.doc || (row.docs ?? []).includes(Number(wanted.doc))) &&
      (!wanted.change || row.change === wanted.change) &&
      words.every((word) => row.text.includes(word))
    );
  }

  const KEYS = {
    right: (row) => Number(row.right),
    type: (row) => data.types[row.type],
    cause: (row) => causeName(row) || "\uffff",
    rank: (row) => (Number.isNaN(row.rank) ? Number.MAX_VALUE : Math.min(row.rank, 1e9)),
  };

  function compare(one, other) {
    const key = KEYS[sorting.key] ?? ((row) => row[sorting.key]);
    const [a, b] = [key(one), key(other)];
    const order = typeof a === "string" ? a.localeCompare(b, "zh") : a - b;
    return (sorting.down ? -order : order) || one.place - other.place;
  }

  function apply() {
    const wanted = {};
    for (const name of FILTERS) wanted[name] = form.elements[name]?.value ?? "";
    const words = fold(form.elements.text.value).split(/\s+/).filter(Boolean);
    found = data.rows.filter((row) => passes(row, wanted, words)).sort(compare);
    body.replaceChildren();
    shown = 0;
    showMore();
    const right = found.filter((row) => row.right).length;
    count.textContent = found.length
      ? `${found.length} 题，答对 ${right} 题，答错 ${found.length - right} 题。`
      : "没有符合条件的题。";
  }

  function showMore() {
    body.append(...found.slice(shown, shown + PAGE).map(rowOf));
    shown = Math.min(found.length, shown + PAGE);
    more.hidden = shown === found.length;
    more.textContent = `再显示 ${Math.min(PAGE, found.length - shown)} 题（还有 ${found.length - shown} 题）`;
  }

  // One row

  function cell(name, label, ...children) {
    const node = element("td", name, ...children);
    if (label) node.dataset.label = label;
    return node;
  }

  function badge(row) {
    const text = row.right ? "对" : "错";
    return element("span", `badge ${row.right ? "good" : "bad"}`, text);
  }

  function rowOf(row) {
    const toggle = element("button", "toggle", row.question, " ", element("span", "id", row.id));
    toggle.type = "button";
    toggle.setAttribute("aria-expanded", "false");
    const change = row.change
      ? element("span", `badge ${{ newly_right: "good", newly_wrong: "bad" }[row.change] ?? "flat"}`, data.changes[row.change])
      : null;
    const line = element(
      "tr",
      "row",
      cell("", "", badge(row)),
      cell("", "", toggle, change),
      cell("kind", "", data.types[row.type]),
      cell("kind", "", causeName(row)),
      cell("num", "证据名次", rankText(row.rank)),
      cell("num", "把握", percent(row.confidence)),
      cell("num", "毫秒", String(row.milliseconds)),
    );
    line.dataset.place = row.place;
    line.addEventListener("click", () => {
      if (String(window.getSelection())) return; // someone is copying
      toggleDetail(line, toggle, row);
    });
    return line;
  }

  function toggleDetail(line, toggle, row) {
    const open = toggle.getAttribute("aria-expanded") === "true";
    toggle.setAttribute("aria-expanded", String(!open));
    line.classList.toggle("open", !open);
    if (open) line.nextElementSibling.remove();
    else line.after(detailOf(row));
  }

  // What a row opens to

  function detailOf(row) {
    const box = element("td", "");
    box.colSpan = 7;
    box.append(...[wrong(row), element("div", "columns", asked(row), replied(row)), cited(row), sources(row), retrieved(row), before(row)].filter(Boolean));
    return element("tr", "detail", box);
  }

  const heading = (text) => element("h3", "", text);
  const paragraph = (text, name = "") => element("p", name, text);

  function wrong(row) {
    if (!row.cause) return null;
    const [label, help] = data.causes[row.cause];
    return element("p", "wrong-here", element("strong", "", label), `：${help}`);
  }

  function asked(row) {
    const part = element("div", "", heading("提问"));
    for (const [role, content] of row.history ?? []) {
      part.append(paragraph(`${role === "user" ? "问" : "答"}：${content}`, "turn"));
    }
    part.append(paragraph(row.question));
    if (row.standalone) part.append(paragraph(`理解为：${row.standalone}`, "note"));
    part.append(heading("标准答案"));
    if (!row.answerable) {
      const level = row.difficulty ? `（${data.difficulties[row.difficulty] ?? row.difficulty}）` : "";
      part.append(paragraph(`文中没有答案，应当拒答${level}`));
    }
    part.append(...pieces("", row.golds, "任一"), ...pieces("列举的各项", row.items), ...pieces("要点", row.keypoints));
    return part;
  }

  function pieces(title, wanted, any) {
    if (!wanted) return [];
    const hits = wanted.filter(([, hit]) => hit).length;
    const list = element("ul", "plain");
    for (const [text, hit] of wanted) {
      const name = hit ? "hit" : any && hits ? "" : "miss";
      list.append(element("li", name, text));
    }
    return title ? [heading(`${title}（回答里有 ${hits}/${wanted.length}）`), list] : [list];
  }

  function replied(row) {
    const part = element("div", "", heading(row.refused ? "拒答" : "回答"), paragraph(row.answer));
    if (row.reason) part.append(paragraph(`理由：${data.reasons[row.reason] ?? row.reason}`, "note"));
    if (row.short) part.append(heading("简短答案"), paragraph(row.short));
    if (!row.concise) part.append(paragraph("回答太长，不算答对。", "note"));
    part.append(heading("把握"), paragraph(percent(row.confidence)));
    return part;
  }

  function cited(row) {
    if (!row.citations) return null;
    const part = element("div", "", heading("引用"));
    row.citations.forEach(([doc, date, quote, start, end, onEvidence, verbatim], i) => {
      const where = [docName(doc), date, `原文第 ${start}–${end} 字`].filter(Boolean).join("，");
      part.append(
        element("blockquote", "", element("span", "number", `[${i + 1}]`), ` ${quote}`),
        element(
          "p",
          "note",
          `${where} `,
          element("span", `badge ${onEvidence ? "good" : "bad"}`, onEvidence ? "在证据上" : "不在证据上"),
          " ",
          element("span", `badge ${verbatim ? "good" : "bad"}`, verbatim ? "与原文逐字一致" : "与原文不一致"),
        ),
      );
    });
    return part;
  }

  function sources(row) {
    if (!row.sources && !row.missing) return null;
    const part = element("div", "", heading("原文段落"));
    part.append(
      element(
        "p",
        "legend",
        element("span", "evidence", "底色：证据"),
        element("span", "cited", "下划线：引用"),
        element("span", "evidence cited", "两者重合"),
      ),
    );
    const boxes = new Map(); // one for each document
    for (const [doc, text, before, after, marks] of row.sources ?? []) {
      if (!boxes.has(doc)) boxes.set(doc, element("div", "source", element("span", "id", docName(doc))));
      const run = [before ? "……" : "", ...marked(data.texts[text], marks), after ? "……" : ""];
      boxes.get(doc).append(element("p", "", ...run));
    }
    part.append(...boxes.values());
    for (const [doc, text] of row.missing ?? []) {
      part.append(paragraph(`没能在“${docName(doc)}”里找到这条证据：${text}`, "warning"));
    }
    return part;
  }

  // Marks count code points, strings UTF-16 units; hence the array.
  function marked(text, marks) {
    const characters = Array.from(text);
    const edges = [...new Set([0, characters.length, ...marks.flatMap(([start, end]) => [start, end])])];
    edges.sort((one, other) => one - other);
    const nodes = [];
    for (let i = 0; i + 1 < edges.length; i += 1) {
      const [start, end] = [edges[i], edges[i + 1]];
      const over = marks.filter((mark) => mark[0] <= start && end <= mark[1]);
      const names = [
        over.some((mark) => mark[3]) ? "evidence" : "",
        over.some((mark) => mark[2]) ? "cited" : "",
      ].filter(Boolean);
      const run = characters.slice(start, end).join("");
      nodes.push(names.length ? element("mark", names.join(" "), run) : run);
      for (const [, stop, number] of marks) {
        if (number && stop === end) nodes.push(element("span", "number", `[${number}]`));
      }
    }
    return nodes;
  }

  function retrieved(row) {
    const part = element("div", "", heading("检索"));
    const on = (row.relevant ?? []).join("、");
    part.append(
      paragraph(
        row.retrieved
          ? `检索到 ${row.retrieved} 段，${on ? `其中第 ${on} 段在证据上` : "没有一段在证据上"}。`
          : "没有检索。",
      ),
    );
    (row.ranks ?? []).forEach((rank, i) => {
      if (row.ranks.length > 1) part.append(paragraph(`证据 ${i + 1}：${rank ? `第 ${rank} 名` : "未检索到"}`, "note"));
    });
    return part;
  }

  function before(row) {
    if (!row.before) return null;
    const [answer, short] = row.before;
    const part = element("div", "", heading("上一次的回答"), paragraph(answer));
    if (short) part.append(paragraph(`简短答案：${short}`, "note"));
    return part;
  }

  // Controls

  // Not form.reset(): its event would draw the table anew a moment later.
  function clear() {
    for (const name of ["text", ...FILTERS]) if (form.elements[name]) form.elements[name].value = "";
  }

  function filterBy(field, value) {
    clear();
    form.elements[field].value = value;
    apply();
    goTo(document.getElementById("questions"));
  }

  function goTo(node) {
    node.scrollIntoView({ block: "start" });
    node.focus({ preventScroll: true });
  }

  function openRow(place) {
    clear();
    sorting.key = "place";
    sorting.down = false;
    showSorting();
    apply();
    while (shown <= place) showMore();
    const toggle = body.querySelector(`tr[data-place="${place}"] .toggle`);
    if (toggle.getAttribute("aria-expanded") === "false") toggle.click();
    goTo(toggle);
  }

  function showSorting() {
    for (const button of document.querySelectorAll("[data-sort]")) {
      const head = button.parentElement;
      if (button.dataset.sort !== sorting.key) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { field, value, open, sort } = button.dataset;
    if (field) filterBy(field, value);
    else if (open) openRow(Number(open));
    else if (sort) {
      sorting.down = sorting.key === sort && !sorting.down;
      sorting.key = sort;
      showSorting();
      apply();
    }
  });

  document.getElementById("all-documents")?.addEventListener("click", (event) => {
    for (const row of document.querySelectorAll("#documents tr[hidden]")) row.hidden = false;
    event.target.remove();
  });

  let waiting;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  more.addEventListener("click", showMore);
  apply();
})();
