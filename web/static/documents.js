// The operator's documents page: asks the server for its state, shows it, and sends what is done.
// Every text of a document or a file is set as text, never as markup.
"use strict";

const library = document.getElementById("library");
const root = library.dataset.root;
const maxBytes = Number(library.dataset.maxBytes);
const maxFiles = Number(library.dataset.maxFiles);
const BUSY_MS = 700; // between two looks while something is built
const IDLE_MS = 4000;

const element = (id) => document.getElementById(id);
let revision = null;
let page = 1;
let listing = 0; // the last list that was asked for; older answers are dropped
let waiting = 0; // documents that no build has seen
let uploading = false;
let latest = null; // the last state
let announced = "";
let timer = 0;

// --- talking to the server ---------------------------------------------------------------------

async function api(path, body) {
  const options = body === undefined
    ? {}
    : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`${root}/documents/api/${path}`, options);
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401) toLogIn();
  if (!response.ok) throw new Error(answer.error?.message ?? "服务器没有正常应答，请稍后再试。");
  return answer;
}

function toLogIn() {
  uploading = false; // nothing to warn of any more
  window.location.assign(`${root}/documents/login`);
}

async function watch() {
  clearTimeout(timer);
  try {
    latest = await api("state");
    show(latest);
    if (latest.revision !== revision) {
      revision = latest.revision;
      await list();
    }
  } catch (error) {
    element("serving").textContent = error instanceof TypeError ? "连接不上服务器，正在重试……" : error.message;
  }
  timer = setTimeout(watch, isBusy() ? BUSY_MS : IDLE_MS);
}

function isBusy() {
  if (!latest) return false;
  const { build, serving } = latest;
  return build.phase === "running" || build.queued || isBeingPut(build, serving);
}

// Built, and not yet answering: a matter of seconds.
function isBeingPut(build, serving) {
  return build.phase === "finished" && build.version !== serving.version;
}

// --- what is served and built ------------------------------------------------------------------

function show({ build, serving }) {
  const line = element("serving");
  line.replaceChildren();
  if (serving.version) {
    const since = new Date(serving.since).toLocaleString("zh-CN", { dateStyle: "long", timeStyle: "short" });
    const version = document.createElement("strong");
    version.textContent = serving.version;
    line.append("版本 ", version, `，${since} 起应答；共 ${serving.documents} 篇、${serving.chunks} 段。`);
  } else {
    line.append("还没有索引，提问暂时得不到回答。上传文档后会自动建库。");
  }
  showBuild(build, serving);
  showActions();
}

function showBuild(build, serving) {
  const box = element("build");
  box.hidden = build.phase === "idle" && !build.queued;
  box.classList.toggle("failed", build.phase === "failed");
  const task = build.job === "rebuild" ? "全部重建" : "收录";
  const message = {
    idle: "",
    running: `${task}：${build.message}`,
    failed: `${task}没有完成：${build.message}`,
    finished: build.message,
  }[build.phase];
  element("build-message").textContent = message;
  const bar = element("build-progress");
  bar.hidden = build.phase !== "running";
  if (build.total) {
    bar.max = build.total;
    bar.value = build.done;
  } else {
    bar.removeAttribute("value");
  }
  const notes = [];
  if (build.phase === "running") notes.push("建库期间，提问照常由上面的版本回答。");
  if (build.queued) notes.push("后面还有一次建库在排队。");
  if (isBeingPut(build, serving)) notes.push("新索引已建好，正在换上……");
  element("build-note").textContent = notes.join("");
  element("build-note").hidden = !notes.length;
  // Not each number: a screen reader would never come to an end.
  const told = build.phase === "running" ? `${task}：${build.message.split("：")[0]}` : message;
  if (told && told !== announced && (announced || build.phase === "running")) say(told);
  announced = told || announced;
}

function showActions() {
  const build = latest?.build;
  const busy = !build || build.phase === "running" || build.queued;
  element("update").hidden = busy || uploading || !waiting;
  element("rebuild").disabled = !build || build.queued || (busy && build.job === "rebuild");
}

function say(text) {
  element("live").textContent = text;
}

// --- the list ----------------------------------------------------------------------------------

