// The connection to the server: offer, answer, data channel, the queue when it is full, and coming back when it is lost.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5000;
const PATIENCE = 10000; // For a connection to come about.
const SILENCE = 4000; // The server says something every second.

export class Refused extends Error {
  constructor(status, body) {
    super(body.message ?? `The server answered ${status}.`);
    Object.assign(this, { status, body });
  }
}

export class Api {
  constructor() {
    const asked = new URLSearchParams(location.hash.slice(1));
    this.session = asked.get("session");
    const given = asked.get("token");
    if (given) {
      sessionStorage.setItem("token", given);
      history.replaceState(null, "", this.session ? `#session=${this.session}` : location.pathname);
    }
  }

  get token() {
    return sessionStorage.getItem("token");
  }

  set token(token) {
    sessionStorage.setItem("token", token);
  }

  async call(method, path, body, options = {}) {
    const headers = { "content-type": "application/json" };
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    const answer = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), ...options,
    });
    const text = await answer.text();
    let said = {};
    try { said = text ? JSON.parse(text) : {}; } catch { /* a proxy's page of its own: the status says enough */ }
    if (!answer.ok) throw new Refused(answer.status, said);
    return said;
  }
}

/** Events: state {name, place, message}, track {stream}, sound {stream}, message {…}. */
export class Link extends EventTarget {
  constructor(api, iceServers) {
    super();
    Object.assign(this, { api, iceServers, wanted: null, session: null, pause: FIRST_PAUSE });
  }

  get live() {
    return this.peer?.connectionState === "connected";
  }

  /** Connects and stays connected until stop(). `controls` is asked for at every new start; `sound` is whether to hear. */
  start(stream, controls, sound = false) {
    this.stop();
    this.wanted = { stream, controls, sound };
    this.#connect();
  }

  stop() {
    this.wanted = null;
    this.ticket = undefined;
    clearTimeout(this.timer);
    this.#drop();
    if (this.session && !this.api.session) {
      this.api.call("DELETE", `/sessions/${this.session}`, undefined, { keepalive: true }).catch(() => {});
    }
    this.session = null;
  }

  /** Sends a change; by the data channel where it is open, else by a request. */
  async change(values) {
    if (this.channel?.readyState === "open") this.channel.send(JSON.stringify({ type: "change", ...values }));
    else if (this.session) this.#say("message", { type: "controls", controls: await this.api.call("PATCH", `/sessions/${this.session}/controls`, values) });
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #drop() {
    clearInterval(this.watching);
    const { peer } = this;
    this.peer = this.channel = null;
    if (peer) {
      peer.onconnectionstatechange = null;
      peer.close();
    }
  }

  async #connect() {
    const { wanted } = this;
    this.#drop();
    this.#say("state", { name: this.pause > FIRST_PAUSE ? "reconnecting" : "connecting" });
    try {
      const peer = (this.peer = new RTCPeerConnection({ iceServers: this.iceServers }));
      const channel = (this.channel = peer.createDataChannel("controls"));
      channel.onmessage = (event) => this.#heard(JSON.parse(event.data));
      peer.ontrack = ({ receiver, track }) => {
        if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
        this.#say(track.kind === "audio" ? "sound" : "track", { stream: new MediaStream([track]) });
      };
      const [track] = wanted.stream?.getVideoTracks() ?? [];
      const transceiver = peer.addTransceiver(track ?? "video", {
        direction: track ? "sendrecv" : "recvonly",
        sendEncodings: track ? [{ maxBitrate: 4_000_000 }] : undefined,
      });
      if (wanted.sound) {
        const [sound] = wanted.stream?.getAudioTracks() ?? [];
        peer.addTransceiver(sound ?? "audio", { direction: sound ? "sendrecv" : "recvonly" });
      }
      if (track) this.#keepSize(transceiver.sender);
      await peer.setLocalDescription(await peer.createOffer());
      await gathered(peer);
      const answer = await this.api.call("POST", "/offer", {
        sdp: peer.localDescription.sdp,
        stamped: true,
        ...(this.api.session ? { session: this.api.session } : { controls: wanted.controls(), ticket: this.ticket }),
      });
      if (this.wanted !== wanted || this.peer !== peer) return;
      this.session = answer.session;
      this.ticket = undefined;
      peer.onconnectionstatechange = () => this.#changed(peer);
      this.deadline = setTimeout(() => peer.connectionState !== "connected" && this.peer === peer && this.#lost(), PATIENCE);
      await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
      this.#say("message", { type: "controls", controls: answer.controls });
    } catch (error) {
      if (this.wanted === wanted) this.#failed(error);
    }
  }

  /** A browser that is short of bandwidth should blur, not shrink: a smaller picture starts the model anew. */
  async #keepSize(sender) {
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    await sender.setParameters(parameters).catch(() => {});
  }

  #changed(peer) {
    if (this.peer !== peer) return;
    if (peer.connectionState === "connected") {
      this.pause = FIRST_PAUSE;
      this.heard = performance.now();
      clearInterval(this.watching);
      this.watching = setInterval(() => {
        if (performance.now() - this.heard > SILENCE && document.visibilityState === "visible") this.#lost();
      }, 500);
      this.#say("state", { name: "live" });
    } else if (["failed", "closed"].includes(peer.connectionState)) this.#lost();
  }

  #heard(message) {
    this.heard = performance.now();
    if (message.type === "bye") this.goodbye = message.reason;
    this.#say("message", message);
  }

  #failed(error) {
    if (error instanceof Refused && error.status === 401) this.#end({ name: "login" });
    else if (error instanceof Refused && error.body.error === "full") {
      this.ticket = error.body.ticket;
      this.#drop();
      this.#say("state", { name: "full", place: error.body.place, message: error.message });
      this.#again((error.body.retry_after ?? 10) * 1000);
    } else if (error instanceof Refused && error.status === 404 && this.api.session) {
      this.#end({ name: "refused", message: "The session that this link belongs to has ended." });
    } else if (error instanceof Refused && error.status < 500 && error.body.error !== "rate") {
      this.#end({ name: "refused", message: error.message });
    } else this.#lost();
  }

  #end(detail) {
    this.wanted = null;
    this.#drop();
    this.#say("state", detail);
  }

  #lost() {
    clearTimeout(this.deadline);
    this.#drop();
    if (!this.wanted) return;
    this.#say("state", { name: "lost", message: this.goodbye });
    this.goodbye = undefined;
    this.#again(this.pause);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
  }

  #again(pause) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.wanted && this.#connect(), pause);
  }
}

/** The server wants all candidates at once; those on this machine and network come at once, others may take a while. */
function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && done());
    setTimeout(done, 2000);
  });
}
