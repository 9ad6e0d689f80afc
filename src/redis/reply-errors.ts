import { ErrorReply } from 'redis'
import { ServerFailure } from './server-failure.ts'

/** Failure that Redis reports by an error reply, as a label for metrics. */
export type ReplyFailure =
  | 'auth'
  | 'busy'
  | 'clients'
  | 'cluster'
  | 'data'
  | 'database'
  | 'full'
  | 'loading'
  | 'misconf'
  | 'other'
  | 'permission'
  | 'protected'
  | 'readonly'
  | 'replication'
  | 'unsupported'

/** Error reply of Redis or a Sentinel, classified so that callers switch on `kind` instead of its text. */
export type ReplyError = { readonly failure: ReplyFailure } & (
  | Redirection
  /** Missing right of the ACL user. */
  | {
      readonly kind: 'denied'
      readonly missing: 'command' | 'key' | 'channel'
      /** Command that the reply names, such as `select` or `cluster|slots`. */
      readonly command?: string
    }
  /** Command that the server does not know, or that a managed service has switched off. */
  | { readonly kind: 'unknown-command'; readonly command?: string }
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
  const text = textOf(cause)
  if (text === undefined) return undefined
  const failure = failureIn(text)
  if (failure === 'permission') return { kind: 'denied', failure, ...readDenial(text) }
  if (failure === 'unsupported') return { kind: 'unknown-command', failure, ...namedCommand(text) }
  return { failure, ...(readRedirection(text) ?? { kind: kindOf(text) }) }
}

/**
 * Returns the first words of an error reply for the log, without the arguments that some replies repeat, because a
 * password may be among them (finding C54).
 */
export function beginningOfReply(cause: unknown): string | undefined {
  const text = textOf(cause)
  return text && (/^(?:[A-Za-z,.]{1,20}(?: |$)){1,12}/.exec(text)?.[0].trim() ?? '')
}

/** Returns the text of an error reply, also of one whose server is known. */
function textOf(cause: unknown): string | undefined {
  const reply = cause instanceof ServerFailure ? cause.cause : cause
  return reply instanceof ErrorReply ? reply.message : undefined
}

/** Failures by error code, which is the first word of an error reply. */
const FAILURE_BY_CODE: Readonly<Record<string, ReplyFailure>> = {
  ASK: 'cluster',
  BUSY: 'busy',
  CLUSTERDOWN: 'cluster',
  CROSSSLOT: 'cluster',
  DENIED: 'protected',
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

/** Failures whose replies have no code of their own. */
const FAILURE_BY_TEXT: readonly (readonly [RegExp, ReplyFailure])[] = [
  [/^ERR max number of clients/, 'clients'],
  // Redis 7.0 gives this error inside a script no code of its own.
  [/^ERR The user executing the script can't/, 'permission'],
  [/^(?:ERR (?:DB index is out of range|invalid DB index)|ERR SELECT is not allowed)/, 'database'],
  [/^(?:ERR Client sent AUTH|ERR AUTH |ERR invalid password|ERR wrong number .*'auth')/i, 'auth'],
  [/^NOPROTO|unknown command|unsupported command|unknown redis command/i, 'unsupported'],
  [
    /^ERR (?:this |[a-z ]+, )?command .*(?:not (?:available|allowed|support)|disabled)/i,
    'unsupported',
  ],
]

function failureIn(text: string): ReplyFailure {
  const found = FAILURE_BY_TEXT.find(([pattern]) => pattern.test(text))
  if (found) return found[1]
  // Before Redis 7 an error inside a script carries its code behind a dash.
  const code = /^(?:ERR .*-)?([A-Z]+)\b/.exec(text)?.[1] ?? ''
  return FAILURE_BY_CODE[code] ?? 'other'
}

function namedCommand(text: string): { readonly command?: string } {
  if (text.startsWith('NOPROTO')) return { command: 'HELLO' }
  const command = /command[:,]? [`'"]?([A-Za-z]{2,20})[`'",]/.exec(text)?.[1]
  return command === undefined ? {} : { command: command.toUpperCase() }
}

function readDenial(text: string) {
  if (text.includes(' key')) return { missing: 'key' } as const
  if (text.includes(' channel')) return { missing: 'channel' } as const
  const command = /'([a-z|]{2,40})' command/i.exec(text)?.[1]
  return { missing: 'command', ...(command !== undefined && { command }) } as const
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
  if (text.startsWith('ERR This instance has cluster support disabled')) return 'cluster-disabled'
  return text.startsWith('ERR syntax error') ? 'syntax-error' : 'other'
}
