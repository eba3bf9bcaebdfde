// Wire shapes of the Liveshop API and of the realtime protocol `liveshop.v1`.
// Written by `make types` from the server's structs; change those, not this file.

export interface Address {
  name: string;
  line1: string;
  postal_code: string;
  city: string;
  country: string;
  line2?: string | null;
}

export interface ApiKey {
  id: string;
  name: string;
  permissions: string[];
  created_by: string;
  created_at: string;
  expires_at: string | null;
}

export interface ApiKeyInput {
  name: string;
  permissions: string[];
  expires_at?: string | null;
}

export interface ApiKeyList {
  keys: ApiKey[];
}

export interface Cart {
  id: string;
  currency: string;
  lines: CartLine[];
  subtotal: MoneyOut;
  held_until: string | null;
  at: string;
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
  unit_price: MoneyOut;
  compare_at: MoneyOut | null;
  total: MoneyOut;
  hold: "held" | "lapsed";
  held_until: string | null;
  available: number;
  show_id: string | null;
}

export interface ChatBan {
  viewer_id: string;
}

export interface ChatConfigure {
  slow_mode_seconds?: number;
  links_allowed?: boolean;
  paused?: boolean;
}

export interface ChatConfigured {
  settings: ChatSettings;
}

export interface ChatDelete {
  message_id: string;
}

/** A deleted message is a tombstone: its text is empty. */
export interface ChatMessage {
  id: string;
  author_id: string;
  name: string;
  role: "customer" | "guest" | "host" | "moderator";
  text: string;
  at: string;
  deleted: boolean;
}

export interface ChatMute {
  viewer_id: string;
  seconds: number;
}

export interface ChatPin {
  message_id: string | null;
}

export interface ChatSend {
  text: string;
}

