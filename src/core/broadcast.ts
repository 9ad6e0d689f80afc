/** Message of an operator or an app to the open pages of everybody, of a user, or of a host. */
export interface Broadcast {
  readonly event: string
  /** Any JSON value. */
  readonly data: unknown
  /** Subject of the user whose pages receive it; absent for all users. */
  readonly user?: string
  /** Protected host whose pages receive it; absent for all hosts. */
  readonly host?: string
}

/** Open page that receives broadcasts. */
export interface Listener {
  /** Subject of its session. */
  readonly subject: string
  /** Host of the page, which may be another one than that of the stream's address. */
  readonly host: string
}

/** Names that browsers give to events of their own. */
const RESERVED: ReadonlySet<string> = new Set(['open', 'error', 'message'])

/** Returns whether a broadcast may have this name: no name of `EventSource` nor of an event about the session. */
export function isBroadcastName(name: string): boolean {
  return /^[a-z][a-z0-9-]{0,31}$/.test(name) && !name.startsWith('session-') && !RESERVED.has(name)
}

/** Returns whether a broadcast is meant for a page; both user and host must fit where they are named. */
export function isMeantFor(
  { user, host }: Pick<Broadcast, 'user' | 'host'>,
  listener: Listener,
): boolean {
  if (user !== undefined && user !== listener.subject) return false
  return host === undefined || host === listener.host
}
