/** Who is signed in. The CSRF token stays in memory; the cookie is the browser's business. */

import { Api, ApiProblem, SessionAuth } from "../state/api";
import type { Session, Staff } from "../wire.gen";

export class StaffSession {
  readonly auth = new SessionAuth();
  readonly api = new Api("", this.auth);
  staff: Staff | null = null;

  /** Takes up the cookie's session. False: nobody is signed in. Throws when the server could not say. */
  async restore(): Promise<boolean> {
    try {
      this.accept(await this.api.get<Session>("/api/session"));
      return true;
    } catch (error) {
      if (error instanceof ApiProblem && (error.status === 401 || error.status === 403)) return false;
      throw error;
    }
  }

  async signIn(email: string, password: string): Promise<void> {
    this.accept(await this.api.post<Session>("/api/session", { email, password }));
  }

  async signOut(): Promise<void> {
    await this.api.del<void>("/api/session");
    this.forget();
  }

  forget(): void {
    this.staff = null;
    this.auth.csrfToken = null;
  }

  private accept(session: Session): void {
    this.staff = session.staff;
    this.auth.csrfToken = session.csrf_token;
  }
}
