import { ErrorReply } from 'redis'
import type { ServerAddress } from '../client.ts'

/** Where a server of a cluster sends a command that it does not carry out itself. */
export type Redirection =
  /** It is the other server's slot from now on. */
  | { readonly kind: 'moved'; readonly slot: number; readonly address: ServerAddress }
  /** This command only: the slot is under way. */
  | { readonly kind: 'ask'; readonly address: ServerAddress }
  /** Some of its keys are here and some there: neither can carry it out just now. */
  | { readonly kind: 'try-again' }

/** Nothing for what is no redirection. */
export function redirectionOf(cause: unknown, asked: ServerAddress): Redirection | undefined {
  if (!(cause instanceof ErrorReply)) return undefined
  if (cause.message.startsWith('TRYAGAIN')) return { kind: 'try-again' }
  const groups = /^(?<kind>MOVED|ASK) (?<slot>\d+) (?<host>.*):(?<port>\d+)$/.exec(
    cause.message,
  )?.groups
  if (!groups) return undefined
  // A server that does not know names of its own leaves them out.
  const address = { host: groups['host'] || asked.host, port: Number(groups['port']) }
  return groups['kind'] === 'ASK'
    ? { kind: 'ask', address }
    : { kind: 'moved', slot: Number(groups['slot']), address }
}
