// What the page says of how things are: a word and figures at the top, sentences over the picture, statistics below.

const $ = (id) => document.getElementById(id);

export function say(name, text, figures = "") {
  document.body.dataset.state = name;
  $("figures").textContent = figures; // Apart from the words: a screen reader would read them out twice a second.
  if ($("stateText").textContent !== text) $("stateText").textContent = text;
}

export function notice(text, action = "", act = null) {
  $("notice").hidden = !text;
  if ($("noticeText").textContent !== text) $("noticeText").textContent = text;
  $("noticeAct").hidden = !action;
  $("noticeAct").textContent = action;
  $("noticeAct").onclick = act;
}

// Of a session, as the server names it: what the model does, and a word for the top of the page.
const STATES = {
  ok: ["running", "Live"],
  degraded: ["running, with trouble", "Live"],
  starting: ["loading", "Getting ready"],
  source: ["not ready", "Getting ready"],
  held: ["waiting", "Waiting"],
  stopped: ["idle", "No picture"],
  draining: ["leaving", "Restarting"],
  failed: ["stopped", "Stopped"],
};

const milliseconds = (value) => (value === null || !(value >= 0) ? "–" : `${Math.round(value)} ms`);

/** From what the server said last, and what the view measured. */
export function statistics(view, condition, modelName) {
  const figures = condition?.figures ?? {};
  const [width, height] = view.size;
  $("fps").textContent = view.fps.toFixed(1);
  $("shown").textContent = view.shownFps.toFixed(1);
  $("p50").textContent = milliseconds(view.latency(0.5));
  $("p95").textContent = milliseconds(view.latency(0.95));
  $("server").textContent = `${milliseconds(figures.server_p50 * 1000)}, ${milliseconds(figures.server_p95 * 1000)}`;
  $("dropped").textContent = figures.dropped ?? figures.frames_dropped ?? "–";
  $("size").textContent = width ? `${width}×${height}` : "–";
  const [doing, short] = STATES[condition?.state] ?? ["–", "Waiting"];
  $("model").textContent = condition ? `${modelName}, ${doing}` : "–";
  if (view.fps > 0 && short === "Live") {
    const lag = view.latency(0.5);
    say("live", short, `${view.fps.toFixed(0)} fps${lag === null ? "" : `, ${milliseconds(lag)}`}`);
  } else say("busy", short === "Live" ? "Waiting" : short);
}
