import type { RuleSource } from '../../../src/config/rules/rules-file.ts'

/** Person as signed in, with what their identity headers say. */
export interface Person {
  readonly sub: string
  readonly email?: string
  readonly username?: string
  readonly name?: string
  readonly groups: readonly string[]
}

/** Meaning of a value of the session cookie. */
export interface KnownSession {
  readonly person: Person
  /** Host for which it was made; with `COOKIE_DOMAIN` it counts everywhere. */
  readonly host: string
}

/** Meaning of a token in `Authorization`; one that is not known is `invalid_token`. */
export interface KnownToken {
  readonly person: Person
  readonly audience: string
  readonly scopes: readonly string[]
  readonly lifeSeconds: number
  /** Bound to a key, so that it never passes as a plain bearer token. */
  readonly isBound?: boolean
}

/** Everything beside the request on which the answer of a check depends. */
export interface World {
  /** Protected hosts by scheme, as in `PROTECTED_HOSTS`. */
  readonly hosts: readonly { readonly scheme: 'http' | 'https'; readonly pattern: string }[]
  readonly rules: readonly RuleSource[]
  readonly basePath: string
  readonly publicUrl?: string
  readonly cookieDomain?: string
  readonly isPeerTrusted: boolean
  /** Time for which a session counts after Redis has gone away; 0 without Redis, where no assertion is issued. */
  readonly graceSeconds: number
  /** Whether Redis is away; then only confirmed sessions count. */
  readonly isStoreAway: boolean
  /** Sessions that live, by the value of their cookie. */
  readonly sessions: ReadonlyMap<string, KnownSession>
  /** Cookie values that look like a session's and are none: ended, expired, with a wrong secret, with a broken record. */
  readonly invalidSessions: readonly string[]
  /** Sessions that this replica has never seen, of which only an assertion speaks while Redis is away. */
  readonly unseen: ReadonlySet<string>
  /** Outage assertions by the session value beside which they count. */
  readonly assertions: ReadonlyMap<string, string>
  readonly tokens: ReadonlyMap<string, KnownToken>
  /** Values in place of a token that are refused. */
  readonly badTokens: readonly string[]
}

/** Header as sent, spelling and order included. */
export type SentHeader = readonly [name: string, value: string]

/** Request to the check as its bytes say, in Latin-1. */
export interface SentRequest {
  readonly method: string
  readonly target: string
  readonly version: '1.0' | '1.1'
  readonly headers: readonly SentHeader[]
  readonly body?: { readonly framing: 'length' | 'chunked'; readonly bytes: number }
  /** Readings of the forwarded path, by construction; `undefined` where a dot segment is hidden in one. */
  readonly readings: readonly string[] | undefined
}

/** Answer in the form in which it is compared: without what differs from one answer to the next. */
export interface PlainAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly setCookies: readonly string[]
  readonly body: unknown
  readonly closes: boolean
}
