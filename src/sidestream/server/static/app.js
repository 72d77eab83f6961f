// The page: what is pressed, what is shown, and what is said when something does not work.

import { Api, Link } from "./link.js";
import { PRESETS, list, remember, showPressed } from "./prompts.js";
import { Source, inWords } from "./source.js";
import { notice, say, statistics } from "./status.js";
import { View } from "./view.js";

const SLIDERS = ["strength", "stability", "steps"];

const $ = (id) => document.getElementById(id);
const api = new Api();
const source = new Source(512);
const view = new View($("view"), source);
let link = null;
let condition = null;
let linkState = "idle";
let awaited = null;
let asked = null; // The prompt that the server has not answered yet.
let accepted = null; // The prompt that it took last: what comes back when one is refused or a connection is lost.
let telling = null;
let wakeLock = null;

// What is shown -------------------------------------------------------------------------------------------------

function setPhase(phase) {
  document.body.dataset.phase = phase;
}

function showControls(controls) {
  const active = document.activeElement;
  if (active !== $("prompt") && controls.prompt) $("prompt").value = inOne(controls.prompt);
  for (const name of [...SLIDERS, "seed"]) if (active !== $(name)) $(name).value = controls[name];
  sliders();
  showPressed(inOne(controls.prompt));
}

function inOne(prompt) {
  return typeof prompt === "string" ? prompt : prompt.map((one) => one.text).join(" + ");
}

/** Over the picture for a moment, whatever else there would be to say. */
function tell(words) {
  clearTimeout(telling);
  notice(words);
  telling = setTimeout(() => {
    telling = null;
    notice("");
  }, 6000);
}

const IN_WORDS = {
  fade: (value) => (Number(value) ? `${value} s` : "at once"),
  steps: (value) => value,
};

function sliders() {
  for (const name of [...SLIDERS, "fade"]) {
    const { value, min, max } = $(name);
    const words = IN_WORDS[name]?.(value) ?? `${Math.round(value * 100)} %`;
    document.querySelector(`output[for="${name}"]`).textContent = words;
    $(name).style.setProperty("--fill", `${((value - min) / (max - min)) * 100}%`);
  }
}

// The connection ------------------------------------------------------------------------------------------------

let modelName = "";

async function connect() {
  try {
    const settings = await api.call("GET", "/config");
    modelName = settings.model;
    source.side = settings.side;
    $("prompt").maxLength = settings.prompt_characters;
    $("steps").max = settings.max_steps;
    sliders();
    link?.stop();
    link = new Link(api, settings.ice_servers);
    link.addEventListener("state", ({ detail }) => onState(detail));
    link.addEventListener("track", ({ detail }) => view.show(detail.stream));
    link.addEventListener("sound", ({ detail }) => view.hear(detail.stream));
    link.addEventListener("message", ({ detail }) => onMessage(detail));
    link.start(api.session ? null : source.stream(), wanted, $("sound").checked);
  } catch (error) {
    if (error.status === 401) return login();
    onState({ name: "lost" });
    notice("The server does not answer. Trying again.");
    setTimeout(() => (source.kind || api.session) && linkState === "lost" && connect(), 2000);
  }
}

function wanted() {
  if (accepted === null) asked = $("prompt").value.trim() || PRESETS[1][2];
  return {
    prompt: asked ?? accepted,
    strength: Number($("strength").value),
    stability: Number($("stability").value),
    steps: Number($("steps").value),
    seed: Math.min(Math.max(Math.round(Number($("seed").value)) || 0, 0), 2147483647),
  };
}

function onState({ name, place, message }) {
  linkState = name;
  clearTimeout(telling);
  telling = null;
  const told = {
    connecting: ["busy", "Connecting", ""],
    reconnecting: ["busy", "Reconnecting", "The connection was lost. Trying again."],
    lost: ["busy", "Connection lost", message ? `${message} Trying again.` : "The connection was lost. Trying again."],
    full: ["busy", place ? `Number ${place} in the queue` : "Full", place
      ? `Everybody's place is taken. You are number ${place} in the queue; stay on this page and it begins by itself.`
      : message],
    live: ["busy", "Waiting", ""],
    refused: ["", "Not connected", message],
  };
  if (name !== "live") {
    condition = null;
    view.restyled = false;
    view.draw();
  }
  if (name === "login") return login();
  const [state, text, words] = told[name];
  say(state, text);
  if (name === "refused") notice(words, "Try again", connect);
  else notice(words);
  if (name === "live") setPhase("live");
}

