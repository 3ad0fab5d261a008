// Inside the chat page's dialog: the dialog has the controls, and Esc closes it from here too.
if (window.self !== window.top) {
  document.documentElement.classList.add("framed");
  window.addEventListener("keydown", (event) => {
    if (event.key === "Escape") window.parent.postMessage("wj-close", window.location.origin);
  });
}
