// Wire shapes of the Liveshop API and of the realtime protocol `liveshop.v1`.
// Written by `make types` from the server's structs; change those, not this file.

/** Who collects in a store need only give a name and the store's country. */
export interface Address {
  name: string;
  country: string;
  line1?: string;
  postal_code?: string;
  city?: string;
  line2?: string | null;
}

/** Off every unit. */
export interface AmountOff {
  type: "amount_off";
  amount: MoneyOut;
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

export interface AuthorisationStart {
  url: string;
}

export interface BundlePart {
  variant_id: string;
  product_id: string;
  title: string;
  sku: string;
  quantity: number;
}

export interface BundlePartInput {
  variant_id: string;
  quantity?: number;
}

/** For `buy` units at their price, `get` more with `off_permille` off; 1000 is free. */
export interface BuyXGetY {
  type: "buy_x_get_y";
  buy: number;
  get: number;
  off_permille?: number;
}

/** `subtotal` sums the lines; `goods` is after `order_discounts`. Neither shipping nor tax that comes on top is in it: ask for a quote. */
export interface Cart {
  id: string;
  currency: string;
  lines: CartLine[];
  subtotal: MoneyOut;
  order_discounts: Discount[];
  goods: MoneyOut;
  codes: CartCode[];
  held_until: string | null;
  can_extend: boolean;
  at: string;
}

/** A code in the cart. `reason` says why it takes nothing off at the moment; null: it does. */
export interface CartCode {
  code: string;
  reason: "does_not_apply" | "exhausted" | "expired" | "not_combinable" | "not_yet" | "unknown" | null;
}

/** `list_price` is without promotions, `unit_price` that of the first unit with them; `total` is after the line's discounts. `hold` is `none` where the show is first paid, first served. `available` is what others have left: it does not count what this line holds. */
export interface CartLine {
  id: string;
  product_id: string;
  variant_id: string;
  title: string;
  values: string[];
  sku: string;
  image: Image | null;
  quantity: number;
  list_price: MoneyOut;
  unit_price: MoneyOut;
  tier: PriceTier | null;
  discounts: Discount[];
  total: MoneyOut;
  hold: "held" | "lapsed" | "none";
  held_until: string | null;
  can_extend: boolean;
  available: number;
  max_quantity: number;
  show_id: string | null;
}

/** One thing a sync would do, or will not do and why. */
export interface Change {
  variant_id: string;
  product_id: string;
  title: string;
  action: "hide" | "publish" | "skip" | "update" | "withdraw";
  reason?: string | null;
  fields?: string[];
}

/** What one channel says; `text` in the language of the request. */
export interface ChannelPreview {
  channel: "feed" | "show" | "social" | "storefront";
  price: MoneyOut;
  is_reduced: boolean;
  text: string;
}

/** A product's moment, or what lies between two of them. */
export interface Chapter {
  product_id: string | null;
  title: string;
  from_at: string;
  until_at: string;
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

/** What the player needs to let the buyer confirm the payment; only in answers to the buyer. */
export interface ClientStep {
  secret: string;
  options: Record<string, string>;
}

export interface CodeInput {
  code: string;
}

/** `items` null: all that is ready. `paid`: the money was taken at the till just now. */
export interface CollectInput {
  items?: HandedOver[] | null;
  paid?: boolean;
  store_id?: string | null;
}

/** A field of a connector's configuration, for the form that asks for it. */
export interface ConfigField {
  name: string;
  title: string;
  description: string;
  kind: "choice" | "number" | "secret" | "switch" | "text";
  is_required: boolean;
  choices?: string[];
  default?: string | number | boolean | null;
}

export interface Connection {
  id: string;
  connector: string;
  connector_title: string;
  title: string;
  roles: ("channel" | "feed" | "file_source" | "poster" | "source" | "stage")[];
  config: Record<string, unknown>;
  secrets_set: string[];
  state: "active" | "attention" | "paused" | "removed";
  attention: string | null;
  language: string;
  needs_authorisation: boolean;
  listings: Record<string, number>;
  feed_url: string | null;
  feed_fetched_at: string | null;
  whole_at: string | null;
  is_leaving: boolean;
  run: Run | null;
  version: number;
}

/** `config`: only the fields that change; a secret left out stays as it is. */
export interface ConnectionChange {
  version?: number | null;
  title?: string | null;
  config?: Record<string, unknown> | null;
  language?: string | null;
}

export interface ConnectionInput {
  connector: string;
  title: string;
  config: Record<string, unknown>;
  language?: string;
  is_paused?: boolean;
}

export interface Connections {
  connections: Connection[];
}

/** An installed connector. */
export interface Connector {
  name: string;
  title: string;
  roles: ("channel" | "feed" | "file_source" | "poster" | "source" | "stage")[];
  needs_authorisation: boolean;
  fields: ConfigField[];
  problem?: string | null;
}

export interface Connectors {
  connectors: Connector[];
}

/** How the goods are to reach the buyer: shipped, or collected at a store. */
export interface DeliveryInput {
  kind?: "pickup" | "ship";
  store_id?: string | null;
}

/** A way in which this cart can reach its buyer, or why it cannot (`problem`). `here`: how much of it lies in the store already; the rest is sent there. */
export interface DeliveryOption {
  kind: "pickup" | "ship";
  store_id: string | null;
  title: string;
  address: string;
  hours_today: [string, string][] | null;
  price: MoneyOut | null;
  promise: PromiseOut | null;
  here: "all" | "none" | "some" | null;
  problem: string | null;
  payment_methods: string[];
  time_zone?: string | null;
}

export interface DeliveryOptions {
  options: DeliveryOption[];
  at: string;
}

/** Where video can be sent to. `connection_id`: that connection supplies address and key. */
export interface Destination {
  id: string;
  name: string;
  url: string;
  has_key: boolean;
  connection_id: string | null;
  created_at: string;
}

/** What is left out stays as it is. With another `url` comes its `key`: a stored key is sent to no other server. */
export interface DestinationChange {
  name?: string;
  url?: string;
  key?: string;
}

/** `url` and `key` as the platform shows them, or a `connection_id` instead of both. */
export interface DestinationInput {
  name: string;
  url?: string;
  key?: string | null;
  connection_id?: string | null;
}

export interface DestinationList {
  destinations: Destination[];
}

/** What is missing, one sentence each; empty: it works. */
export interface Diagnosis {
  missing: string[];
}

/** What a promotion takes off; `amount` is below zero. `texts`: its name by language. */
export interface Discount {
  promotion_id: string;
  texts: Record<string, string>;
  units: number;
  amount: MoneyOut;
}

export interface Drift {
  field: string;
  ours: string;
  theirs: string;
}

/** How long this person's camera and encoder take before a picture is sent; `set_at` is null while nobody has measured it. */
export interface EncoderDelay {
  milliseconds: number;
  set_at: string | null;
}

export interface EncoderDelayInput {
  milliseconds: number;
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

/** `reference`: under which number the order was entered at the source by hand; null: send it again. */
export interface ExportSettlement {
  reference?: string | null;
}

export interface Feedback {
  effort: number | null;
  satisfaction: number | null;
  comment: string | null;
  at: string;
}

export interface FeedbackInput {
  effort?: number | null;
  satisfaction?: number | null;
  comment?: string | null;
}

/** Answers to one question. A mean of few answers says little: `count` is always told. */
export interface FeedbackNumbers {
  count: number;
  mean: number | null;
  distribution: number[];
}

/** `effort`: 1 very hard to 7 very easy (CES 2.0). `satisfaction`: 1 to 5 (CSAT). */
export interface FeedbackSummary {
  count: number;
  effort: FeedbackNumbers;
  satisfaction: FeedbackNumbers;
  satisfied: number | null;
  comments: number;
}

/** `clip`: of a product's moment, or from `from_at` until `until_at`, ten minutes at most; the others of the whole. `is_vertical` (clip): cropped to 9:16. `is_loudness_normal` (clip, mp4): brought to -16 LUFS. */
export interface FileInput {
  kind: "clip" | "mp4" | "poster" | "sprites";
  product_id?: string | null;
  from_at?: string | null;
  until_at?: string | null;
  is_vertical?: boolean;
  is_loudness_normal?: boolean;
}

/** What a unit costs instead, unless it is cheaper already. */
export interface FixedPrice {
  type: "fixed_price";
  price: MoneyOut;
}

/** `from_goods`: only from this value of goods on. */
export interface FreeShipping {
  type: "free_shipping";
  from_goods?: MoneyOut | null;
}

export interface Fulfilment {
  id: string;
  order_id: string;
  order_number: string;
  kind: "pickup_in_store" | "ship_from_store" | "ship_from_warehouse" | "ship_to_store";
  state: "cancelled" | "collected" | "delivered" | "open" | "ready" | "released" | "shipped";
  location_id: string;
  location: string;
  store_id: string | null;
  store: string | null;
  recipient: string;
  items: FulfilmentItem[];
  carrier: string | null;
  tracking: string | null;
  collect_until: string | null;
  promise: PromiseOut | null;
  created_at: string;
  updated_at: string;
}

export interface FulfilmentItem {
  position: number;
  variant_id: string;
  pieces: number;
  title: string;
  sku: string;
}

export interface Fulfilments {
  fulfilments: Fulfilment[];
  next?: string | null;
}

/** Send `token` as `Authorization: Bearer ...`; `name` is shown in chat and can be changed. */
export interface GuestToken {
  token: string;
  viewer_id: string;
  name: string;
  expires_at: string;
}

export interface HandedOver {
  fulfilment_id: string;
  position: number;
  variant_id: string;
  pieces: number;
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

/** When it is open, in local time: by ISO weekday (`1`: Monday) and, before that, by date. */
export interface Hours {
  weekly: Record<string, [string, string][]>;
  exceptions?: Record<string, [string, string][]>;
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

/** So many of the line are refunded, so many of these go back to where they can be sold. */
export interface InspectedLine {
  position: number;
  accepted: number;
  restocked: number;
}

export interface InspectionInput {
  location_id: string;
  lines: InspectedLine[];
  refund_shipping?: boolean;
  deduction?: MoneyOut | null;
  note?: string | null;
}

/** To a rehearsal, for as long as it goes on. Whoever has it can take part. */
export interface Invitation {
  code: string;
  url: string;
  qr: string;
}

export interface InvitationInput {
  invitation: string;
}

/** Null: until somebody deletes it. */
export interface Keep {
  until: string | null;
}

/** What the last order of a viewer said, so that nobody types it twice; `pending` is an order whose payment waits for him. */
export interface KnownBuyer {
  email: string | null;
  address: Address | null;
  delivery: DeliveryInput | null;
  method: string | null;
  pending: Order | null;
}

/** One destination of a show. `off`: not wanted; `waiting`: wanted, and there is no picture to send; `retrying` again at `retry_at`; `refused`: the other side does not want it, which somebody has to mend (it is tried again all the same), or with reason `customers` the show is not for everyone. `reason` and, in English, `detail` say what is wrong. */
export interface Leg {
  destination_id: string;
  name: string;
  is_on: boolean;
  state: "connecting" | "live" | "off" | "refused" | "retrying" | "waiting";
  since: string | null;
  kbit_per_second: number | null;
  left_out_seconds: number;
  reconnects: number;
  retry_at: string | null;
  reason: "address" | "busy" | "certificate" | "connection" | "customers" | "cut" | "hangs" | "key_refused" | "no_answer" | "not_rtmp" | "other" | "private" | "unreachable" | null;
  detail: string | null;
}

export interface LegSwitch {
  is_on: boolean;
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

export interface ListedProduct {
  product_id: string;
  title: string;
  price: MoneyOut | null;
  listings: Listing[];
}

export interface ListedProducts {
  products: ListedProduct[];
  next: string | null;
}

/** One variant on one channel. */
export interface Listing {
  connection_id: string;
  variant_id: string;
  sku: string;
  values: string[];
  state: "drifted" | "live" | "paused" | "pending" | "rejected" | "sent" | "withdrawn";
  since: string;
  reason: string | null;
  drift: Drift | null;
  remote_id: string | null;
  read_at: string | null;
  next_at: string | null;
}

export interface Location {
  id: string;
  name: string;
  kind: "store" | "warehouse";
  priority: number;
  address: LocationAddress | null;
  hours: Hours | null;
  time_zone: string | null;
  phone: string | null;
  is_pickup: boolean;
  is_shipping: boolean;
}

export interface LocationAddress {
  line1: string;
  postal_code: string;
  city: string;
  country: string;
  line2?: string | null;
}

export interface LocationInput {
  name: string;
  kind: "store" | "warehouse";
  priority?: number;
  address?: LocationAddress | null;
  hours?: Hours | null;
  time_zone?: string | null;
  phone?: string | null;
  is_pickup?: boolean;
  is_shipping?: boolean;
}

export interface Locations {
  locations: Location[];
}

/** What became of a show's video. `data`, where known: width, height, video, audio, reason, code, detail, person_name, `seconds` away, and `is_preview` while the show was not live. */
export interface LogEntry {
  at: string;
  kind: "back" | "changed" | "lost" | "refused" | "replaced" | "started";
  data: Record<string, unknown>;
}

/** `sent`: the mail server has taken it. `kept`: nothing is configured that sends. */
export interface Mail {
  id: string;
  kind: string;
  order_id: string | null;
  recipient: string;
  language: string;
  subject: string;
  state: "failed" | "kept" | "queued" | "sent";
  problem: string | null;
  created_at: string;
  sent_at: string | null;
}

/** A mail as its reader sees it; pictures inside `html` are data addresses. Nothing (an empty text) once it is older than `mail.keep_days`. */
export interface MailText {
  mail: Mail;
  text: string;
  html: string | null;
}

export interface Mails {
  mails: Mail[];
  next: string | null;
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

/** So many messages of a crowd are not shown to this viewer; the record has them. */
export interface MessagesOmitted {
  count: number;
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

/** `secret` is what an encoder calls the stream key. It is shown this once; only its hash is kept. */
export interface NewStreamKey {
  server: string | null;
  secret: string;
  key: StreamKey;
}

export interface NextConnectionState {
  to: "abandoned" | "active" | "paused" | "removed";
}

/** Why, for the order's history. */
export interface NoteInput {
  note?: string | null;
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

/** `units_left` counts down as carts take them and up as they let go; null: no limit. */
export interface Offer {
  id: string;
  product_id: string;
  variant_ids: string[];
  texts: Record<string, string>;
  kind: PercentOff | AmountOff | FixedPrice;
  starts_at: string;
  ends_at: string;
  units: number | null;
  units_left: number | null;
  is_running: boolean;
}

export interface OfferEnded {
  offer_id: string;
  product: Product;
  reason: "stopped" | "time";
}

/** A price for a product of the lineup, in this show alone, for `seconds` from now. `units`: for so many units; null: for all. Without `variant_ids` it is for all variants. `texts`: its name by language; left out: the product's title. */
export interface OfferInput {
  product_id: string;
  kind: PercentOff | AmountOff | FixedPrice;
  seconds: number;
  variant_ids?: string[];
  units?: number | null;
  per_customer?: number | null;
  texts?: Record<string, string>;
}

/** The product as viewers would see it, with what to think of before starting. */
export interface OfferPreview {
  product: Product;
  warnings: PriceWarning[];
}

export interface OfferStarted {
  offer: Offer;
  product: Product;
}

export interface Offers {
  offers: Offer[];
  at: string;
}

export interface OptionsInput {
  country: string;
  language?: "de" | "en";
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
  tax_added: MoneyOut;
  total: MoneyOut;
  explanation: OrderStep[];
  payment: Payment;
  show_id: string | null;
  language: string;
  delivery: "pickup" | "ship";
  store_id: string | null;
  pickup_code: string | null;
  promise: PromiseOut | null;
  invoice_number: string | null;
  is_rehearsal: boolean;
}

export interface OrderAmountOff {
  type: "order_amount_off";
  amount: MoneyOut;
}

export interface OrderEvent {
  at: string;
  actor: "buyer" | "provider" | "staff" | "system";
  actor_name: string | null;
  kind: string;
  data: Record<string, string | number | boolean | null>;
  note: string | null;
}

export interface OrderExport {
  order_id: string;
  connection_id: string;
  state: "cancelled" | "placed" | "refused" | "waiting";
  reference: string | null;
  reason: string | null;
}

export interface OrderExports {
  exports: OrderExport[];
}

export interface OrderInput {
  expected_total: MoneyOut;
  email: string;
  address: Address;
  payment: PaymentInput;
  show_id?: string | null;
  language?: "de" | "en";
  expected_lines?: ExpectedLine[] | null;
  delivery?: DeliveryInput;
  expected_until?: string | null;
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
  payable: MoneyOut;
}

/** `url` plays the show from the moment the order came about. */
export interface OrderMoment {
  at: string;
  url: string;
}

/** `fulfilments`: the states of each order's, by its id; an order without any is not in it. */
export interface OrderPage {
  orders: Order[];
  next: string | null;
  fulfilments?: Record<string, ("cancelled" | "collected" | "delivered" | "open" | "ready" | "released" | "shipped")[]>;
}

export interface OrderPercentOff {
  type: "order_percent_off";
  permille: number;
}

/** `order.placed` in the room: a first name and a product, nothing more. */
export interface OrderPlaced {
  first_name: string;
  product_id: string;
  product_title: string;
}

/** What became of an order: `events` for staff only (empty for the buyer). */
export interface OrderProgress {
  order: Order;
  store: string | null;
  fulfilments: Fulfilment[];
  refunds: RefundOut[];
  returns: Return[];
  returnable: Returnable[];
  returnable_until: string | null;
  feedback: Feedback | null;
  status_url: string | null;
  moment: OrderMoment | null;
  events: OrderEvent[];
}

/** One step of the way to the total, in the buyer's words. */
export interface OrderStep {
  text: string;
  amount: MoneyOut;
}

export interface Payment {
  id: string;
  method: string;
  state: "action_required" | "authorised" | "declined" | "paid" | "pending" | "processing" | "voided";
  reference: string | null;
  message: string | null;
  amount: MoneyOut;
  capture: "later" | "now";
  captured: MoneyOut;
  refunded: MoneyOut;
  expires_at: string | null;
  problem: string | null;
  dispute: string | null;
  client?: ClientStep | null;
}

export interface PaymentInput {
  method: string;
  card_number?: string | null;
}

/** `options` is what the player must know to offer it, such as a publishable key. */
export interface PaymentMethodChoice {
  id: string;
  test: boolean;
  deliveries: ("pickup" | "ship")[];
  options: Record<string, string>;
}

export interface PercentOff {
  type: "percent_off";
  permille: number;
}

/** What staff sees who has scanned a pickup code. */
export interface Pickup {
  order_id: string;
  order_number: string;
  name: string;
  store_id: string;
  store: string;
  items: PickupItem[];
  to_pay: MoneyOut | null;
  collected_at: string | null;
}

export interface PickupItem {
  fulfilment_id: string;
  position: number;
  variant_id: string;
  pieces: number;
  title: string;
  sku: string;
  state: "cancelled" | "collected" | "delivered" | "open" | "ready" | "released" | "shipped";
  is_here: boolean;
}

export interface Pin {
  product_id: string | null;
  at: string;
}

export interface PinInput {
  product_id: string;
}

export type Ping = Record<string, never>;

/** A place in the waitlist for one unit; `position` 1 is next. While it is `offered`, a unit is held for its owner alone until `offered_until`: adding the variant to the cart takes it. */
export interface Place {
  id: string;
  variant_id: string;
  product_id: string;
  title: string;
  values: string[];
  image: Image | null;
  state: "offered" | "waiting";
  position: number;
  joined_at: string;
  offered_until: string | null;
  show_id: string | null;
}

export interface Places {
  places: Place[];
  at: string;
}

/** A dry run: what a sync would do now. `changes` are the first hundred. */
export interface Plan {
  connection_id: string;
  checked: number;
  unchanged: number;
  publish: number;
  update: number;
  hide: number;
  withdraw: number;
  skip: number;
  requests: number;
  seconds: number;
  notes: string[];
  changes: Change[];
}

export interface Pong {
  at: string;
}

export interface Post {
  id: string;
  connection_id: string;
  kind: "announce" | "live_now" | "product_moment" | "reminder" | "replay";
  state: "cancelled" | "live" | "refused" | "removed" | "scheduled" | "sending" | "sent" | "unclear";
  since: string;
  reason: string | null;
  show_id: string | null;
  product_id: string | null;
  language: string;
  template: string | null;
  is_paid_partnership: boolean;
  text: string | null;
  url: string | null;
  when: "at" | "before_start" | "on_announced" | "on_live" | "on_pin" | "on_replay";
  send_at: string | null;
  created_at: string;
}

export interface PostImage {
  url: string;
  alt: string;
  width: number;
  height: number;
}

/** `when`: `at` sends at `send_at` (null: now); the others wait for the show, `before_start` so many minutes before it, and move with it. `template`: Jinja2, in place of that of the kind. */
export interface PostInput {
  connection_id: string;
  kind: "announce" | "live_now" | "product_moment" | "reminder" | "replay";
  show_id?: string | null;
  product_id?: string | null;
  language?: string | null;
  template?: string | null;
  is_paid_partnership?: boolean;
  when?: "at" | "before_start" | "on_announced" | "on_live" | "on_pin" | "on_replay";
  send_at?: string | null;
  minutes_before?: number | null;
}

/** Exactly what would be sent. */
export interface PostPreview {
  text: string;
  length: number;
  limit: number;
  link: string | null;
  images: PostImage[];
  cost: string | null;
  notes: string[];
  template: string;
}

export interface Posts {
  posts: Post[];
  next: string | null;
}

export interface Preview {
  variants: PreviewedVariant[];
  warnings: PriceWarning[];
}

/** `promotion_id`: which stored one this would replace. Without `product_ids` the first few that it is for are shown. */
export interface PreviewInput {
  promotion: PromotionInput;
  promotion_id?: string | null;
  product_ids?: string[];
}

export interface PreviewedVariant {
  product_id: string;
  variant_id: string;
  title: string;
  values: string[];
  list_price: MoneyOut;
  price_now: MoneyOut;
  price: MoneyOut;
  lowest_30_days: MoneyOut | null;
  channels: ChannelPreview[];
}

/** From `min_quantity` units on, each costs `price`. */
export interface PriceTier {
  min_quantity: number;
  price: MoneyOut;
}

/** Something to think of: allowed, but perhaps not meant. */
export interface PriceWarning {
  code: "free" | "more_than_stock" | "no_products" | "no_reduction" | "not_below_lowest" | "not_on_channels" | "sold_out";
  text: string;
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
  max_per_customer: number | null;
  active: boolean;
  version: number;
  fit?: "runs_large" | "runs_small" | null;
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
  max_per_customer?: number | null;
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

/** There, or ready in the store: not before, and not after. */
export interface PromiseOut {
  from: string;
  until: string;
}

/** `used` counts what orders took of `limit_total`, `claimed` what carts hold of it now. */
export interface Promotion {
  id: string;
  version: number;
  state: "active" | "paused";
  phase: "ended" | "exhausted" | "paused" | "planned" | "running";
  texts: Record<string, string>;
  kind: PercentOff | AmountOff | FixedPrice | BuyXGetY | OrderPercentOff | OrderAmountOff | FreeShipping;
  stacking: "exclusive" | "stackable";
  codes: string[];
  show_id: string | null;
  segment: string | null;
  product_ids: string[];
  variant_ids: string[];
  category: string | null;
  starts_at: string | null;
  ends_at: string | null;
  priority: number;
  group: string | null;
  limit_total: number | null;
  limit_per_customer: number | null;
  used: number;
  claimed: number;
  created_at: string;
  updated_at: string;
}

/** Automatic without `codes`. For everybody without `show_id` and `segment` (one of them at most); for all products without `product_ids`, `variant_ids` and `category` (one of them at most). `version` is the one that was read: it is replaced only if it still is. */
export interface PromotionInput {
  texts: Record<string, string>;
  kind: PercentOff | AmountOff | FixedPrice | BuyXGetY | OrderPercentOff | OrderAmountOff | FreeShipping;
  stacking?: "exclusive" | "stackable";
  codes?: string[];
  show_id?: string | null;
  segment?: string | null;
  product_ids?: string[];
  variant_ids?: string[];
  category?: string | null;
  starts_at?: string | null;
  ends_at?: string | null;
  priority?: number;
  group?: string | null;
  limit_total?: number | null;
  limit_per_customer?: number | null;
  version?: number | null;
}

/** A promotion that is in a price. `is_offer`: it is one of this show only. `units_left`: how many units can still be had at this price; null: no limit. `texts`: its name by language. */
export interface PromotionNote {
  id: string;
  texts: Record<string, string>;
  ends_at: string | null;
  units_left: number | null;
  is_offer: boolean;
}

export interface Promotions {
  promotions: Promotion[];
  next: string | null;
}

export interface QuantityInput {
  quantity: number;
}

export interface Quote {
  lines: QuoteLine[];
  explanation: QuoteStep[];
  codes: CartCode[];
  subtotal: MoneyOut;
  shipping: MoneyOut;
  taxes: TaxLine[];
  total: MoneyOut;
  country: string;
  at: string;
  delivery?: DeliveryOption | null;
}

export interface QuoteInput {
  country: string;
  language?: "de" | "en";
  delivery?: DeliveryInput;
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

/** For the show's staff. `seconds` is what can be played, without the gaps; `shortage` says in words why something is missing; `preview` is the address of all of it, trimmed or not, for the studio alone; `expires_at` null: it is kept until somebody deletes it. */
export interface Recording {
  show_id: string;
  state: "deleted" | "ended" | "none" | "recording";
  started_at: string | null;
  ended_at: string | null;
  seconds: number;
  bytes: number;
  gaps: number;
  shortage: string | null;
  trim: Trim;
  expires_at: string | null;
  is_archived: boolean;
  loudness_lufs: number | null;
  preview: string | null;
  files: RecordingFile[];
}

/** Made from a recording: the whole of it (`mp4`), a product's moment (`clip`), pictures. `url` is there when it is `ready`; `detail` says in words why it failed. */
export interface RecordingFile {
  id: string;
  kind: "clip" | "mp4" | "poster" | "sprites";
  state: "failed" | "making" | "ready" | "waiting";
  percent: number;
  url: string | null;
  bytes: number | null;
  seconds: number | null;
  width: number | null;
  height: number | null;
  product_id: string | null;
  from_at: string | null;
  until_at: string | null;
  is_vertical: boolean;
  is_loudness_normal: boolean;
  detail: string | null;
  created_at: string;
}

export interface RefundInput {
  amount: MoneyOut;
  note: string;
}

export interface RefundOut {
  id: string;
  state: "done" | "due" | "failed" | "pending";
  amount: MoneyOut;
  cause: "cancelled" | "goodwill" | "late" | "not_collected" | "provider" | "returned";
  note: string | null;
  message: string | null;
  created_at: string;
  by_hand: boolean;
}

/** A guest's token, for this one show and until its rehearsal is over. */
export interface RehearsalGuest {
  token: string;
  viewer_id: string;
  name: string;
  expires_at: string;
  show_id: string;
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

/** Send these again, or with neither list everything that is rejected or drifted. */
export interface RepairInput {
  variant_ids?: string[] | null;
  product_ids?: string[] | null;
}

export interface Repaired {
  listings: number;
}

/** What a player shows beside the picture. Moments are times of the day, as in the playlist's EXT-X-PROGRAM-DATE-TIME. */
export interface Replay {
  show_id: string;
  hls: string;
  started_at: string;
  ended_at: string;
  seconds: number;
  poster: string | null;
  sprites: Sprites | null;
  chapters: Chapter[];
}

export interface Return {
  id: string;
  order_id: string;
  order_number: string;
  kind: "by_post" | "in_store";
  state: "received" | "refused" | "requested" | "withdrawn";
  location_id: string | null;
  note: string | null;
  lines: ReturnLine[];
  worth: MoneyOut | null;
  deduction: MoneyOut | null;
  refund: RefundOut | null;
  created_at: string;
  updated_at: string;
}

export interface ReturnInput {
  kind: "by_post" | "in_store";
  lines: ReturnLineInput[];
  note?: string | null;
}

export interface ReturnLine {
  position: number;
  title: string;
  sku: string;
  quantity: number;
  reason: "changed_mind" | "damaged" | "not_as_described" | "other" | "too_large" | "too_late" | "too_small" | "wrong_item";
  note: string | null;
  accepted: number | null;
  restocked: number | null;
}

export interface ReturnLineInput {
  position: number;
  quantity: number;
  reason: "changed_mind" | "damaged" | "not_as_described" | "other" | "too_large" | "too_late" | "too_small" | "wrong_item";
  note?: string | null;
}

/** How many units of a line may still be sent back, and what one is worth. */
export interface Returnable {
  position: number;
  title: string;
  values: string[];
  quantity: number;
  unit_refund: MoneyOut;
}

export interface Returns {
  returns: Return[];
  next?: string | null;
}

/** A piece of work with its progress; `total` is null while it is not known. */
export interface Run {
  id: string;
  connection_id: string;
  kind: "import" | "plan" | "push" | "read_back";
  state: "done" | "failed" | "running";
  started_at: string;
  ended_at: string | null;
  total: number | null;
  done: number;
  counts: Record<string, number>;
  problem: string | null;
}

export interface Runs {
  runs: Run[];
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

/** What a buyer does where a real provider asks him to confirm: he does, fails to, or leaves. */
export interface SandboxInput {
  outcome: "abandon" | "fail" | "succeed";
}

/** `csrf_token` goes into the header X-CSRF-Token of every unsafe request. */
export interface Session {
  staff: Staff;
  csrf_token: string;
  expires_at: string;
}

export interface ShipInput {
  carrier?: string | null;
  tracking?: string | null;
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
  hold_warning_seconds: number;
  hold_extensions: number;
  waitlist_seconds: number;
  reminders: boolean;
  demo: boolean;
  time_zone?: string;
}

/** `hls`: its video while it is live, or in a rehearsal, which began at `started_at` then. `replay`: what to play afterwards, which is `replay_url` where somebody gave one, and else the recording. */
export interface Show {
  id: string;
  title: string;
  description: string;
  state: "draft" | "ended" | "live" | "rehearsal" | "replay" | "scheduled";
  languages: string[];
  time_zone: string;
  starts_at: string | null;
  started_at: string | null;
  ended_at: string | null;
  host_name: string;
  cover: Image | null;
  lineup: string[];
  replay_url: string | null;
  replay: string | null;
  hls: string | null;
  page: string;
  after_rehearsal: "draft" | "ended" | "live" | "rehearsal" | "replay" | "scheduled" | null;
  hold_mode: "first_paid" | "hold_on_add";
  hold_seconds: number | null;
  audience: "customers" | "everyone";
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
  hold_mode?: "first_paid" | "hold_on_add";
  hold_seconds?: number | null;
  audience?: "customers" | "everyone";
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
  hold_mode?: "first_paid" | "hold_on_add";
  hold_seconds?: number | null;
  audience?: "customers" | "everyone";
}

/** Oldest first. */
export interface ShowLog {
  entries: LogEntry[];
}

export interface ShowPage {
  shows: Show[];
}

/** The posts a show has by itself, on each of these connections: one of each kind, once. */
export interface ShowPostsInput {
  connection_ids: string[];
  kinds: ("announce" | "live_now" | "product_moment" | "reminder" | "replay")[];
  reminder_minutes?: number | null;
  is_paid_partnership?: boolean;
}

export interface SignIn {
  email: string;
  password: string;
}

/** `token` is the JWT in which the storefront vouches for its signed-in customer. Claims: `sub`, `exp`, `aud`, where configured `iss`; and if it likes `name`, `email`, `locale` and `segments`, up to 20 short labels that promotions may ask for. */
export interface SignOn {
  token: string;
}

export interface Simulcast {
  legs: Leg[];
}

/** Apply the events of `epoch` after `offset` to this and it stays what a fresh one is. */
export interface Snapshot {
  epoch: string;
  offset: number;
  show: Show;
  products: Product[];
  pins: Pin[];
  video: VideoState;
  chat: ChatSnapshot;
  hearts: number;
  at: string;
  viewers: number;
}

/** One picture with `columns` small ones in each row; number n shows the moment `offsets_ms[n]` after `starts_at`. */
export interface Sprites {
  url: string;
  columns: number;
  width: number;
  height: number;
  starts_at: string;
  offsets_ms: number[];
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
  to: "draft" | "ended" | "live" | "rehearsal" | "replay" | "scheduled";
}

/** `ended` ends it now, for good. */
export interface StateInput {
  to: "active" | "ended" | "paused";
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

/** A store in which buyers collect. */
export interface Store {
  id: string;
  name: string;
  address: LocationAddress;
  hours: Hours;
  time_zone: string;
  phone: string | null;
}

export interface Stores {
  stores: Store[];
}

/** `hint`: the last characters of what was shown once. */
export interface StreamKey {
  person_id: string;
  person_name: string;
  hint: string;
  is_mine: boolean;
  created_at: string;
  last_used_at: string | null;
}

/** `server` is what an encoder asks for beside the key; null: this server takes no RTMP. */
export interface StreamKeys {
  server: string | null;
  keys: StreamKey[];
}

export interface TaxLine {
  included: boolean;
  rate: string;
  basis: MoneyOut;
  amount: MoneyOut;
}

/** What viewers see of a recording: from the last keyframe at or before `from_at`, up to the first one at or after `until_at`. Null: from its beginning, to its end. */
export interface Trim {
  from_at: string | null;
  until_at: string | null;
}

/** `values` in the order of the product's options; `image_index` counts from 0. `price` is what one unit costs here and now, `list_price` what it costs without promotions. `lowest_30_days` is given with every announced reduction: the lowest price of the 30 days before it (directive 98/6/EC, article 6a). `tiers` are prices now by quantity, `list_tiers` those without promotions. */
export interface Variant {
  id: string;
  sku: string;
  gtin: string | null;
  values: string[];
  price: MoneyOut;
  list_price: MoneyOut;
  compare_at: MoneyOut | null;
  lowest_30_days: MoneyOut | null;
  tiers: PriceTier[];
  list_tiers: PriceTier[];
  promotions: PromotionNote[];
  tax_class: "reduced" | "standard" | "zero";
  weight_grams: number;
  available: number;
  image_index: number | null;
  parts: BundlePart[];
}

/** When one unit of a variant could reach a buyer, by each way there is. */
export interface VariantDelivery {
  variant_id: string;
  options: DeliveryOption[];
  at: string;
}

/** `id` names a variant to keep when a product is replaced; without it the SKU does. `tiers` are list prices by quantity. A variant with `parts` is a bundle: it has no stock of its own and holds and sells its parts. */
export interface VariantInput {
  sku: string;
  list_price: MoneyOut;
  values?: string[];
  gtin?: string | null;
  compare_at?: MoneyOut | null;
  tax_class?: "reduced" | "standard" | "zero";
  image_index?: number | null;
  tiers?: PriceTier[];
  weight_grams?: number;
  parts?: BundlePartInput[];
  id?: string | null;
}

/** `preview`: it arrives, but the show is not live, so only its staff sees it. `away`: the show is live and its encoder is gone. Figures are null while they are not known. `recording` says in words why the show is not recorded now, or cannot be rewound so far; null: all is well. */
export interface VideoHealth {
  state: "away" | "none" | "on_air" | "preview";
  since: string | null;
  width: number | null;
  height: number | null;
  frame_rate: number | null;
  kbit_per_second: number | null;
  keyframe_seconds: number | null;
  video_codec: string | null;
  audio_codec: string | null;
  channels: number | null;
  sample_rate: number | null;
  level_dbfs: number | null;
  peak_dbfs: number | null;
  dropped_frames: number | null;
  dropped_last_minute: number | null;
  jitter_ms: number | null;
  capture_delay_ms: number | null;
  advice: ("bitrate_high" | "dropping" | "frame_rate_low" | "keyframes_rare" | "no_sound" | "picture_small" | "silent" | "too_loud" | "uplink_slow")[];
  recording: string | null;
}

/** The host's picture, for viewers. `none`: it has not come yet, or the show is not live; `on_air` since then; `away`: it was there, is gone since then, and is hoped for until `back_by`. After that nothing changes but words: the show is live until its host ends it. */
export interface VideoState {
  state: "away" | "none" | "on_air";
  since: string | null;
  back_by: string | null;
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

export interface WaitInput {
  variant_id: string;
  show_id?: string | null;
}

/** The turn of these places has come. A place's id is known to its owner alone. Who has another place for this variant may ask for it again later: thousands may have one. */
export interface WaitlistMoved {
  variant_id: string;
  product_id: string;
  place_ids: string[];
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

/** In place of the logged events `from` to `o`, which are not sent to this viewer. */
export interface More {
  t: "more";
  o: number;
  from: number;
  at?: undefined;
  d: MessagesOmitted;
}

export type RoomEvent =
  | More
  | Logged<"show.changed", ShowChanged>
  | Logged<"lineup.changed", LineupChanged>
  | Logged<"product.pinned", ProductPinned>
  | Logged<"product.unpinned", ProductUnpinned>
  | Logged<"product.changed", ProductChanged>
  | Logged<"stock.changed", StockChanged>
  | Logged<"offer.started", OfferStarted>
  | Logged<"offer.ended", OfferEnded>
  | Logged<"video.changed", VideoState>
  | Logged<"chat.message", MessagePosted>
  | Logged<"chat.deleted", MessageDeleted>
  | Logged<"chat.sanctioned", ViewerSanctioned>
  | Logged<"chat.message_pinned", MessagePinned>
  | Logged<"chat.configured", ChatConfigured>
  | Logged<"waitlist.moved", WaitlistMoved>
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
