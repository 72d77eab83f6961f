// The picture on the page: result, wipe or side by side on one canvas, from which snapshots and recordings are taken.

import { SHARE, read, since } from "./stamp.js";

const LONG_SIDE = 960;
const SMEAR = 3; // Rows above the strip that codecs smear it into.

export class View {
  constructor(canvas, source) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.source = source;
    this.remote = Object.assign(document.createElement("video"), { muted: true, playsInline: true, autoplay: true });
    this.speaker = new Audio();
    this.compare = "result";
    this.wipe = 0.5;
    this.live = false;
    this.frames = []; // When restyled pictures came, and all that were shown.
    this.shown = [];
    this.latencies = [];
    this.unread = 0;
    this.stamp = null;
  }

  show(stream) {
    this.remote.srcObject = stream;
    this.remote.play().catch(() => {});
    const video = this.remote;
    const again = (now) => {
      if (video.srcObject !== stream) return;
      if (video.videoWidth) this.#arrived(now);
      next();
    };
    const next = () => (video.requestVideoFrameCallback ? video.requestVideoFrameCallback(again) : requestAnimationFrame(again));
    next();
  }

  hear(stream) {
    this.speaker.srcObject = stream;
    this.speaker.play().catch(() => {});
  }

  /** Restyled pictures come: until then, and whenever they do not, people see themselves. */
  set restyled(live) {
    this.live = live;
    if (!live) this.remote.srcObject = this.speaker.srcObject = null;
  }

  #arrived() {
    const now = performance.now();
    const stamp = read(this.remote);
    // What lies between two pictures has the strip of the first, which was counted when that came.
    const fresh = stamp === null || stamp !== this.stamp;
    this.#count(this.shown, now);
    if (fresh) this.#count(this.frames, now);
    if (stamp === null) this.unread += 1;
    else if (fresh) {
      this.latencies.push(since(stamp, now));
      if (this.latencies.length > 150) this.latencies.shift();
    }
    this.stamp = stamp;
    this.live = true;
    this.draw();
  }

  #count(times, now) {
    times.push(now);
    while (now - times[0] > 2000) times.shift();
  }

  /** The picture's own size, in pixels. */
  get size() {
    if (!this.live) return this.source.size;
    return [this.remote.videoWidth, Math.round((this.remote.videoHeight * (SHARE - 1)) / SHARE)];
  }

  draw() {
    const [width, height] = this.size;
    if (!width || !height || !(this.live || this.source.ready)) return;
    const scale = LONG_SIDE / Math.max(width, height);
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    const beside = this.compare === "beside" && this.source.ready;
    const across = beside ? 2 * w : w;
    if (this.canvas.width !== across || this.canvas.height !== h) Object.assign(this.canvas, { width: across, height: h });
    this.context.imageSmoothingQuality = "high";
    if (!this.live) {
      this.source.drawInto(this.context, null, 0, 0, w, h);
      if (beside) this.source.drawInto(this.context, null, w, 0, w, h);
      return;
    }
    this.context.drawImage(this.remote, 0, 0, width, height - SMEAR, beside ? w : 0, 0, w, h);
    if (beside) this.source.drawInto(this.context, this.stamp, 0, 0, w, h);
    else if (this.compare === "wipe" && this.source.ready) this.#wipe(w, h);
  }

  #wipe(w, h) {
    const at = Math.round(w * this.wipe);
    this.context.save();
    this.context.beginPath();
    this.context.rect(0, 0, at, h);
    this.context.clip();
    this.source.drawInto(this.context, this.stamp, 0, 0, w, h);
    this.context.restore();
    this.context.fillStyle = "#fff";
    this.context.fillRect(at - 1.5, 0, 3, h);
    this.context.beginPath();
    this.context.arc(at, h / 2, 17, 0, 7);
    this.context.fill();
    this.context.strokeStyle = "#101114";
    this.context.lineWidth = 2.5;
    for (const way of [-1, 1]) {
      this.context.beginPath();
      this.context.moveTo(at + way * 5, h / 2 - 5);
      this.context.lineTo(at + way * 10, h / 2);
      this.context.lineTo(at + way * 5, h / 2 + 5);
      this.context.stroke();
    }
  }

  get fps() {
    return rate(this.frames);
  }

  get shownFps() {
    return rate(this.shown);
  }

  /** Milliseconds that this share of the newest pictures took at most. */
  latency(share) {
    const ordered = [...this.latencies].sort((a, b) => a - b);
    return ordered.length ? ordered[Math.min(Math.floor(share * ordered.length), ordered.length - 1)] : null;
  }

  async snapshot() {
    const blob = await new Promise((done) => this.canvas.toBlob(done, "image/png"));
    save(blob, "png");
  }

  get recording() {
    return this.recorder?.state === "recording";
  }

  record(onstop) {
    const stream = this.canvas.captureStream(30);
    const sounds = this.speaker.srcObject?.getAudioTracks() ?? [];
    const types = sounds.length
      ? ["video/mp4;codecs=avc1.42E01E,mp4a.40.2", "video/webm;codecs=vp9,opus", "video/webm"]
      : ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm"];
    const type = types.find((one) => MediaRecorder.isTypeSupported(one));
    for (const track of sounds) stream.addTrack(track.clone());
    this.recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 8_000_000 });
    const parts = [];
    this.recorder.ondataavailable = (event) => event.data.size && parts.push(event.data);
    this.recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      save(new Blob(parts, { type }), type.includes("mp4") ? "mp4" : "webm");
      onstop();
    };
    this.recorder.start(1000);
  }

  stopRecording() {
    if (this.recording) this.recorder.stop();
  }
}

function rate(times) {
  if (times.length < 2 || performance.now() - times.at(-1) > 2000) return 0;
  return ((times.length - 1) * 1000) / (times.at(-1) - times[0]);
}

function save(blob, suffix) {
  const when = new Date().toISOString().slice(0, 19).replace(/[T:]/g, "-");
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(blob), download: `sidestream-${when}.${suffix}`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
