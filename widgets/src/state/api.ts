// The HTTP side of Liveshop: one fetch wrapper, one error class, and the two ways to be somebody.
// Tokens travel in headers only, never in URLs or third-party cookies.

import type { GuestToken, Problem } from "../wire.gen";

/** Longer than the server waits for a payment provider (20 s by default): its answer must still be heard. */
const TIMEOUT_MS = 30_000;

/** Who the requests are made as. */
export interface Auth {
  readonly credentials: RequestCredentials;
  /** Adds what proves the identity; `unsafe` is true for methods that change something. */
  authorize(headers: Headers, unsafe: boolean): Promise<void>;
  /** The server answered 401. True: the identity was renewed, try once more. */
  refused(): Promise<boolean>;
}

export class ApiProblem extends Error {
  constructor(
    /** 0 when no answer came at all. */
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly data: Record<string, unknown>,
    /** Seconds, when the server asked to wait. */
    readonly retryAfter: number | null,
  ) {
    super(detail);
    this.name = "ApiProblem";
  }

  get unreachable(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

export interface RequestOptions {
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Sent as they are (imports, images) instead of JSON. */
  raw?: boolean;
}

export class Api {
  readonly base: string;

  constructor(
    base: string,
    readonly auth: Auth,
  ) {
    this.base = base.replace(/\/+$/, "");
  }

  get<T>(path: string, options?: RequestOptions): Promise<T> {
    return this.send<T>("GET", path, undefined, options);
  }

  post<T>(path: string, body?: unknown, options?: RequestOptions): Promise<T> {
    return this.send<T>("POST", path, body, options);
  }

  put<T>(path: string, body?: unknown, options?: RequestOptions): Promise<T> {
    return this.send<T>("PUT", path, body, options);
  }

  patch<T>(path: string, body?: unknown, options?: RequestOptions): Promise<T> {
    return this.send<T>("PATCH", path, body, options);
  }

  del<T>(path: string, options?: RequestOptions): Promise<T> {
    return this.send<T>("DELETE", path, undefined, options);
  }

  private async send<T>(
    method: string,
    path: string,
    body: unknown,
    options: RequestOptions = {},
  ): Promise<T> {
    let response = await this.attempt(method, path, body, options);
    if (response.status === 401 && (await this.auth.refused())) {
      response = await this.attempt(method, path, body, options);
    }
    if (!response.ok) throw await problemOf(response);
    if (response.status === 204) return undefined as T;
    return (await response.json()) as T;
  }

  private async attempt(
    method: string,
    path: string,
    body: unknown,
    options: RequestOptions,
  ): Promise<Response> {
    const headers = new Headers({ Accept: "application/json", ...options.headers });
    let payload: BodyInit | undefined;
    if (options.raw) payload = body as BodyInit;
    else if (body !== undefined) {
      headers.set("Content-Type", "application/json");
      payload = JSON.stringify(body);
    }
    await this.auth.authorize(headers, method !== "GET");
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    try {
      return await fetch(this.base + path, {
        method,
        headers,
        body: payload,
        credentials: this.auth.credentials,
        signal: options.signal ?? timeout,
      });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ApiProblem(0, "unreachable", "The server could not be reached.", {}, null);
    }
  }
}

async function problemOf(response: Response): Promise<ApiProblem> {
  let problem: Partial<Problem> = {};
  try {
    problem = (await response.json()) as Partial<Problem>;
  } catch {
    // A proxy in between may answer with HTML; the status says enough.
  }
  const after = problem.retry_after ?? Number(response.headers.get("Retry-After"));
  return new ApiProblem(
    response.status,
    problem.code ?? `http_${response.status}`,
    problem.detail ?? response.statusText,
    problem.data ?? {},
    Number.isFinite(after) && after > 0 ? after : null,
  );
}

/**
 * A viewer: a guest token kept in the embedding page's own storage, renewed when it no longer holds. Who was invited to
 * a rehearsal is somebody else, in this tab and for its time.
 */
export class GuestAuth implements Auth {
  readonly credentials: RequestCredentials = "omit";
  private kept: GuestToken | null;
  private pending: Promise<GuestToken> | null = null;
  private readonly key: string;

  constructor(
    private readonly base: string,
    private readonly invitation?: string | null,
    private readonly storage: Storage | null = storageOrNull(() => (invitation ? sessionStorage : localStorage)),
  ) {
    this.key = `liveshop:guest:${new URL(base, location.href).host}`;
    this.kept = this.read();
  }

  /** The token in use, or null before the first one was issued. */
  get current(): GuestToken | null {
    return this.kept;
  }

  async token(): Promise<GuestToken> {
    // A minute of margin: a token must not expire between this check and the server's.
    if (this.kept && Date.parse(this.kept.expires_at) > Date.now() + 60_000) return this.kept;
    return this.renew();
  }

  async authorize(headers: Headers): Promise<void> {
    headers.set("Authorization", `Bearer ${(await this.token()).token}`);
  }

  async refused(): Promise<boolean> {
    this.keep(null);
    await this.renew();
    return true;
  }

  /** The storefront vouches for its signed-in customer with a JWT. Who came as a guest says so, and keeps his cart. */
  async signOn(jwt: string): Promise<GuestToken> {
    const path = "/api/customers/sign-on";
    const guest = this.kept?.token;
    const headers = guest ? { Authorization: `Bearer ${guest}` } : undefined;
    const token = await this.issue(path, { token: jwt }, headers).catch((error: unknown) => {
      // It may be the guest's token that no longer holds; the storefront's word needs none.
      if (!guest || !(error instanceof ApiProblem) || error.status !== 401) throw error;
      return this.issue(path, { token: jwt });
    });
    this.keep(token);
    return token;
  }

  rename(name: string): void {
    if (this.kept) this.keep({ ...this.kept, name });
  }

  private renew(): Promise<GuestToken> {
    const { invitation } = this;
    this.pending ??= this.issue(invitation ? "/api/rehearsals/guests" : "/api/guests", { invitation })
      .then((token) => {
        this.keep(token);
        return token;
      })
      .finally(() => {
        this.pending = null;
      });
    return this.pending;
  }

  private issue(path: string, body: unknown, headers?: Record<string, string>): Promise<GuestToken> {
    return new Api(this.base, NOBODY).post<GuestToken>(path, body, { headers });
  }

  private keep(token: GuestToken | null): void {
    this.kept = token;
    try {
      if (token) this.storage?.setItem(this.key, JSON.stringify(token));
      else this.storage?.removeItem(this.key);
    } catch {
      // Storage may be full or forbidden; the token then lives as long as the page.
    }
  }

  private read(): GuestToken | null {
    try {
      return JSON.parse(this.storage?.getItem(this.key) ?? "null") as GuestToken | null;
    } catch {
      return null;
    }
  }
}

/** A staff member: the session cookie of the server's own origin, with its CSRF token on unsafe methods. */
export class SessionAuth implements Auth {
  readonly credentials: RequestCredentials = "same-origin";
  csrfToken: string | null = null;
  /** Called when the session is gone, so that the page can ask for the password again. */
  onSignedOut: (() => void) | null = null;

  authorize(headers: Headers, unsafe: boolean): Promise<void> {
    if (unsafe && this.csrfToken) headers.set("X-CSRF-Token", this.csrfToken);
    return Promise.resolve();
  }

  refused(): Promise<boolean> {
    this.onSignedOut?.();
    return Promise.resolve(false);
  }
}

/** No identity: public reads, and the requests that obtain one. */
export const NOBODY: Auth = {
  credentials: "omit",
  authorize: () => Promise.resolve(),
  refused: () => Promise.resolve(false),
};

/** Storage access throws in some privacy modes and sandboxed frames. */
export function storageOrNull(open: () => Storage): Storage | null {
  try {
    return open();
  } catch {
    return null;
  }
}
