// Wire shapes of the Liveshop API and of the realtime protocol `liveshop.v1`.
// Generated from the server's structs; change those, not this file.

export type ShowState = "draft" | "scheduled" | "live" | "ended" | "replay";
export type PaymentMethod = "sandbox" | "invoice";
export type OrderState = "pending" | "confirmed" | "payment_failed" | "cancelled";
export type PaymentState = "pending" | "paid" | "authorised" | "declined";

export interface Money {
  amount: number;
  currency: string;
}

export interface ImageSource {
  type: string;
  srcset: string;
}

export interface Image {
  id: string;
  alt: string;
  width: number;
  height: number;
  src: string;
  sources: ImageSource[];
}

export interface GuestToken {
  token: string;
  viewer_id: string;
  name: string | null;
  expires_at: string;
}

export interface Me {
  kind: "guest" | "customer" | "staff" | "api_key";
  viewer_id: string | null;
  name: string | null;
  permissions: string[];
}

export interface Staff {
  id: string;
  name: string;
  email: string;
  roles: string[];
  permissions: string[];
}

export interface Session {
  staff: Staff;
  csrf_token: string;
}

export interface ApiKey {
  id: string;
  name: string;
  permissions: string[];
  expires_at: string | null;
  created_at: string;
}

export interface Country {
  code: string;
  shipping: Money;
}

export interface PaymentMethodChoice {
  id: PaymentMethod;
  test: boolean;
}

export interface Shop {
  name: string;
  currency: string;
  languages: string[];
  countries: Country[];
  payment_methods: PaymentMethodChoice[];
  hold_seconds: number;
  demo: boolean;
}

export interface Show {
  id: string;
  title: string;
  description: string;
  state: ShowState;
  languages: string[];
  time_zone: string;
  starts_at: string | null;
  started_at: string | null;
  ended_at: string | null;
  host_name: string | null;
  cover: Image | null;
  lineup: string[];
  replay_url: string | null;
  hls: string | null;
  page: string;
  version: number;
}

export interface ShowInput {
  title: string;
  description?: string;
  languages?: string[];
  time_zone?: string;
  starts_at?: string | null;
  host_name?: string | null;
  cover_id?: string | null;
  product_ids?: string[];
  replay_url?: string | null;
}

export type ShowChange = Partial<ShowInput>;

export interface Pin {
  product_id: string | null;
  at: string;
}

export interface ProductOption {
  name: string;
  values: string[];
}

export interface Variant {
  id: string;
  sku: string;
  gtin: string | null;
  values: string[];
  price: Money;
  compare_at: Money | null;
  tax_class: "standard" | "reduced" | "zero";
  available: number;
  image_index: number | null;
}

export interface Product {
  id: string;
  source_id: string;
  title: string;
  description_html: string;
  brand: string | null;
  category: string | null;
  url: string | null;
  options: ProductOption[];
  images: Image[];
  variants: Variant[];
  active: boolean;
  version: number;
}

export type ChatRole = "guest" | "customer" | "host" | "moderator";

export interface ChatMessage {
  id: string;
  author_id: string;
  name: string;
  role: ChatRole;
  text: string;
  at: string;
  deleted: boolean;
}

export interface Sanction {
  viewer_id: string;
  name: string;
  kind: "mute" | "ban";
  until: string | null;
  by: string;
  at: string;
}

export interface ChatSettings {
  slow_mode_seconds: number;
  links_allowed: boolean;
  paused: boolean;
}

export interface ChatSnapshot {
  messages: ChatMessage[];
  pinned: ChatMessage | null;
  settings: ChatSettings;
}

export interface Snapshot {
  epoch: string;
  offset: number;
  at: string;
  show: Show;
  products: Product[];
  pins: Pin[];
  chat: ChatSnapshot;
  viewers: number;
  hearts: number;
}

export interface Numbers {
  viewers: number;
  peak_viewers: number;
  messages: number;
  hearts: number;
  orders: number;
  revenue: Money;
  carts: number;
}

export interface Reminder {
  id: string;
  show_id: string;
  email: string;
}