async function list() {
  const asked = ++listing;
  const query = new URLSearchParams({ q: element("filter").value, page });
  const found = await api(`documents?${query}`);
  if (asked !== listing) return;
  page = found.page;
  waiting = found.waiting;
  const focused = document.activeElement?.dataset.doc;
  element("rows").replaceChildren(...found.documents.map(row));
  if (focused !== undefined) refocus(focused);
  const filtered = found.matching !== found.total;
  element("count").textContent = filtered ? `${found.matching} / ${found.total} 篇` : `${found.total} 篇`;
  element("table").hidden = !found.documents.length;
  element("empty").hidden = found.documents.length > 0;
  element("empty").textContent = found.total ? "没有符合筛选的文档。" : "还没有文档。请在上面上传，或在服务器上运行 wenju build。";
  element("pager").hidden = found.pages < 2;
  element("page").textContent = `第 ${found.page} / ${found.pages} 页`;
  element("previous").disabled = found.page <= 1;
  element("next").disabled = found.page >= found.pages;
  showActions();
}

function refocus(doc) {
  const button = [...element("rows").querySelectorAll("button")].find((one) => one.dataset.doc === doc);
  (button ?? element("filter")).focus();
}

function row(item) {
  const line = document.createElement("tr");
  line.setAttribute("role", "row");
  line.append(
    nameCell(item),
    cell(item.date, "日期"),
    cell(item.chunks ? item.chars.toLocaleString("zh-CN") : "", "字数", "number"),
    cell(item.chunks ? item.chunks.toLocaleString("zh-CN") : "", "段数", "number"),
    cell(item.uploaded ? "上传" : item.folder, "来源"),
    statusCell(item),
    actionCell(item),
  );
  return line;
}

function nameCell(item) {
  const head = document.createElement("th");
  head.scope = "row";
  head.setAttribute("role", "rowheader");
  const title = document.createElement(item.article ? "a" : "span");
  title.className = "doc-title";
  title.textContent = item.title || item.doc;
  if (item.article) title.href = item.article;
  head.append(title);
  if (item.title) head.append(span("doc-name", item.doc));
  for (const warning of item.warnings) head.append(span("warning", warning));
  return head;
}

function cell(text, label, kind = "") {
  const made = document.createElement("td");
  made.setAttribute("role", "cell");
  made.className = kind;
  made.textContent = text;
  if (text) made.dataset.label = label;
  return made;
}

function statusCell(item) {
  const made = cell("", "状态");
  made.append(span(`badge ${item.status}`, item.status_text));
  if (item.reason) made.append(span("reason", item.reason));
  return made;
}

function actionCell(item) {
  const made = cell("", "");
  if (item.status === "leaving") return made;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "移除";
  button.dataset.doc = item.doc;
  button.setAttribute("aria-label", `移除 ${item.title || item.doc}`);
  button.addEventListener("click", () => remove(item));
  made.append(button);
  return made;
}

function span(kind, text) {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = text;
  return made;
}

async function remove(item) {
  if (!item.uploaded) {
    const text = `《${item.doc}》来自服务器上的文件夹 ${item.folder}。请在那里删除文件，再运行 wenju build ${item.folder}。`;
    await ask("不能在这里移除", text, [], "知道了");
    return;
  }
  const text = "文件会被删除，建库后不再用来回答。删除后不能恢复。";
  if (!(await ask("移除这篇文档？", text, [item.doc], "移除"))) return;
  await attempt("没有移除", async () => {
    await api("remove", { docs: [item.doc] });
    say(`已移除 ${item.doc}，正在更新索引。`);
  });
}

async function attempt(title, work) {
  try {
    await work();
  } catch (error) {
    await ask(title, error.message, [], "知道了");
  }
  await watch();
}

// --- the dialog --------------------------------------------------------------------------------

// Whether "yes" was chosen; Esc and 取消 are "no". Focus goes back where it came from by itself, unless
// the list was drawn anew meanwhile and that button is another one now.
function ask(title, text, names, yes) {
  const dialog = element("dialog");
  const opener = document.activeElement?.dataset.doc;
  const onlyToRead = yes === "知道了";
  element("dialog-title").textContent = title;
  element("dialog-text").textContent = text;
  element("dialog-names").replaceChildren(...names.map((name) => {
    const line = document.createElement("li");
    line.textContent = name;
    return line;
  }));
  element("dialog-names").hidden = !names.length;
  element("dialog-yes").textContent = yes;
  element("dialog-no").hidden = onlyToRead;
  dialog.returnValue = "";
  dialog.showModal();
  (onlyToRead ? element("dialog-yes") : element("dialog-no")).focus();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      if (opener !== undefined && document.activeElement === document.body) refocus(opener);
      done(dialog.returnValue === "yes");
    }, { once: true });
  });
}

element("dialog-yes").addEventListener("click", () => element("dialog").close("yes"));
element("dialog-no").addEventListener("click", () => element("dialog").close("no"));

// --- uploads -----------------------------------------------------------------------------------

