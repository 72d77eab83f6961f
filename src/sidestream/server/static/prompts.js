// The styles that are one press away, and the prompts of one's own that the server took lately.

export const PRESETS = [
  ["Oil painting", "oil", "turn this into an oil painting"],
  ["Watercolor", "watercolor", "turn this into a watercolor painting"],
  ["Pencil sketch", "pencil", "turn this into a pencil sketch"],
  ["Anime", "anime", "make it look like anime"],
  ["3D render", "render", "turn this into a 3D render"],
  ["Night", "night", "turn day into night"],
  ["Sunset", "sunset", "make it golden hour"],
  ["Black & white", "mono", "make it black and white"],
  ["Warmer", "warm", "warmer colors"],
  ["Colder", "cold", "make it cold"],
  ["Inverted", "invert", "invert the colors"],
  ["As it is", "none", "keep this as it is"],
];
const REMEMBERED = 5;

const $ = (id) => document.getElementById(id);

/** Fills both lists; `ask` is told the prompt that was pressed. */
export function list(ask) {
  for (const [label, look, prompt] of PRESETS) {
    const entry = item(label, () => ask(prompt));
    entry.firstChild.className = `look-${look}`;
    entry.firstChild.dataset.prompt = prompt;
    $("presets").append(entry);
  }
  showHistory(ask);
  showPressed($("prompt").value);
}

export function showPressed(prompt) {
  for (const button of $("presets").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.prompt === prompt));
  }
}

function remembered() {
  try { return JSON.parse(localStorage.getItem("prompts")) ?? []; } catch { return []; }
}

export function remember(prompt, ask) {
  const own = PRESETS.every(([, , text]) => text !== prompt);
  if (own) localStorage.setItem("prompts", JSON.stringify([prompt, ...remembered().filter((one) => one !== prompt)].slice(0, REMEMBERED)));
  showHistory(ask);
}

function showHistory(ask) {
  const prompts = remembered();
  $("lately").hidden = !prompts.length;
  $("history").replaceChildren(...prompts.map((prompt) => item(prompt, () => ask(prompt))));
}

function item(text, act) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick: act });
  const entry = document.createElement("li");
  entry.append(button);
  return entry;
}
