/** One location: its name and address, what it does, and its opening hours. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { focusFirstWrong, inputField, radioField, whyFor, whysOf, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { parseCount } from "../studio/amounts";
import { LoadingView } from "../studio/view";
import type { Location, LocationInput, Locations } from "../wire.gen";
import { hoursDraft, hoursFields, hoursInput, hoursProblems, type HoursDraft } from "./hours";

const FIELDS = ["name", "kind", "priority", "address", "hours", "time_zone", "phone", "is_pickup", "is_shipping"] as const;
const ADDRESS = ["line1", "line2", "postal_code", "city", "country"] as const;

interface Draft {
  name: string;
  kind: Location["kind"];
  priority: string;
  address: Record<(typeof ADDRESS)[number], string>;
  hours: HoursDraft;
  time_zone: string;
  phone: string;
  is_pickup: boolean;
  is_shipping: boolean;
}

@customElement("desk-store-form")
export class StoreForm extends LoadingView<Draft> {
  /** Null: a new one. */
  @property() locationId: string | null = null;
  @state() private whys: Whys = {};
  @state() private hourWhys: Record<string, string> = {};
  @state() private busy = false;

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("orders.tab_stores")} · ${this.app.shop.name}`;
  }

  protected override async fetch(): Promise<Draft> {
    const { locations } = await this.app.api.get<Locations>("/api/locations");
    const country = this.app.shop.countries[0]?.code ?? "";
    if (this.locationId === null) {
      const last = locations.reduce((most, { priority }) => Math.max(most, priority), 0);
      return draftOf(null, country, last + 1);
    }
    const found = locations.find(({ id }) => id === this.locationId);
    if (!found) throw new Error("gone");
    return draftOf(found, country, found.priority);
  }

  private set(draft: Draft, change: Partial<Draft>): void {
    this.replace({ ...draft, ...change });
  }

  private problems(draft: Draft): Whys {
    const whys: Record<string, string> = {};
    if (!draft.name.trim()) whys["name"] = this.t("stores.wrong_name");
    if (parseCount(draft.priority) === null) whys["priority"] = this.t("desk.stock_whole");
    if (hasAddress(draft)) {
      for (const name of ["line1", "postal_code", "city"] as const) if (!draft.address[name].trim()) whys[`address.${name}`] = this.t("stores.wrong_missing");
      if (!/^[A-Za-z]{2}$/.test(draft.address.country.trim())) whys["address.country"] = this.t("stores.wrong_country");
    } else if (draft.is_pickup) whys["address.line1"] = this.t("stores.wrong_pickup_address");
    return whys;
  }

  private async save(event: Event, draft: Draft): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    this.whys = this.problems(draft);
    this.hourWhys = hoursProblems(draft.hours, this.app.words);
    if (Object.keys(this.whys).length + Object.keys(this.hourWhys).length > 0) {
      void this.updateComplete.then(() => focusFirstWrong(this));
      return;
    }
    this.busy = true;
    const { api } = this.app;
    try {
      const input = inputOf(draft);
      if (this.locationId === null) await api.post("/api/locations", input);
      else await api.put(`/api/locations/${encodeURIComponent(this.locationId)}`, input);
      this.app.toast(this.t("stores.saved", { name: input.name }), "good");
      location.hash = "#/stores";
    } catch (error) {
      this.whys = whysOf(error, this.app.words, FIELDS);
      void this.updateComplete.then(() => focusFirstWrong(this));
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    return html`<div class="sheet"><div class="page-bar"><a class="icon-btn" href="#/stores" aria-label=${this.t("studio.back")}>${icon("back")}</a>
      <h1>${this.t(this.locationId === null ? "stores.new" : "stores.change")}</h1></div>${super.render()}</div>`;
  }

  protected override ready(draft: Draft): TemplateResult {
    const { whys } = this;
    const text = (name: "name" | "phone" | "time_zone" | "priority", more: { hint?: string; mode?: "numeric"; max: number }): TemplateResult =>
      inputField({ id: `store-${name}`, label: this.t(`stores.${name}`), value: draft[name], testid: `store-${name}`, why: whyFor(whys, name), change: (value) => this.set(draft, { [name]: value }), ...more });
    const part = (name: (typeof ADDRESS)[number], max: number): TemplateResult =>
      inputField({
        id: `store-${name}`,
        label: this.t(`stores.${name}`),
        value: draft.address[name],
        max,
        testid: `store-${name}`,
        why: whyFor(whys, `address.${name}`),
        change: (value) => this.set(draft, { address: { ...draft.address, [name]: value } }),
      });
    const turn = (name: "is_pickup" | "is_shipping"): TemplateResult => html`<label class="check check-block"><input type="checkbox" class="switch" role="switch" data-testid="store-${name}" .checked=${draft[name]}
      @change=${(event: Event) => this.set(draft, { [name]: (event.target as HTMLInputElement).checked })} /><span>${this.t(`stores.${name}`)}<span class="quiet">${this.t(`stores.${name}_hint`)}</span></span></label>`;
    return html`<form class="sheet" novalidate @submit=${(event: Event) => void this.save(event, draft)}>
      <section class="card">${text("name", { max: 120 })}
        ${radioField({
          id: "store-kind",
          label: this.t("stores.kind"),
          value: draft.kind,
          testid: "store-kind",
          inline: true,
          change: (value) => this.set(draft, { kind: value as Draft["kind"] }),
          choices: (["store", "warehouse"] as const).map((value) => ({ value, label: this.t(`stores.kind_${value}`) })),
        })}
        ${turn("is_pickup")}${turn("is_shipping")}</section>
      <section class="card" aria-labelledby="store-address"><h2 id="store-address">${this.t("desk.address")}</h2>${part("line1", 120)}${part("line2", 120)}
        <div class="pair pair-tight">${part("postal_code", 16)}${part("city", 120)}${part("country", 2)}</div>${text("phone", { max: 60 })}</section>
      <section class="card" aria-label=${this.t("stores.hours")}>${hoursFields(draft.hours, this.app.words, this.hourWhys, (hours) => this.set(draft, { hours }))}
        ${whyFor(whys, "hours") ? html`<p class="error">${whyFor(whys, "hours")}</p>` : nothing}
        <div class="pair pair-tight">${text("time_zone", { max: 60, hint: this.t("stores.time_zone_hint") })}${text("priority", { max: 5, mode: "numeric", hint: this.t("stores.priority_hint") })}</div></section>
      <div class="save-bar"><div role="alert">${whys[""] ? html`<p class="problem" data-testid="store-problem">${icon("warn")}<span>${whys[""]}</span></p>` : nothing}</div>
        <a class="btn" href="#/stores">${this.t("studio.cancel")}</a><button class="btn btn-primary" data-testid="save-store" ?disabled=${this.busy}>${this.t("studio.save")}</button></div>
    </form>`;
  }
}

function draftOf(found: Location | null, country: string, priority: number): Draft {
  const address = found?.address;
  return {
    name: found?.name ?? "",
    kind: found?.kind ?? "store",
    priority: String(priority),
    address: { line1: address?.line1 ?? "", line2: address?.line2 ?? "", postal_code: address?.postal_code ?? "", city: address?.city ?? "", country: address?.country ?? country },
    hours: hoursDraft(found?.hours ?? null),
    time_zone: found?.time_zone ?? "",
    phone: found?.phone ?? "",
    is_pickup: found?.is_pickup ?? true,
    is_shipping: found?.is_shipping ?? false,
  };
}

function hasAddress({ address }: Draft): boolean {
  return Boolean(address.line1.trim() || address.line2.trim() || address.postal_code.trim() || address.city.trim());
}

function inputOf(draft: Draft): LocationInput {
  const { address } = draft;
  return {
    name: draft.name.trim(),
    kind: draft.kind,
    priority: Number(draft.priority),
    address: hasAddress(draft)
      ? { line1: address.line1.trim(), line2: address.line2.trim() || null, postal_code: address.postal_code.trim(), city: address.city.trim(), country: address.country.trim().toUpperCase() }
      : null,
    hours: hoursInput(draft.hours),
    time_zone: draft.time_zone.trim() || null,
    phone: draft.phone.trim() || null,
    is_pickup: draft.is_pickup,
    is_shipping: draft.is_shipping,
  };
}
