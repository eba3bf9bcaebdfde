/** Cameras, microphones and screens: asking for them, naming them, and what went wrong in a code. */

export type DeviceTrouble =
  | "insecure"
  | "too_old"
  | "denied"
  | "denied_screen"
  | "no_camera"
  | "no_microphone"
  | "taken"
  | "taken_microphone"
  | "no_sound"
  | "device_failed";

export class DeviceFailed extends Error {
  constructor(readonly trouble: DeviceTrouble) {
    super(trouble);
    this.name = "DeviceFailed";
  }
}

export interface Devices {
  cameras: MediaDeviceInfo[];
  microphones: MediaDeviceInfo[];
}

export type Facing = "user" | "environment";

const WIDTH = 1_280;
const HEIGHT = 720;
const RATE = 30;
/** Of a picture that lies, an upright one is cut out: from this it is still large. */
const CUT_WIDTH = 1_920;
const CUT_HEIGHT = 1_080;

/** Null: everything that is needed is there. */
export function missing(): DeviceTrouble | null {
  if (!isSecureContext) return "insecure";
  if (!navigator.mediaDevices?.getUserMedia || typeof Worker === "undefined") return "too_old";
  return null;
}

export async function devices(): Promise<Devices> {
  const all = await navigator.mediaDevices.enumerateDevices();
  // Some systems list what they call the default a second time.
  const real = all.filter(({ deviceId }) => deviceId !== "default" && deviceId !== "communications");
  return { cameras: real.filter(({ kind }) => kind === "videoinput"), microphones: real.filter(({ kind }) => kind === "audioinput") };
}

/** Raises DeviceFailed. */
export async function openCamera(wish: { deviceId?: string; facing?: Facing }): Promise<MediaStreamTrack> {
  const which = wish.deviceId ? { deviceId: { exact: wish.deviceId } } : { facingMode: wish.facing ?? "user" };
  const video = { ...which, width: { ideal: WIDTH }, height: { ideal: HEIGHT }, frameRate: { ideal: RATE, max: RATE } };
  return first(await ask({ video }, "camera"), "video");
}

/** Enough of it for a picture of that shape. A camera that can give no more goes on as it is. */
export async function suit(track: MediaStreamTrack, isUpright: boolean): Promise<void> {
  const { width = 0, height = 0 } = track.getSettings();
  // Phones held upright give upright pictures, whatever is asked for.
  const isCut = isUpright && width > height;
  if (isCut ? height >= CUT_HEIGHT : height <= HEIGHT || width <= height) return;
  try {
    await track.applyConstraints({
      width: { ideal: isCut ? CUT_WIDTH : WIDTH },
      height: { ideal: isCut ? CUT_HEIGHT : HEIGHT },
      frameRate: { ideal: RATE, max: RATE },
    });
  } catch {
    // Some are held by another program at the size they have.
  }
}

/** Raises DeviceFailed. */
export async function openMicrophone(deviceId?: string): Promise<MediaStreamTrack> {
  const which = deviceId ? { deviceId: { exact: deviceId } } : {};
  const audio = { ...which, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  return first(await ask({ audio }, "microphone"), "audio");
}

/** Both with one question to the person, where both are there. Raises DeviceFailed when there is no camera. */
export async function openBoth(): Promise<{ camera: MediaStreamTrack; microphone: MediaStreamTrack | null; trouble: DeviceTrouble | null }> {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "user", width: { ideal: WIDTH }, height: { ideal: HEIGHT }, frameRate: { ideal: RATE, max: RATE } },
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    return { camera: first(stream, "video"), microphone: first(stream, "audio"), trouble: null };
  } catch {
    // Which of the two it was, only asking for one at a time tells.
    const camera = await openCamera({});
    try {
      return { camera, microphone: await openMicrophone(), trouble: null };
    } catch (error) {
      return { camera, microphone: null, trouble: error instanceof DeviceFailed ? error.trouble : "no_microphone" };
    }
  }
}

/** Null: the person chose nothing. Raises DeviceFailed. */
export async function openScreen(): Promise<MediaStream | null> {
  try {
    return await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: RATE, max: RATE } }, audio: true });
  } catch (error) {
    // Closing the browser's own question and forbidding it look the same.
    if (named(error) === "NotAllowedError" || named(error) === "AbortError") return null;
    throw new DeviceFailed("denied_screen");
  }
}

export function canShareScreen(): boolean {
  return typeof navigator.mediaDevices?.getDisplayMedia === "function";
}

/** Whom a camera shows is used to seeing themselves as in a mirror. Laptops do not say where theirs looks: at the person. */
export function looksAtPerson(track: MediaStreamTrack | null): boolean {
  if (!track) return false;
  const facing = track.getSettings().facingMode;
  if (facing) return facing === "user";
  return !/back|rear|environment|rück|hinten/i.test(track.label);
}

async function ask(constraints: MediaStreamConstraints, what: "camera" | "microphone"): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw new DeviceFailed(troubleOf(named(error), what));
  }
}

function troubleOf(name: string, what: "camera" | "microphone"): DeviceTrouble {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return what === "camera" ? "no_camera" : "no_microphone";
    case "NotReadableError":
    case "AbortError":
      return what === "camera" ? "taken" : "taken_microphone";
    default:
      return "device_failed";
  }
}

function first(stream: MediaStream, kind: "video" | "audio"): MediaStreamTrack {
  const track = kind === "video" ? stream.getVideoTracks()[0] : stream.getAudioTracks()[0];
  if (!track) throw new DeviceFailed("device_failed");
  return track;
}

function named(error: unknown): string {
  return error instanceof DOMException || error instanceof Error ? error.name : "";
}