function onMessage(message) {
  if (message.type === "controls") {
    if (awaited !== null) awaited = Math.max(awaited, message.controls.revision);
    accept(message.controls.prompt);
    showControls(message.controls);
  } else if (message.type === "shown" && awaited !== null && message.revision >= awaited) {
    awaited = null;
    document.querySelector(".field").classList.remove("pending");
  } else if (message.type === "refused") refused(message.message);
  else if (message.type === "draining") notice(`${message.reason} The picture comes back by itself.`);
  else if (message.type === "condition") {
    if (condition?.state !== message.state) view.latencies.length = 0; // Waiting for a model says nothing of its speed.
    condition = message;
    const quiet = ["ok", "degraded"].includes(message.state);
    if (linkState === "live" && telling === null) notice(quiet ? "" : message.reason);
  }
}

function accept(prompt) {
  accepted = prompt;
  if (asked === null || inOne(prompt) !== asked.normalize("NFC").split(/\s+/).join(" ")) return;
  remember(asked, ask);
  asked = null;
}

/** What was asked for does not hold; what held before still does, and is shown again. */
function refused(why) {
  document.querySelector(".field").classList.remove("pending");
  asked = awaited = null;
  tell(why);
  if (accepted === null) return;
  $("prompt").value = inOne(accepted);
  showPressed(inOne(accepted));
}

function login() {
  $("login").showModal();
  $("login").onclose = () => {
    api.token = $("token").value.trim();
    $("token").value = "";
    connect();
  };
}

// The source ----------------------------------------------------------------------------------------------------

async function use(kind, options = {}) {
  if (kind === "file" && !options.file) return $("file").click();
  const sound = $("sound").checked;
  try {
    await source.open(kind, { device: $("device").value, sound, ...options });
  } catch (error) {
    if (sound && kind === "camera") return useSilently(options);
    return notice(inWords(error, kind), "Try again", () => use(kind, options));
  }
  notice("");
  setPhase("live");
  stayAwake();
  if (kind === "camera") await listDevices();
  $("mirror").disabled = kind !== "camera";
  if (!link || !["live", "connecting", "full", "reconnecting"].includes(linkState)) await connect();
}

/** A microphone that is refused or absent should not keep the camera from being used. */
async function useSilently(options) {
  $("sound").checked = false;
  await use("camera", options);
  if (source.kind) notice("There is no sound: the browser gave this page no microphone.");
}

async function listDevices() {
  const chosen = source.video.srcObject?.getVideoTracks()[0]?.getSettings().deviceId;
  const devices = await source.devices();
  $("device").replaceChildren(...devices.map((one, n) => new Option(one.label || `Camera ${n + 1}`, one.deviceId)));
  if (chosen) $("device").value = chosen;
}

function stop() {
  view.stopRecording();
  link?.stop();
  link = null;
  linkState = "idle";
  asked = accepted = null;
  source.stop();
  view.restyled = false;
  condition = null;
  notice("");
  say("", "Ready");
  setPhase("start");
  wakeLock?.release();
  wakeLock = null;
}

async function stayAwake() {
  wakeLock = await navigator.wakeLock?.request("screen").catch(() => null);
}

// What is asked for ---------------------------------------------------------------------------------------------

function change(values) {
  if (values.prompt) {
    awaited = 0;
    document.querySelector(".field").classList.toggle("pending", linkState === "live");
  }
  link?.change(values).catch((error) => (error.status === 422 ? refused(error.message) : notice(error.message)));
}

function ask(prompt) {
  $("prompt").value = asked = prompt;
  showPressed(prompt);
  if (linkState === "refused") connect();
  else change({ prompt, fade: Number($("fade").value) });
}

// Wiring --------------------------------------------------------------------------------------------------------

list(ask);
sliders();

$("useCamera").onclick = () => use("camera");
$("useScreen").onclick = () => use("screen");
$("useFile").onclick = () => use("file");
for (const button of document.querySelectorAll("[data-source]")) button.onclick = () => use(button.dataset.source);
$("file").onchange = () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) use("file", { file });
};
$("device").onchange = () => use("camera");
$("mirror").onchange = () => (source.mirror = $("mirror").checked);
$("sound").onchange = async () => {
  if (!source.kind && !link) return;
  link?.stop();
  linkState = "idle";
  if (source.kind) await use(source.kind, { file: source.file });
  else await connect();
};
source.onframe = () => view.live || view.draw();
source.onended = (kind) => {
  stop();
  notice(kind === "screen" ? "The screen is not shared any more." : "The camera went away. Connect it, or choose another source.");
};