export interface ChatSent {
  message_id: string;
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

export interface ChatUnban {
  viewer_id: string;
}

/** Why a command was refused, and whether sending it again can help. */
export interface ErrorOut {
  code: string;
  message: string;
  retryable: boolean;
  retry_after: number | null;
  data: Record<string, unknown>;
}

export interface ExpectedLine {
  variant_id: string;
  quantity: number;
}

/** Send `token` as `Authorization: Bearer ...`; `name` is shown in chat and can be changed. */
export interface GuestToken {
  token: string;
  viewer_id: string;
  name: string;
  expires_at: string;
}

export interface HeartsChanged {
  total: number;
  added: number;
}

/** The first frame. Logged events of this connection begin after `offset`. */
export interface Hello {
  t: string;
  epoch: string;
  offset: number;
  at: string;
  you: You;
}

/** A picture with its renditions, the best format first; `src` is for who knows no `srcset`. */
export interface Image {
  id: string;
  alt: string;
  width: number;
  height: number;
  src: string;
  sources: ImageSource[];
}

export interface ImageSource {
  type: "image/avif" | "image/jpeg" | "image/webp";
  srcset: string;
}

export interface ImportProblem {
  line: number;
  source_id: string | null;
  reason: string;
}

/** `rows` were read; `failed` of them did not land, `unchanged` said nothing new. `problems` are the first thousand of `problems_total`. */
export interface ImportReport {
  rows: number;
  products_created: number;
  products_updated: number;
  unchanged: number;
  failed: number;
  problems: ImportProblem[];
  problems_total: number;
}

export interface LineInput {
  variant_id: string;
  quantity?: number;
  show_id?: string | null;
}

export interface Lineup {
  product_ids: string[];
}

export interface LineupChanged {
  show: Show;
  products: Product[];
}

export interface Location {
  id: string;
  name: string;
  kind: "store" | "warehouse";
  priority: number;
}

export interface Locations {
  locations: Location[];
}

/** Whoever the token, key or session speaks for; `viewer_id` for guests and customers only. */
export interface Me {
  kind: "api_key" | "customer" | "guest" | "staff";
  viewer_id: string | null;
  name: string;
  permissions: string[];
}

export interface MessageDeleted {
  message_id: string;
}

export interface MessagePage {
  messages: ChatMessage[];
}

export interface MessagePinned {
  message: ChatMessage | null;
}

export interface MessagePosted {
  message: ChatMessage;
}

/** Money on the wire: whole minor units (cents) and the ISO 4217 code. */
export interface MoneyOut {
  amount: number;
  currency: string;
}

export interface NameChange {
  name: string;
}

/** `secret` is shown this once; only its hash is kept. */
export interface NewApiKey {
  key: ApiKey;
  secret: string;
}

export interface Numbers {
  viewers: number;
  peak_viewers: number;
  messages: number;
  hearts: number;
  orders: number;
  revenue: MoneyOut;
  carts: number;
}

export interface Order {
  id: string;
  number: string;
  state: "cancelled" | "confirmed" | "payment_failed" | "pending";
  placed_at: string;
  email: string;
  address: Address;
  lines: OrderLine[];
  subtotal: MoneyOut;
  shipping: MoneyOut;
  taxes: TaxLine[];
  total: MoneyOut;
  payment: Payment;
  show_id: string | null;
}

export interface OrderInput {
  expected_total: MoneyOut;
  email: string;
  address: Address;
  payment: PaymentInput;
  show_id?: string | null;
  language?: "de" | "en";
  expected_lines?: ExpectedLine[] | null;
}

export interface OrderLine {
  variant_id: string;
  product_id: string;
  title: string;
  values: string[];
  sku: string;
  quantity: number;
  unit_price: MoneyOut;
  total: MoneyOut;
}

export interface OrderPage {
  orders: Order[];
  next: string | null;
}

/** `order.placed` in the room: a first name and a product, nothing more. */
export interface OrderPlaced {
  first_name: string;
  product_id: string;
  product_title: string;
}

export interface Payment {
  id: string;
  method: string;
  state: "authorised" | "declined" | "paid" | "pending";
  reference: string | null;
  message: string | null;
}

export interface PaymentInput {
  method: string;
  card_number?: string | null;
}

export interface PaymentMethodChoice {
  id: string;
  test: boolean;
}

export interface Pin {
  product_id: string | null;
  at: string;
}

export interface PinInput {
  product_id: string;
}

export type Ping = Record<string, never>;

export interface Pong {
  at: string;
}

/** RFC 9457 problem details, as `application/problem+json`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  data: Record<string, unknown>;
  request_id: string;
  retry_after?: number | null;
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

export interface ProductChanged {
  product: Product;
}

/** `version` is the one that was read: the product is replaced only if it still is. */
export interface ProductInput {
  title: string;
  variants: VariantInput[];
  options?: ProductOption[];
  description_html?: string;
  brand?: string | null;
  category?: string | null;
  url?: string | null;
  image_ids?: string[];
  active?: boolean;
  version?: number | null;
}

export interface ProductOption {
  name: string;
  values: string[];
}

export interface ProductPinned {
  product_id: string;
  at: string;
}

export interface ProductUnpinned {
  at: string;
}

export interface Products {
  products: Product[];
  next: string | null;
}

export interface QuantityInput {
  quantity: number;
}

export interface Quote {
  lines: QuoteLine[];
  explanation: QuoteStep[];
  subtotal: MoneyOut;
  shipping: MoneyOut;
  taxes: TaxLine[];
  total: MoneyOut;
  country: string;
  at: string;
}

export interface QuoteInput {
  country: string;
  language?: "de" | "en";
}

export interface QuoteLine {
  line_id: string;
  variant_id: string;
  title: string;
  quantity: number;
  unit_price: MoneyOut;
  total: MoneyOut;
}

/** One step of the way to the total: the amounts of all steps add up to it. */
export interface QuoteStep {
  text: string;
  amount: MoneyOut;
}

export interface ReactionSend {
  count: number;
}

export interface Reminder {
  id: string;
  show_id: string;
  email: string;
}

export interface ReminderInput {
  email: string;
  consent: boolean;
  language?: "de" | "en";
  wording?: string;
}

/** A mute holds in one show, a ban in the whole shop; `until` null: until it is lifted. */
export interface Sanction {
  viewer_id: string;
  name: string;
  kind: "ban" | "mute";
  until: string | null;
  by: string;
  at: string;
}

export interface SanctionList {
  sanctions: Sanction[];
}

/** `csrf_token` goes into the header X-CSRF-Token of every unsafe request. */
export interface Session {
  staff: Staff;
  csrf_token: string;
  expires_at: string;
}

export interface ShippingCountry {
  code: string;
  shipping: MoneyOut;
}

export interface Shop {
  name: string;
  currency: string;
  languages: string[];
  countries: ShippingCountry[];
  payment_methods: PaymentMethodChoice[];
  hold_seconds: number;
  reminders: boolean;
  demo: boolean;
}

export interface Show {
  id: string;
  title: string;
  description: string;
  state: "draft" | "ended" | "live" | "replay" | "scheduled";
  languages: string[];
  time_zone: string;
  starts_at: string | null;
  started_at: string | null;
  ended_at: string | null;
  host_name: string;
  cover: Image | null;
  lineup: string[];
  replay_url: string | null;
  hls: string | null;
  page: string;
  version: number;
}

/** What is left out stays as it is. */
export interface ShowChange {
  title?: string;
  description?: string;
  languages?: string[];
  time_zone?: string;
  starts_at?: string | null;
  host_name?: string;
  cover_id?: string | null;
  replay_url?: string | null;
}

export interface ShowChanged {
  show: Show;
}

export interface ShowInput {
  title: string;
  description?: string;
  languages?: string[] | null;
  time_zone?: string;
  starts_at?: string | null;
  host_name?: string;
  cover_id?: string | null;
  product_ids?: string[];
  replay_url?: string | null;
}

export interface ShowPage {
  shows: Show[];
}

export interface SignIn {
  email: string;
  password: string;
}

/** `token` is the JWT in which the storefront vouches for its signed-in customer. */
export interface SignOn {
  token: string;
}

/** Apply the events of `epoch` after `offset` to this and it stays what a fresh one is. */
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

export interface Staff {
  id: string;
  name: string;
  email: string;
  roles: string[];
  permissions: string[];
  active: boolean;
  created_at: string;
}

/** What is left out stays as it is. */
export interface StaffChange {
  name?: string;
  roles?: ("admin" | "host" | "merchant" | "moderator")[];
  active?: boolean;
  password?: string;
}

export interface StaffInput {
  email: string;
  name: string;
  password: string;
  roles: ("admin" | "host" | "merchant" | "moderator")[];
}

export interface StaffList {
  staff: Staff[];
}

export interface StateChange {
  to: "draft" | "ended" | "live" | "replay" | "scheduled";
}

export interface Stock {
  stock: StockAt[];
}

export interface StockAt {
  location_id: string;
  on_hand: number;
  held: number;
  available: number;
}

export interface StockChanged {
  variant_id: string;
  product_id: string;
  available: number;
}

export interface StockInput {
  location_id: string;
  on_hand: number;
}

export interface TaxLine {
  rate: string;
  basis: MoneyOut;
  amount: MoneyOut;
}

/** `values` in the order of the product's options; `image_index` counts from 0. */
export interface Variant {
  id: string;
  sku: string;
  gtin: string | null;
  values: string[];
  price: MoneyOut;
  compare_at: MoneyOut | null;
  tax_class: "reduced" | "standard" | "zero";
  available: number;
  image_index: number | null;
}

/** `id` names a variant to keep when a product is replaced; without it the SKU does. */
export interface VariantInput {
  sku: string;
  price: MoneyOut;
  values?: string[];
  gtin?: string | null;
  compare_at?: MoneyOut | null;
  tax_class?: "reduced" | "standard" | "zero";
  image_index?: number | null;
  id?: string | null;
}

/** `ban`: clients blank every message of this viewer. */
export interface ViewerSanctioned {
  viewer_id: string;
  kind: "ban" | "lifted" | "mute";
  until: string | null;
}

export interface ViewersChanged {
  count: number;
}

/** Whom the server takes the connection for. `viewer_id` is also the author id in chat. */
export interface You {
  kind: string;
  viewer_id: string | null;
  name: string | null;
  permissions: string[];
}


export type Money = MoneyOut;
export type Tax = TaxLine;
export type Country = ShippingCountry;
export type CommandError = ErrorOut;
export type ShowState = Show["state"];
export type OrderState = Order["state"];
export type PaymentState = Payment["state"];
export type ChatRole = ChatMessage["role"];
export type PaymentMethod = PaymentMethodChoice["id"];

/** An event of the room's log: `o` is its number. */
interface Logged<T extends string, D> {
  t: T;
  o: number;
  at: string;
  d: D;
}

export type RoomEvent =
  | Logged<"show.changed", ShowChanged>
  | Logged<"lineup.changed", LineupChanged>
  | Logged<"product.pinned", ProductPinned>
  | Logged<"product.unpinned", ProductUnpinned>
  | Logged<"product.changed", ProductChanged>
  | Logged<"stock.changed", StockChanged>
  | Logged<"chat.message", MessagePosted>
  | Logged<"chat.deleted", MessageDeleted>
  | Logged<"chat.sanctioned", ViewerSanctioned>
  | Logged<"chat.message_pinned", MessagePinned>
  | Logged<"chat.configured", ChatConfigured>
  | Logged<"order.placed", OrderPlaced>;

/** Not logged: at most one a second. */
export type Tick =
  | { t: "viewers"; at?: string; d: ViewersChanged }
  | { t: "hearts"; at?: string; d: HeartsChanged };

export interface Commands {
  ping: { args: Ping; ok: Pong };
  "chat.send": { args: ChatSend; ok: ChatSent };
  "chat.delete": { args: ChatDelete; ok: Record<string, never> };
  "chat.mute": { args: ChatMute; ok: Record<string, never> };
  "chat.ban": { args: ChatBan; ok: Record<string, never> };
  "chat.unban": { args: ChatUnban; ok: Record<string, never> };
  "chat.pin": { args: ChatPin; ok: Record<string, never> };
  "chat.configure": { args: ChatConfigure; ok: Record<string, never> };
  "reaction.send": { args: ReactionSend; ok: Record<string, never> };
}
