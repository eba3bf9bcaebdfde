// Stripe's Payment Element. Stripe.js comes from Stripe and is never bundled; its fields live in frames of Stripe's own.
// They cannot live in a shadow tree: they stand in the light DOM of the embedding element, and slots show them in a sheet.

import type { Money, Order } from "../wire.gen";
import { PAY_SLOT } from "../ui/pay-slot";

const SCRIPT = "https://js.stripe.com/v3/";
const OVER_THE_PAGE = "2147483000";

interface StripeError {
  type: string;
  code?: string;
  message?: string;
}

interface PaymentElement {
  mount(where: HTMLElement): void;
  on(event: "ready" | "loaderror", heard: (event: { error?: StripeError }) => void): void;
  destroy(): void;
}

interface Elements {
  create(kind: "payment", options: object): PaymentElement;
  submit(): Promise<{ error?: StripeError }>;
  update(options: object): void;
}

interface StripeJs {
  elements(options: object): Elements;
  confirmPayment(options: object): Promise<{ error?: StripeError }>;
}

declare global {
  interface Window {
    Stripe?: (key: string, options?: object) => StripeJs;
  }
}

let loading: Promise<void> | null = null;

function loadScript(address: string): Promise<void> {
  if (window.Stripe) return Promise.resolve();
  loading ??= new Promise<void>((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve();
    script.onerror = () => {
      // What failed once may be tried again.
      script.remove();
      loading = null;
      reject(new Error("Stripe.js could not be loaded"));
    };
    document.head.append(script);
  });
  return loading;
}

/** What went wrong in the buyer's own words; `final`: this payment cannot be confirmed any more. */
export interface Wrong {
  message: string;
  final: boolean;
}

/** One set of fields in one player. `options` are the method's public ones. */
export class StripeFields {
  private js: StripeJs | null = null;
  private elements: Elements | null = null;
  private element: PaymentElement | null = null;
  private readonly box = document.createElement("div");
  /** What the fields were made for: an amount, or one order's secret. */
  private madeFor = "";

  constructor(
    private readonly host: HTMLElement,
    private readonly lang: string,
    private readonly player: HTMLElement,
  ) {
    this.box.slot = PAY_SLOT;
  }

  /** Fields for an amount, before there is an order. Asked again they only follow the amount. Rejects when Stripe is not there. */
  async showFor(total: Money, options: Record<string, string>): Promise<void> {
    const asked = { amount: total.amount, currency: total.currency.toLowerCase() };
    if (this.elements && this.madeFor === "amount") {
      this.elements.update(asked);
      return;
    }
    const types = options["method_types"]?.split(",").filter(Boolean) ?? [];
    await this.make("amount", options, {
      mode: "payment",
      ...asked,
      ...(options["capture_method"] ? { captureMethod: options["capture_method"] } : {}),
      ...(types.length > 0 ? { paymentMethodTypes: types } : {}),
    });
  }

  /** Fields for an order that waits for its payment. Those that were filled in for it are kept. */
  async showForOrder(order: Order, options: Record<string, string>): Promise<void> {
    const secret = order.payment.client?.secret ?? "";
    if (this.elements && (this.madeFor === "amount" || this.madeFor === order.id)) return;
    await this.make(order.id, options, { clientSecret: secret });
  }

  /** Whether everything is filled in; null: it is. */
  async submit(): Promise<Wrong | null> {
    const { error } = (await this.elements?.submit()) ?? {};
    return error ? wrongOf(error) : null;
  }

  /** Confirms the payment of an order. 3-D Secure opens over the page, which stays as it is; null: nothing was wrong. */
  async confirm(secret: string, returnUrl: string): Promise<Wrong | null> {
    if (!this.js || !this.elements) return { message: "", final: false };
    const restore = await this.giveWay();
    try {
      const { error } = await this.js.confirmPayment({
        elements: this.elements,
        clientSecret: secret,
        redirect: "if_required",
        confirmParams: { return_url: returnUrl },
      });
      return error ? wrongOf(error) : null;
    } finally {
      restore();
    }
  }

  remove(): void {
    this.element?.destroy();
    this.box.remove();
    this.elements = this.element = null;
    this.madeFor = "";
  }

  private async make(what: string, options: Record<string, string>, more: object): Promise<void> {
    await loadScript(options["script"] ?? SCRIPT);
    this.remove();
    this.js ??= window.Stripe!(options["publishable_key"] ?? "", { locale: this.lang.slice(0, 2) });
    this.elements = this.js.elements({ ...more, appearance: this.appearance(), loader: "auto" });
    this.madeFor = what;
    this.host.append(this.box);
    const element = this.elements.create("payment", { layout: "tabs" });
    this.element = element;
    const ready = new Promise<void>((resolve, reject) => {
      element.on("ready", () => resolve());
      element.on("loaderror", ({ error }) => reject(new Error(error?.message ?? "")));
    });
    element.mount(this.box);
    try {
      await ready;
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  private appearance(): object {
    const style = getComputedStyle(this.player);
    const token = (name: string): string => style.getPropertyValue(name).trim();
    return {
      theme: "stripe",
      variables: {
        colorPrimary: token("--ls-accent"),
        colorText: token("--ls-ink"),
        colorDanger: token("--ls-bad"),
        fontFamily: style.fontFamily,
        borderRadius: token("--ls-radius-md"),
      },
    };
  }

  /** Nothing of the page may lie above 3-D Secure: neither a full screen nor a modal dialog. */
  private async giveWay(): Promise<() => void> {
    if (document.fullscreenElement) await document.exitFullscreen().catch(() => undefined);
    const dialog = this.player.closest("dialog");
    if (!dialog?.open || !dialog.matches(":modal")) return () => undefined;
    dialog.close();
    dialog.style.zIndex = OVER_THE_PAGE;
    dialog.show();
    return () => {
      // Closed meanwhile: then it stays closed.
      if (!dialog.open || !dialog.isConnected) return;
      dialog.close();
      dialog.style.zIndex = "";
      dialog.showModal();
    };
  }
}

function wrongOf({ message, code }: StripeError): Wrong {
  return { message: message ?? "", final: code === "payment_intent_unexpected_state" };
}
