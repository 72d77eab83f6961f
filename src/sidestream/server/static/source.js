// Where the picture comes from: a camera, a screen or a file, drawn onto a canvas that is what gets sent.

import { SHARE, paint, toValue } from "./stamp.js";

const KEPT = 45; // Frames kept for comparing: a second and a half.

export class Source {
  constructor(side) {
    this.side = side;
    this.kind = null;
    this.mirror = true;
    this.keep = false;
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, loop: true });
    this.feed = document.createElement("canvas");
    this.context = this.feed.getContext("2d", { alpha: false });
    this.kept = new Map();
    this.spare = [];
    this.onframe = () => {};
    this.onended = () => {};
  }

  get ready() {
    return this.kind !== null && this.video.readyState >= 2;
  }

  /** The picture's own size, without its strip. */
  get size() {
    return [this.feed.width, Math.round((this.feed.height * (SHARE - 1)) / SHARE)];
  }

  async open(kind, { device = "", file = null, sound = false } = {}) {
    const stream = kind === "file" ? null : await this.#capture(kind, device, sound);
    this.stop();
    this.kind = kind;
    this.file = file;
    this.sound = sound;
    if (stream) {
      this.video.srcObject = stream;
      stream.getVideoTracks()[0].addEventListener("ended", () => this.kind && this.onended(kind));
    } else {
      this.video.src = URL.createObjectURL(file);
    }
    try {
      await this.video.play();
    } catch (error) {
      this.stop();
      throw error;
    }
    this.#draw(performance.now());
    this.#next();
  }

  stop() {
    this.kind = null;
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    if (this.video.src) URL.revokeObjectURL(this.video.src);
    this.video.srcObject = null;
    this.video.removeAttribute("src");
    this.kept.clear();
  }

  stream() {
    const stream = this.feed.captureStream(30);
    stream.getVideoTracks()[0].contentHint = "motion";
    if (this.sound) for (const track of this.#sounds()) stream.addTrack(track);
    return stream;
  }

  #sounds() {
    return (this.video.srcObject ?? this.video.captureStream?.() ?? this.video.mozCaptureStream?.())?.getAudioTracks() ?? [];
  }

  async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return all.filter((one) => one.kind === "videoinput" && one.deviceId);
  }

  #capture(kind, device, sound) {
    if (!navigator.mediaDevices) throw new DOMException("", "InsecureError");
    if (kind === "screen") return navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 30 }, audio: sound });
    const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
    return navigator.mediaDevices.getUserMedia({
      audio: sound,
      video: { ...which, width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } },
    });
  }

  #next() {
    const video = this.video;
    const again = (now, frame) => {
      if (!this.kind) return;
      if (video.readyState >= 2) this.#draw(captureTime(now, frame));
      this.#next();
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(again);
    else requestAnimationFrame(again);
  }

  #draw(when) {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth) return;
    const scale = this.side / Math.max(videoWidth, videoHeight);
    const width = Math.max(64, Math.round((videoWidth * scale) / 16) * 16);
    const height = Math.max(64, Math.round((videoHeight * scale) / 16) * 16);
    const whole = height + height / (SHARE - 1);
    if (this.feed.width !== width || this.feed.height !== whole) {
      Object.assign(this.feed, { width, height: whole });
      this.kept.clear();
      this.spare = [];
    }
    const mirrored = this.mirror && this.kind === "camera";
    this.context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? width : 0, 0);
    this.context.drawImage(this.video, 0, 0, width, height);
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    const value = toValue(when);
    paint(this.context, value);
    if (this.keep) this.#remember(value);
    this.onframe();
  }

  /** So that a result can be shown beside the very frame that it was made from. */
  #remember(value) {
    const [width, height] = this.size;
    const copy = this.spare.pop() ?? Object.assign(document.createElement("canvas"), { width, height });
    copy.getContext("2d", { alpha: false }).drawImage(this.feed, 0, 0);
    this.kept.set(value, copy);
    while (this.kept.size > KEPT) {
      const [oldest, canvas] = this.kept.entries().next().value;
      this.kept.delete(oldest);
      this.spare.push(canvas);
    }
  }

  /** Draws the frame of this strip value, or the newest, into a rectangle. */
  drawInto(context, value, x, y, width, height) {
    const [w, h] = this.size;
    const frame = this.kept.get(value) ?? this.feed;
    // The model works at multiples of 32 and cuts what sticks out of them; the same is cut here.
    const scale = Math.min(w / width, h / height);
    context.drawImage(
      frame, (w - width * scale) / 2, (h - height * scale) / 2, width * scale, height * scale, x, y, width, height,
    );
  }
}

function captureTime(now, frame) {
  const captured = frame?.captureTime;
  return captured && now - captured >= 0 && now - captured < 500 ? captured : now;
}

/** What went wrong with a source, and what to do about it. */
export function inWords(error, kind) {
  const words = {
    NotAllowedError:
      kind === "screen"
        ? "No screen was shared. Choose one, or use the camera or a file."
        : "The browser did not let this page use the camera. Allow it beside the address, then try again.",
    NotFoundError: "No camera was found. Connect one, or share a screen or play a file.",
    NotReadableError: "The camera is in use by another program. Close that, then try again.",
    OverconstrainedError: "That camera is not there any more. Choose another.",
    NotSupportedError: "This browser cannot play that file. Try an MP4 or a WebM.",
    InsecureError:
      "Browsers give a camera only to pages served over https, or from this machine itself. Start the server with --tls.",
  };
  return words[error.name] ?? `The picture could not be opened (${error.name}). Try another source.`;
}
