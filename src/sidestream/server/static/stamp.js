// The strip of cells below a picture that says when it was taken. The server has the same in stamp.py.

const TIME_BITS = 20;
const CHECK_BITS = 12;
export const CELLS = TIME_BITS + CHECK_BITS;
export const SHARE = 17;
const MODULUS = 2 ** TIME_BITS;

const check = (value) => Math.imul(value, 2654435761) >>> (32 - CHECK_BITS);

export const toValue = (milliseconds) => Math.floor(milliseconds) % MODULUS;

/** Paints the strip into the lowest rows of a canvas. */
export function paint(context, value) {
  const { width, height } = context.canvas;
  const top = Math.round((height * (SHARE - 1)) / SHARE);
  const word = value * 2 ** CHECK_BITS + check(value);
  context.fillStyle = "#000";
  context.fillRect(0, top, width, height - top);
  context.fillStyle = "#fff";
  for (let cell = 0; cell < CELLS; cell++) {
    if (Math.floor(word / 2 ** (CELLS - 1 - cell)) % 2) {
      const left = Math.ceil((cell * width) / CELLS);
      context.fillRect(left, top, Math.ceil(((cell + 1) * width) / CELLS) - left, height - top);
    }
  }
}

const probe = Object.assign(document.createElement("canvas"), { width: CELLS, height: 1 });
const probing = probe.getContext("2d", { willReadFrequently: true });

/** The value in a video's strip, or null where there is none that can be read. */
export function read(video) {
  const { videoWidth: width, videoHeight: height } = video;
  const top = (height * (SHARE - 1)) / SHARE;
  probing.imageSmoothingEnabled = false;
  probing.drawImage(video, 0, top + (height - top) * 0.3, width, (height - top) * 0.4, 0, 0, CELLS, 1);
  const pixels = probing.getImageData(0, 0, CELLS, 1).data;
  let value = 0;
  let sum = 0;
  for (let cell = 0; cell < CELLS; cell++) {
    const bit = pixels[cell * 4 + 1] > 127 ? 1 : 0;
    if (cell < TIME_BITS) value = value * 2 + bit;
    else sum = sum * 2 + bit;
  }
  return sum === check(value) && pixels.some((one, at) => at % 4 === 1 && one > 127) ? value : null;
}

/** Milliseconds since a value was painted. */
export const since = (value, now) => (toValue(now) - value + MODULUS) % MODULUS;
