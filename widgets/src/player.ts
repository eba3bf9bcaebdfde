// The player module that embed.js loads when a show comes near: draws a show into a shadow root.

import { Session } from "./state/session";
import { chooseLanguage } from "./state/i18n";
import type { FrameAction, Mounted, MountOptions } from "./player-api";
import { takeArrival } from "./state/arrival";
import { PAY_SLOT } from "./ui/pay-slot";
import "./elements/player";

export function mount(into: HTMLElement, options: MountOptions): Mounted {
  const invitation = new URLSearchParams(location.search).get("invite");
  if (invitation) void import("./elements/rehearsal");
  const session = new Session(options.base, options.show, chooseLanguage(options.languages), options.host, invitation);
  session.arrival = takeArrival();
  if (session.arrival.store) session.standIn(session.arrival.store);
  const player = document.createElement("ls-player");
  const fields = document.createElement("slot");
  fields.name = fields.slot = PAY_SLOT;
  player.append(fields);
  player.session = session;
  player.mode = options.mode;
  player.addEventListener("ls-frame", (event) => {
    options.onFrame((event as CustomEvent<FrameAction>).detail);
  });
  into.replaceChildren(player);
  void session.start();
  return {
    async identify(jwt) {
      const { viewer_id, name } = await session.identify(jwt);
      return { viewer_id, name };
    },
    setMini(mini) {
      player.mini = mini;
    },
    unmount() {
      session.stop();
      player.remove();
    },
  };
}
