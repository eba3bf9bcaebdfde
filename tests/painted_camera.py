"""A browser's camera and microphone that can be measured: `painted`, made by the page itself.

An init script that takes the place of `getUserMedia`. Its camera is a canvas with the wall clock
of the moment it was painted in each picture and a white square in the first of each second; its
microphone is Web Audio, with a click as that second begins. What the page under test gets are real
tracks, and of the awkward kind: their timestamps have different origins, as with real devices.

The page's `paintedCamera` is the hand of a test: `refusal` ("NotAllowedError") for the next time it
is asked, `unplug("video")`, `isHeld` for a camera that gives no more pictures.
"""

from typing import Final

import barcode

_CLICK_SECONDS: Final = 0.02
_CLICK_HERTZ: Final = 1000

SCRIPT: Final = (
    "(() => {"
    + barcode.PAINT_JS
    + f"const click = {{seconds: {_CLICK_SECONDS}, hertz: {_CLICK_HERTZ}}};"
    + """
const devices = navigator.mediaDevices;
if (!devices || window.paintedCamera) return;
const RATE = 30;
const hand = {
  refusal: null, isHeld: false, isSilent: false, asked: [], tracks: [], gone: new Set(),
  late: [],
  unplug(kind) {
    this.gone.add(kind);
    for (const track of this.tracks) {
      if (track.kind !== kind || track.readyState === "ended") continue;
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }
    devices.dispatchEvent(new Event("devicechange"));
  },
  plugIn(kind) {
    this.gone.delete(kind);
    devices.dispatchEvent(new Event("devicechange"));
  },
};
window.paintedCamera = hand;

const LIST = [
  ["videoinput", "painted-front", "Painted camera, front"],
  ["videoinput", "painted-back", "Painted camera, back"],
  ["audioinput", "painted-microphone", "Painted microphone"],
];
const kindOf = {videoinput: "video", audioinput: "audio"};
const first = (asked) => {
  if (typeof asked !== "object" || asked === null) return asked;
  const given = asked.exact ?? asked.ideal ?? asked.max;
  return Array.isArray(given) ? given[0] : given;
};
const noise = (width, height, coarse) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.ceil(width / coarse), Math.ceil(height / coarse)];
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(canvas.width, canvas.height);
  for (let at = 0; at < image.data.length; at += 4) {
    const light = 60 + Math.floor(Math.random() * 130);
    image.data.set([light, light * 0.9, light * 0.8, 255], at);
  }
  pen.putImageData(image, 0, 0);
  return canvas;
};

const camera = (asked, deviceId) => {
  // A phone held upright hands over upright pictures, whatever was asked for.
  const isUpright = matchMedia("(pointer: coarse) and (orientation: portrait)").matches;
  const sides = [first(asked.width) ?? 1280, first(asked.height) ?? 720];
  const [width, height] = isUpright ? sides.reverse() : sides;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d", {alpha: false});
  const texture = document.createElement("canvas");
  [texture.width, texture.height] = [width, height * 2];
  const texturePen = texture.getContext("2d", {alpha: false});
  const coarse = noise(width, height, 16);
  texturePen.imageSmoothingEnabled = true;
  for (const top of [0, height]) texturePen.drawImage(coarse, 0, top, width, height);
  if (deviceId === "painted-back") {
    texturePen.globalCompositeOperation = "difference";
    texturePen.fillStyle = "white";
    texturePen.fillRect(0, 0, width, height * 2);
  }
  // Bits are spent as a room with people in it spends them.
  const grain = noise(width * 2, height / 8, 4);
  const flash = Math.round(height / 8);
  const paint = () => {
    const ms = Date.now();
    const number = Math.floor(ms * RATE / 1000);
    pen.drawImage(texture, 0, -(number * 2 % height));
    const from = Math.floor(Math.random() * grain.width / 2);
    pen.drawImage(grain, from, 0, grain.width / 2, grain.height,
      0, height / 2, width, Math.round(height / 16));
    paintBarcode(pen, width, ms);
    pen.fillStyle = Math.floor(ms % 1000 * RATE / 1000) === 0 ? "white" : "black";
    pen.fillRect(width - flash, height - flash, flash, flash);
  };
  paint();
  const [track] = canvas.captureStream().getVideoTracks();
  const turn = () => {
    if (track.readyState === "ended" && !track.hasClones) return;
    if (!hand.isHeld) paint();
    const now = Date.now();
    const next = (Math.floor(now * RATE / 1000) + 1) * 1000 / RATE;
    setTimeout(turn, Math.max(next - now + 1, 1));
  };
  turn();
  const facingMode = deviceId === "painted-back" ? "environment" : "user";
  return settled(track, {width, height, frameRate: RATE, deviceId, facingMode});
};

const microphone = (deviceId) => {
  const context = new AudioContext({sampleRate: 48000});
  const out = context.createMediaStreamDestination();
  out.channelCount = 1;
  const hum = new OscillatorNode(context, {frequency: 480});
  const level = new GainNode(context, {gain: 0.02});
  hum.connect(level).connect(out);
  hum.start();
  const sound = context.createBuffer(1, click.seconds * context.sampleRate, context.sampleRate);
  const samples = sound.getChannelData(0);
  for (let n = 0; n < samples.length; n++) {
    samples[n] = 0.7 * Math.sin(2 * Math.PI * click.hertz * n / context.sampleRate);
  }
  const [track] = out.stream.getAudioTracks();
  // The context's clock moves in steps, as sound is rendered: at the end of a step it is right. On
  // a machine that is busy it may fall behind; a click that was planned is then planned anew.
  let seen = [], planned = null;
  const turn = () => {
    if (track.readyState === "ended" && !track.hasClones) {
      context.close();
      return;
    }
    const now = Date.now();
    seen.push({at: now, ahead: context.currentTime * 1000 - now});
    seen = seen.filter((one) => one.at > now - 700);
    const ahead = Math.max(...seen.map((one) => one.ahead));
    const place = (second) => {
      const node = new AudioBufferSourceNode(context, {buffer: sound});
      node.connect(out);
      node.start((second + ahead) / 1000);
      planned = {second, node, ahead};
    };
    const isSoon = planned && planned.second > now + 60;
    if (context.state !== "running" || hand.isSilent) {
      if (isSoon) planned.node.stop();
      planned = null;
    } else if (isSoon && Math.abs(planned.ahead - ahead) > 3) {
      planned.node.stop();
      place(planned.second);
    } else if (!planned || planned.second <= now) {
      place(Math.ceil((now + 60) / 1000) * 1000);
    }
    setTimeout(turn, 15);
  };
  turn();
  context.resume();
  return settled(track, {deviceId, sampleRate: 48000, channelCount: 1, echoCancellation: false});
};

const settled = (track, settings) => {
  const told = track.getSettings.bind(track), cloned = track.clone.bind(track);
  track.getSettings = () => ({...told(), ...settings});
  track.clone = () => {
    track.hasClones = true;
    return settled(cloned(), settings);
  };
  const label = LIST.find(([, id]) => id === settings.deviceId)?.[2] ?? "Painted screen";
  Object.defineProperty(track, "label", {value: label});
  hand.tracks.push(track);
  return track;
};

devices.enumerateDevices = async () => LIST
  .filter(([kind]) => !hand.gone.has(kindOf[kind]))
  .map(([kind, deviceId, label]) => {
    const told = {kind, deviceId, label, groupId: "painted"};
    return {...told, toJSON: () => told};
  });
devices.getUserMedia = async (asked = {}) => {
  hand.asked.push(JSON.parse(JSON.stringify(asked)));
  if (hand.refusal) throw new DOMException("as the test asked for", hand.refusal);
  for (const kind of ["video", "audio"]) {
    if (asked[kind] && hand.gone.has(kind)) throw new DOMException("none", "NotFoundError");
  }
  const stream = new MediaStream();
  if (asked.video) {
    const wanted = asked.video === true ? {} : asked.video;
    const isBack = first(wanted.deviceId) === "painted-back" ||
      (!wanted.deviceId && first(wanted.facingMode) === "environment");
    stream.addTrack(camera(wanted, isBack ? "painted-back" : "painted-front"));
  }
  if (asked.audio) stream.addTrack(microphone("painted-microphone"));
  return stream;
};
devices.getDisplayMedia = async (asked = {}) => {
  hand.asked.push({display: true});
  if (hand.refusal) throw new DOMException("as the test asked for", hand.refusal);
  return new MediaStream([camera({width: 1280, height: 720}, "painted-screen")]);
};
})();"""
)