export interface CartLine {
  id: string;
  product_id: string;
  variant_id: string;
  title: string;
  values: string[];
  sku: string;
  image: Image | null;
  quantity: number;
  unit_price: Money;
  compare_at: Money | null;
  total: Money;
  hold: "held" | "lapsed";
  held_until: string | null;
  available: number;
  show_id: string | null;
}

export interface Cart {
  id: string;
  currency: string;
  lines: CartLine[];
  subtotal: Money;
  held_until: string | null;
  at: string;
}

export interface QuoteLine {
  line_id: string;
  title: string;
  quantity: number;
  unit_price: Money;
  total: Money;
}

export interface Tax {
  rate: string;
  basis: Money;
  amount: Money;
}

export interface Quote {
  lines: QuoteLine[];
  subtotal: Money;
  shipping: Money;
  taxes: Tax[];
  total: Money;
  country: string;
  at: string;
}

export interface Address {
  name: string;
  line1: string;
  line2?: string | null;
  postal_code: string;
  city: string;
  country: string;
}

export interface PaymentInput {
  method: PaymentMethod;
  card_number?: string | null;
}

export interface OrderInput {
  expected_total: Money;
  email: string;
  address: Address;
  payment: PaymentInput;
  show_id?: string | null;
}

export interface OrderLine {
  variant_id: string;
  product_id: string;
  title: string;
  values: string[];
  sku: string;
  quantity: number;
  unit_price: Money;
  total: Money;
}

export interface Payment {
  id: string;
  method: PaymentMethod;
  state: PaymentState;
  reference: string | null;
  message: string | null;
}

export interface Order {
  id: string;
  number: string;
  state: OrderState;
  placed_at: string;
  email: string;
  address: Address;
  lines: OrderLine[];
  subtotal: Money;
  shipping: Money;
  taxes: Tax[];
  total: Money;
  payment: Payment;
  show_id: string | null;
}

export interface You {
  kind: string;
  viewer_id: string | null;
  name: string | null;
  permissions: string[];
}

export interface Hello {
  t: "hello";
  epoch: string;
  offset: number;
  at: string;
  you: You;
}

interface Logged<T extends string, D> {
  t: T;
  o: number;
  at: string;
  d: D;
}

export type RoomEvent =
  | Logged<"show.changed", { show: Show }>
  | Logged<"product.pinned", { product_id: string; at: string }>
  | Logged<"product.unpinned", { at: string }>
  | Logged<"lineup.changed", { show: Show; products: Product[] }>
  | Logged<"product.changed", { product: Product }>
  | Logged<"stock.changed", { variant_id: string; product_id: string; available: number }>
  | Logged<"chat.message", { message: ChatMessage }>
  | Logged<"chat.deleted", { message_id: string }>
  | Logged<"chat.sanctioned", { viewer_id: string; kind: "mute" | "ban" | "lifted"; until: string | null }>
  | Logged<"chat.message_pinned", { message: ChatMessage | null }>
  | Logged<"chat.configured", { settings: ChatSettings }>
  | Logged<"order.placed", { first_name: string; product_id: string; product_title: string }>;

export type Tick =
  | { t: "viewers"; at?: string; d: { count: number } }
  | { t: "hearts"; at?: string; d: { total: number; added: number } };

export interface CommandError {
  code: string;
  message: string;
  retryable: boolean;
  retry_after: number | null;
  data: Record<string, unknown> | null;
}

export interface Commands {
  "chat.send": { args: { text: string }; ok: { message_id: string } };
  "chat.delete": { args: { message_id: string }; ok: Record<string, never> };
  "chat.mute": { args: { viewer_id: string; seconds: number }; ok: Record<string, never> };
  "chat.ban": { args: { viewer_id: string }; ok: Record<string, never> };
  "chat.unban": { args: { viewer_id: string }; ok: Record<string, never> };
  "chat.pin": { args: { message_id: string | null }; ok: Record<string, never> };
  "chat.configure": { args: Partial<ChatSettings>; ok: Record<string, never> };
  "reaction.send": { args: { count: number }; ok: Record<string, never> };
  ping: { args: Record<string, never>; ok: { at: string } };
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  data: Record<string, unknown> | null;
  request_id: string;
}
