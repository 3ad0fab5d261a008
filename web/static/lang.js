// Gradio chooses its language from navigator.language alone and knows "zh-CN"; this page is Chinese
// for everyone, whatever the browser is set to.
for (const [name, value] of [["language", "zh-CN"], ["languages", ["zh-CN", "zh"]]]) {
  Object.defineProperty(Navigator.prototype, name, { get: () => value, configurable: true });
}