async function upload(files) {
  if (uploading || !files.length) return;
  if (files.length > maxFiles) {
    await ask("文件太多", `一次最多上传 ${maxFiles} 个文件，这次选了 ${files.length} 个。请分几次上传。`, [], "知道了");
    return;
  }
  uploading = true;
  showActions();
  let kept = 0;
  try {
    const lines = files.map(uploadLine);
    element("uploads").replaceChildren(...lines.map((line) => line.item));
    kept = await send(await wanted(lines));
    say(`上传结束：${kept} 个文件已收下，共 ${files.length} 个。`);
  } catch (error) {
    await ask("没有上传", error.message, [], "知道了");
  } finally {
    uploading = false;
  }
  if (kept) await attempt("没有开始建库", () => api("update", {}));
}

function uploadLine(file) {
  const item = document.createElement("li");
  const state = span("upload-state", "等待上传");
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `上传进度 ${file.name}`);
  item.append(span("upload-name", file.name), state, bar);
  const end = (text, failed) => {
    state.textContent = text;
    item.classList.toggle("failed", failed);
    bar.remove();
  };
  return { file, item, state, bar, end };
}

// Those to be sent: what cannot be taken is told before anything is sent.
async function wanted(lines) {
  const small = lines.filter(({ file, end }) => {
    if (file.size > maxBytes) end(`没有上传：超过 ${megabytes()}`, true);
    return file.size <= maxBytes;
  });
  const { files } = await api("names", { names: small.map(({ file }) => file.name) });
  const fitting = small.filter((line, i) => {
    if (files[i].problem) line.end(`没有上传：${files[i].problem}`, true);
    line.exists = files[i].exists;
    return !files[i].problem;
  });
  const known = fitting.filter((line) => line.exists);
  const names = known.map(({ file }) => file.name);
  if (!known.length || (await ask("替换同名文档？", "已有同名文档，上传后会替换成新的内容：", names, "替换"))) return fitting;
  for (const line of known) line.end("没有上传：已有同名文档", true);
  return fitting.filter((line) => !line.exists);
}

async function send(lines) {
  let kept = 0;
  for (const line of lines) {
    line.state.textContent = "正在上传";
    try {
      await sendOne(line);
      line.end("已收下", false);
      kept += 1;
    } catch (error) {
      line.end(`没有上传：${error.message}`, true);
    }
  }
  return kept;
}

// XMLHttpRequest, since fetch does not tell how much has been sent.
function sendOne({ file, state, bar, exists }) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const query = new URLSearchParams({ name: file.name, replace: exists ? "1" : "0" });
    request.open("POST", `${root}/documents/api/upload?${query}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.value = total ? loaded / total : 0;
      state.textContent = `正在上传 ${Math.floor(bar.value * 100)}%`;
    });
    request.addEventListener("load", () => {
      if (request.status === 201) done();
      else fail(new Error(request.response?.error?.message ?? "服务器没有收下，请稍后再试。"));
      if (request.status === 401) toLogIn();
    });
    request.addEventListener("error", () => fail(new Error("连接中断，请检查网络后再传。")));
    request.send(file);
  });
}

function megabytes() {
  return `${Number((maxBytes / 1024 / 1024).toPrecision(3))} MB`;
}

// --- controls ----------------------------------------------------------------------------------

element("max-size").textContent = megabytes();

element("files").addEventListener("change", async ({ target }) => {
  const files = [...target.files];
  target.value = ""; // the same file may be chosen again
  await upload(files);
});

const drop = element("drop");
// Anywhere on the page: a file dropped beside the field must not open in place of the page.
for (const name of ["dragenter", "dragover"]) {
  window.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
window.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  upload([...event.dataTransfer.files]);
});

let typing = 0;
element("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => turnTo(1), 200);
});
element("previous").addEventListener("click", () => turnTo(page - 1));
element("next").addEventListener("click", () => turnTo(page + 1));

async function turnTo(wanted) {
  page = wanted;
  await list().catch((error) => say(error.message));
}

element("update").addEventListener("click", () => attempt("没有开始建库", () => api("update", {})));

element("rebuild").addEventListener("click", async () => {
  const text = "重新读取已收录的全部文档，从头建一个新索引。文档多时要几分钟；期间提问照常由现在的版本回答。服务器文件夹里新放的文件不会收录，请在终端用 wenju build。";
  if (await ask("全部重建？", text, [], "重建")) await attempt("没有开始重建", () => api("rebuild", {}));
});

window.addEventListener("beforeunload", (event) => {
  if (uploading) event.preventDefault();
});

watch();
