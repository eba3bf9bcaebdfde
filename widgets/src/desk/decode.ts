/** QR codes in pictures, where the browser has no detector of its own. Loaded only then. */

import decodeQR from "qr/decode.js";

/** What the code says; null: there is none that can be read. */
export function decodePicture(picture: ImageData): string | null {
  try {
    return decodeQR({ width: picture.width, height: picture.height, data: picture.data });
  } catch {
    return null;
  }
}
