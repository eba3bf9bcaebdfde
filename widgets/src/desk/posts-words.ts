/** Posts in words: what they are, where they stand, when they go out. */

import { html, type TemplateResult } from "lit";
import { icon, type IconName } from "../studio/icons";
import type { I18n } from "../state/i18n";
import type { Post } from "../wire.gen";
import { badgeClass, type Look } from "./channels-words";

export type PostKind = Post["kind"];
export type PostTiming = Post["when"];

export const POST_KINDS: readonly PostKind[] = ["announce", "reminder", "live_now", "product_moment", "replay"];
/** What a kind waits for when it is to go out by itself. */
export const OWN_TIMING: Readonly<Record<PostKind, PostTiming>> = {
  announce: "on_announced",
  reminder: "before_start",
  live_now: "on_live",
  product_moment: "on_pin",
  replay: "on_replay",
};

const LOOKS: Record<Post["state"], { look: Look; icon: IconName }> = {
  scheduled: { look: "accent", icon: "clock" },
  sending: { look: "accent", icon: "send" },
  unclear: { look: "warn", icon: "warn" },
  sent: { look: "", icon: "send" },
  live: { look: "good", icon: "check" },
  refused: { look: "bad", icon: "ban" },
  cancelled: { look: "", icon: "minus" },
  removed: { look: "", icon: "minus" },
};

export function postBadge(post: Post, words: I18n): TemplateResult {
  const look = LOOKS[post.state];
  return html`<span class="${badgeClass(look.look)} badge-state" data-testid="post-state" data-state=${post.state} title=${words.t(`posts.means_${post.state}`)}>${icon(look.icon)}${words.t(`posts.state_${post.state}`)}</span>`;
}

/** "today, 20:00", or what it waits for. */
export function whenWords(post: Post, words: I18n): string {
  const at = post.send_at ? words.date(post.send_at, { dateStyle: "medium", timeStyle: "short" }) : "";
  if (post.state === "scheduled") {
    if (post.when !== "at") return at ? `${words.t(`posts.when_${post.when}`)} · ${at}` : words.t(`posts.when_${post.when}`);
    return at ? words.t("posts.due", { at }) : words.t("posts.when_at");
  }
  return words.date(post.since, { dateStyle: "medium", timeStyle: "short" });
}

export function canCancel(post: Post): boolean {
  return post.state === "scheduled";
}

export function canTakeDown(post: Post): boolean {
  return post.state === "sent" || post.state === "live";
}
