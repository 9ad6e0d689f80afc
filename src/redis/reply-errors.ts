import { ErrorReply } from 'redis'

/** Failure that Redis reports by an error reply, as a label for metrics. */
export type ReplyFailure =
  | 'auth'
  | 'busy'
  | 'clients'
  | 'cluster'
  | 'data'
  | 'full'
  | 'loading'
  | 'misconf'
  | 'other'
  | 'permission'
  | 'readonly'
  | 'replication'

/** Error reply of Redis or a Sentinel, classified so that callers switch on `kind` instead of its text. */
export type ReplyError = { readonly failure: ReplyFailure } & (
  | Redirection
  /** Missing right of the ACL user. */
  | { readonly kind: 'denied'; readonly missing: 'command' | 'key' | 'channel' }
  | { readonly kind: 'unknown-command' }
  | { readonly kind: 'cluster-disabled' }
  /** Reported by a Sentinel that monitors no primary of that name. */
  | { readonly kind: 'unknown-primary' }
  | { readonly kind: 'syntax-error' }
  | { readonly kind: 'other' }
)

type Redirection =
  /** The slot belongs to the other server from now on. */
  | { readonly kind: 'moved'; readonly slot: number; readonly address: ReportedAddress }
  /** The slot is being migrated: only this one command goes to the other server. */
  | { readonly kind: 'ask'; readonly address: ReportedAddress }
  /** The slot is being migrated and its keys are on both servers. */
  | { readonly kind: 'try-again' }

/** Address in a reply; `host` is empty when the server does not know its own name. */
interface ReportedAddress {
  readonly host: string
  readonly port: number
}

/** Returns `undefined` for anything but an error reply. Only this file reads the texts of error replies. */
export function readReplyError(cause: unknown): ReplyError | undefined {
  if (!(cause instanceof ErrorReply)) return undefined
  const text = cause.message
  const failure = failureIn(text)
  if (failure === 'permission') return { kind: 'denied', failure, missing: missingRight(text) }
  return { failure, ...(readRedirection(text) ?? { kind: kindOf(text) }) }
}

/** Failures by error code, which is the first word of an error reply. */
const FAILURE_BY_CODE: Readonly<Record<string, ReplyFailure>> = {
  ASK: 'cluster',
  BUSY: 'busy',
  CLUSTERDOWN: 'cluster',
  CROSSSLOT: 'cluster',
  LOADING: 'loading',
  MASTERDOWN: 'replication',
  MISCONF: 'misconf',
  MOVED: 'cluster',
  NOAUTH: 'auth',
  NOPERM: 'permission',
  NOREPLICAS: 'replication',
  OOM: 'full',
  READONLY: 'readonly',
  TRYAGAIN: 'cluster',
  WRONGPASS: 'auth',
  WRONGTYPE: 'data',
}

function failureIn(text: string): ReplyFailure {
  if (text.startsWith('ERR max number of clients')) return 'clients'
  // Redis 7.0 gives this error inside a script no code of its own.
  if (text.startsWith("ERR The user executing the script can't")) return 'permission'
  // Before Redis 7 an error inside a script carries its code behind a dash.
  const code = /^(?:ERR .*-)?([A-Z]+)\b/.exec(text)?.[1] ?? ''
  return FAILURE_BY_CODE[code] ?? 'other'
}

function missingRight(text: string): 'command' | 'key' | 'channel' {
  if (text.includes(' key')) return 'key'
  return text.includes(' channel') ? 'channel' : 'command'
}

function readRedirection(text: string): Redirection | undefined {
  if (text.startsWith('TRYAGAIN')) return { kind: 'try-again' }
  const match = /^(MOVED|ASK) (\d+) (.*):(\d+)$/.exec(text)
  if (!match) return undefined
  const [, code, slot, host = '', port] = match
  const address = { host, port: Number(port) }
  return code === 'ASK' ? { kind: 'ask', address } : { kind: 'moved', slot: Number(slot), address }
}

function kindOf(text: string) {
  if (text.startsWith('ERR No such master')) return 'unknown-primary'
  if (text.startsWith('ERR unknown command')) return 'unknown-command'
  if (text.startsWith('ERR This instance has cluster support disabled')) return 'cluster-disabled'
  return text.startsWith('ERR syntax error') ? 'syntax-error' : 'other'
}
