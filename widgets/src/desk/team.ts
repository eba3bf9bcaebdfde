/** Who works here, and what each may do. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import "../ui/dialog";
import { icon } from "../studio/icons";
import { explain, LoadingView } from "../studio/view";
import type { Staff } from "../wire.gen";

const ROLES = ["host", "moderator", "merchant", "admin"] as const;

/** The server's own minimum; asked here so that the answer comes in the reader's language. */
const PASSWORD_LENGTH_MIN = 10;

type Member = Staff & { active?: boolean };

@customElement("desk-team")
export class Team extends LoadingView<Member[]> {
  @state() private edited: Member | "new" | null = null;
  @state() private busy = false;
  @state() private why = "";

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("desk.team")} · ${this.app.shop.name}`;
  }

  protected override async fetch(): Promise<Member[]> {
    return (await this.app.api.get<{ staff: Member[] }>("/api/staff")).staff;
  }

  private open(member: Member | "new" | null): void {
    this.edited = member;
    this.why = "";
  }

  private async save(event: Event): Promise<void> {
    event.preventDefault();
    const { edited } = this;
    if (!edited || this.busy) return;
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string): string => String(data.get(name) ?? "").trim();
    const password = String(data.get("password") ?? "");
    const roles = data.getAll("roles").map(String);
    if (!text("name") || (edited === "new" && (!text("email") || !password)) || roles.length === 0) {
      this.why = this.t("desk.team_incomplete");
      return;
    }
    if (password && password.length < PASSWORD_LENGTH_MIN) {
      this.why = this.t("desk.password_short", { count: PASSWORD_LENGTH_MIN });
      return;
    }
    this.busy = true;
    this.why = "";
    try {
      if (edited === "new") await this.app.api.post<Member>("/api/staff", { name: text("name"), email: text("email"), password, roles });
      else {
        await this.app.api.patch<Member>(`/api/staff/${encodeURIComponent(edited.id)}`, {
          name: text("name"),
          roles,
          ...(password ? { password } : {}),
          ...(edited.active === undefined ? {} : { active: data.get("active") !== null }),
        });
      }
      this.open(null);
      this.app.toast(this.t("studio.saved"), "good");
      await this.load(true);
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("desk.team")}</h1>
        <button class="btn btn-primary" data-testid="new-staff" @click=${() => this.open("new")}>${icon("plus")}${this.t("desk.team_add")}</button></div>
      ${super.render()}${this.edited ? this.dialog(this.edited) : nothing}`;
  }

  protected override ready(members: Member[]): TemplateResult {
    return html`<ul class="rows">${members.map(
      (member) => html`<li class="row" data-testid="staff-row"><span class="row-main">
          <span class="row-text"><span class="row-title">${member.name}${member.id === this.app.staff.id ? html` <span class="quiet">${this.t("desk.you")}</span>` : nothing}</span>
            <span class="quiet">${member.email}</span></span>
          <span class="row-end row-badges">${member.roles.map((role) => html`<span class="badge ${role === "admin" ? "badge-accent" : ""}">${this.t(`desk.role_${role}`)}</span>`)}
            ${member.active === false ? html`<span class="badge badge-warn">${this.t("desk.inactive")}</span>` : nothing}</span></span>
        <button class="icon-btn" aria-label=${this.t("desk.team_edit", { name: member.name })} @click=${() => this.open(member)}>${icon("edit")}</button></li>`,
    )}</ul>`;
  }

  private dialog(edited: Member | "new"): TemplateResult {
    const member = edited === "new" ? null : edited;
    return html`<ls-dialog .open=${true} .label=${member ? member.name : this.t("desk.team_add")} .closeLabel=${this.t("studio.close")} @ls-close=${() => this.open(null)}>
      <form class="stack" novalidate @submit=${(event: Event) => void this.save(event)}>
        <label class="field"><span>${this.t("desk.name")}</span><input class="input" name="name" autocomplete="off" maxlength="100" .value=${member?.name ?? ""} /></label>
        ${member ? nothing : html`<label class="field"><span>${this.t("studio.email")}</span><input class="input" name="email" type="email" autocomplete="off" /></label>`}
        <label class="field"><span>${this.t(member ? "desk.new_password" : "studio.password")}</span>
          <input class="input" name="password" type="password" autocomplete="new-password" aria-describedby="password-hint" /></label>
        <p class="hint" id="password-hint">${this.t(member ? "desk.new_password_hint" : "desk.password_hint")}</p>
        <fieldset class="field"><legend>${this.t("desk.roles")}</legend>
          ${ROLES.map(
            (role) => html`<label class="check check-block"><input type="checkbox" name="roles" value=${role} ?checked=${member?.roles.includes(role) ?? false} />
              <span>${this.t(`desk.role_${role}`)}<span class="quiet">${this.t(`desk.role_${role}_hint`)}</span></span></label>`,
          )}</fieldset>
        ${member && member.active !== undefined
          ? html`<label class="check"><input type="checkbox" name="active" ?checked=${member.active} ?disabled=${member.id === this.app.staff.id} /><span>${this.t("desk.active")}</span></label>`
          : nothing}
        <div role="alert">${this.why ? html`<p class="problem">${icon("warn")}<span>${this.why}</span></p>` : nothing}</div>
        <div class="actions"><button type="button" class="btn" @click=${() => this.open(null)}>${this.t("studio.cancel")}</button>
          <button class="btn btn-primary" data-testid="save-staff" ?disabled=${this.busy}>${this.t("studio.save")}</button></div>
      </form></ls-dialog>`;
  }
}
