/** Whether this very page is on camera, for what stands beside it: one's own picture need not come back over the same line. */

class CameraHere extends EventTarget {
  /** The show that is sent to. */
  showId: string | null = null;
  /** The one whose camera was stopped on purpose, last. */
  stoppedId: string | null = null;

  sends(showId: string): void {
    if (this.showId === showId) return;
    this.showId = showId;
    this.stoppedId = null;
    this.dispatchEvent(new Event("change"));
  }

  ends(): void {
    if (this.showId === null) return;
    this.stoppedId = this.showId;
    this.showId = null;
    this.dispatchEvent(new Event("change"));
  }
}

export const cameraHere = new CameraHere();