$("ask").onsubmit = (event) => {
  event.preventDefault();
  const prompt = $("prompt").value.trim();
  if (prompt) ask(prompt);
  else tell("The prompt is empty: say how the picture should look.");
};
$("prompt").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
};
$("prompt").oninput = () => {
  const left = $("prompt").maxLength - $("prompt").value.length;
  $("promptHint").textContent = left < 60 ? `${left} characters left` : "Enter to restyle";
};
for (const name of SLIDERS) {
  $(name).oninput = () => {
    sliders();
    change({ [name]: Number($(name).value) });
  };
}
$("fade").oninput = sliders;
$("seed").onchange = () => change({ seed: wanted().seed });
$("dice").onclick = () => {
  $("seed").value = Math.floor(Math.random() * 1e6);
  change({ seed: wanted().seed });
};

function compare(how) {
  document.querySelector(`[name="compare"][value="${how}"]`).checked = true;
  view.compare = how;
  source.keep = how !== "result";
  $("frame").classList.toggle("wiping", how === "wipe");
  $("wipe").hidden = how !== "wipe";
  $("sides").hidden = how !== "beside";
  view.draw();
}
$("compare").onchange = ({ target }) => compare(target.value);
$("wipe").oninput = () => {
  view.wipe = $("wipe").value / 100;
  view.draw();
};
$("frame").onpointermove = $("frame").onpointerdown = (event) => {
  if (view.compare !== "wipe" || event.target === $("wipe") || (event.type === "pointermove" && !event.buttons)) return;
  const box = $("view").getBoundingClientRect();
  const ratio = $("view").width / $("view").height;
  const width = Math.min(box.width, box.height * ratio);
  view.wipe = Math.min(Math.max((event.clientX - box.left - (box.width - width) / 2) / width, 0), 1);
  $("wipe").value = view.wipe * 100;
  view.draw();
};

$("snapshot").onclick = () => view.snapshot();
$("record").onclick = () => (view.recording ? view.stopRecording() : startRecording());
function startRecording() {
  const began = performance.now();
  const tick = setInterval(() => {
    const seconds = Math.floor((performance.now() - began) / 1000);
    $("recordingTime").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }, 250);
  const shown = (on) => {
    $("record").setAttribute("aria-pressed", String(on));
    $("record").querySelector("span").textContent = on ? "Recording" : "Record";
    $("recordingMark").hidden = !on;
  };
  shown(true);
  view.record(() => {
    clearInterval(tick);
    shown(false);
  });
}
$("fullscreen").onclick = () => (document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen?.());
$("stop").onclick = stop;
$("share").onclick = async () => {
  if (!link?.session) return;
  const token = api.token ? `&token=${encodeURIComponent(api.token)}` : "";
  const address = `${location.origin}/#session=${link.session}${token}`;
  try {
    await navigator.clipboard.writeText(address);
  } catch { // There is none but on pages by HTTPS or of this machine, and it may be refused.
    window.prompt("The link for a second screen:", address);
    return;
  }
  $("share").textContent = "Copied";
  setTimeout(() => ($("share").textContent = "Copy a link for a second screen"), 2000);
};

document.onkeydown = (event) => {
  if (event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  const order = ["result", "wipe", "beside"];
  const keys = {
    "/": () => $("prompt").focus(),
    c: () => compare(order[(order.indexOf(view.compare) + 1) % 3]),
    s: () => view.snapshot(),
    r: () => $("record").click(),
    f: () => $("fullscreen").click(),
  };
  const preset = PRESETS[Number(event.key) - 1];
  const act = keys[event.key.toLowerCase()] ?? (preset && (() => ask(preset[2])));
  if (act) {
    event.preventDefault();
    act();
  }
};
document.onvisibilitychange = () => document.visibilityState === "visible" && source.kind && stayAwake();
addEventListener("pagehide", () => link?.stop());
setInterval(() => linkState === "live" && statistics(view, condition, modelName), 500);
if (api.session) {
  setPhase("live");
  connect();
}
Object.assign(globalThis, { sidestream: { view, source, get link() { return link; } } }); // For the console, and for tests.
