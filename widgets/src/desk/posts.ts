/** Posts on connected accounts: those that wait, and what became of the others. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { ApiProblem } from "../state/api";
import { icon } from "../studio/icons";
import { empty, explain, LoadingView } from "../studio/view";
import type { Connection, Connections, Post, Posts as PostPage, Product, Show } from "../wire.gen";
import { staleNote } from "./channels";
import { Polling, UNLOADED_MS } from "./channels-poll";
import { channelTabs } from "./channels-words";
import { canCancel, canTakeDown, postBadge, whenWords } from "./posts-words";

const MOVING_MS = 2_000;
const IDLE_MS = 10_000;
const SOON_MS = 60_000;

interface Page {
  posts: Post[];
  next: string | null;
  connections: Connection[];
  shows: Show[];
}

@customElement("desk-posts")
export class Posts extends LoadingView<Page> {
  @state() private busy: string | null = null;
  @state() private stale = false;
  @state() private moreWhy = "";
  /** Titles of products, looked up once; null: it is gone. */
  @state() private titles: ReadonlyMap<string, string | null> = new Map();
  private readonly polling = new Polling(this, () => this.look(), () => this.pause());

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("channels.tab_posts")} · ${this.app.shop.name}`;
  }

  protected override async fetch(): Promise<Page> {
    const { api } = this.app;
    const [{ posts, next }, { connections }, { shows }] = await Promise.all([
      api.get<PostPage>("/api/posts"),
      api.get<Connections>("/api/connections"),
      api.get<{ shows: Show[] }>("/api/shows"),
    ]);
    void this.name(posts);
    return { posts, next, connections, shows };
  }

  private pause(): number {
    if (this.loaded.kind !== "ready") return UNLOADED_MS;
    const soon = Date.now() + SOON_MS;
    const isMoving = this.loaded.value.posts.some(
      (post) => post.state === "sending" || post.state === "unclear" || (post.state === "scheduled" && post.send_at !== null && Date.parse(post.send_at) < soon),
    );
    return isMoving ? MOVING_MS : IDLE_MS;
  }

  private async look(): Promise<void> {
    if (this.loaded.kind !== "ready") return;
    const { value } = this.loaded;
    try {
      const first = await this.app.api.get<PostPage>("/api/posts");
      const fresh = new Map(first.posts.map((post) => [post.id, post]));
      const later = value.posts.filter(({ id }) => !fresh.has(id));
      this.replace({ ...value, posts: [...first.posts, ...later], next: later.length > 0 ? value.next : first.next });
      this.stale = false;
    } catch {
      this.stale = true;
    }
  }

  private async name(posts: readonly Post[]): Promise<void> {
    const ids = [...new Set(posts.map(({ product_id }) => product_id))].filter((id) => id !== null && !this.titles.has(id)) as string[];
    const found = await Promise.all(
      ids.map(async (id): Promise<[string, string | null] | null> => {
        try {
          return [id, (await this.app.api.get<Product>(`/api/products/${encodeURIComponent(id)}`)).title];
        } catch (error) {
          return error instanceof ApiProblem && error.status === 404 ? [id, null] : null;
        }
      }),
    );
    this.titles = new Map([...this.titles, ...found.filter((one) => one !== null)]);
  }

  private async loadMore(page: Page): Promise<void> {
    this.busy = "more";
    this.moreWhy = "";
    try {
      const rest = await this.app.api.get<PostPage>(`/api/posts?before=${encodeURIComponent(page.next ?? "")}`);
      const known = new Set(page.posts.map(({ id }) => id));
      this.replace({ ...page, posts: [...page.posts, ...rest.posts.filter(({ id }) => !known.has(id))], next: rest.next });
      void this.name(rest.posts);
    } catch (error) {
      this.moreWhy = explain(error, this.app.words);
    } finally {
      this.busy = null;
    }
  }

  private async end(post: Post, page: Page, how: "cancel" | "remove"): Promise<void> {
    const answer = await this.app.ask({ title: this.t(`posts.ask_${how}`), text: this.t(`posts.ask_${how}_text`), yes: this.t(`posts.${how}`), danger: true });
    if (answer === null) return;
    this.busy = post.id;
    const path = `/api/posts/${encodeURIComponent(post.id)}`;
    try {
      const changed = how === "cancel" ? await this.app.api.post<Post>(`${path}/cancel`) : await this.app.api.del<Post>(path);
      this.replace({ ...page, posts: page.posts.map((one) => (one.id === changed.id ? changed : one)) });
      this.app.toast(this.t(`posts.done_${how}`), "good");
    } catch (error) {
      this.complain(error);
      this.polling.soon();
    } finally {
      this.busy = null;
    }
  }

  protected override render(): TemplateResult {
    const canPost = this.app.can("channels:write") && this.loaded.kind === "ready" && this.loaded.value.connections.some(({ roles }) => roles.includes("poster"));
    return html`<div class="page-bar"><h1>${this.t("desk.channels")}</h1>
        ${canPost ? html`<a class="btn btn-primary" href="#/posts/new" data-testid="new-post">${icon("plus")}${this.t("posts.new")}</a>` : nothing}</div>
      ${channelTabs("posts", this.app.words)}${staleNote(this.stale, this.t("channels.stale"))}${super.render()}`;
  }

  protected override ready(page: Page): TemplateResult {
    if (page.posts.length === 0) {
      const isConnected = page.connections.some(({ roles }) => roles.includes("poster"));
      return isConnected
        ? empty(this.t("posts.empty"), this.t("posts.empty_hint"))
        : empty(
            this.t("posts.no_account"),
            this.t("posts.no_account_hint"),
            this.app.can("channels:write") ? html`<a class="btn btn-primary" href="#/channels/new">${this.t("channels.connect")}</a>` : nothing,
          );
    }
    return html`<ul class="posts">${repeat(page.posts, ({ id }) => id, (post) => this.row(post, page))}</ul>
      ${this.moreWhy ? html`<p class="error" role="alert">${this.moreWhy}</p>` : nothing}
      ${page.next ? html`<button class="btn btn-wide" ?disabled=${this.busy === "more"} @click=${() => void this.loadMore(page)}>${this.t("desk.more")}</button>` : nothing}`;
  }

  private row(post: Post, page: Page): TemplateResult {
    const { words } = this.app;
    const channel = page.connections.find(({ id }) => id === post.connection_id)?.title ?? this.t("channels.is_removed");
    const show = page.shows.find(({ id }) => id === post.show_id)?.title;
    const product = post.product_id ? this.titles.get(post.product_id) : undefined;
    const subject = [product, show].filter(Boolean).join(" · ");
    const kind = this.t(`posts.kind_${post.kind}`);
    return html`<li class="card post" data-testid="post" data-post=${post.id}>
      <header class="post-head"><div><h2>${kind}${subject ? html`<span class="row-name">${subject}</span>` : nothing}</h2>
        <p class="quiet">${channel} · ${whenWords(post, words)}${post.is_paid_partnership ? html` · ${this.t("posts.paid_short")}` : nothing}</p></div>${postBadge(post, words)}</header>
      ${post.reason ? html`<p class="note ${post.state === "refused" ? "note-bad" : post.state === "cancelled" || post.state === "removed" ? "" : "note-warn"}" data-testid="post-reason">${icon("warn")}<span>${post.reason}</span></p>` : nothing}
      ${post.text ? html`<blockquote class="post-text" data-testid="post-text" lang=${post.language}>${post.text}</blockquote>` : nothing}
      ${post.url || (this.app.can("channels:write") && (canCancel(post) || canTakeDown(post)))
        ? html`<footer class="connection-acts">
            ${post.url ? html`<a class="btn btn-outline btn-small" href=${post.url} target="_blank" rel="noopener" data-testid="post-link">${icon("external")}${this.t("posts.see")}</a>` : nothing}
            <span class="bar-gap"></span>
            ${this.app.can("channels:write") && canCancel(post)
              ? html`<button class="btn btn-outline btn-small" data-testid="cancel-post" ?disabled=${this.busy !== null} @click=${() => void this.end(post, page, "cancel")}>${icon("close")}${this.t("posts.cancel")}</button>`
              : nothing}
            ${this.app.can("channels:write") && canTakeDown(post)
              ? html`<button class="btn btn-outline btn-small" data-testid="remove-post" ?disabled=${this.busy !== null} @click=${() => void this.end(post, page, "remove")}>${icon("trash")}${this.t("posts.remove")}</button>`
              : nothing}</footer>`
        : nothing}
    </li>`;
  }
}
