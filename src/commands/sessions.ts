import { parseArgs } from 'node:util'
import { z } from 'zod'
import type { Environment } from '../config/config.ts'
import { type AdminAddress, createAdminClient } from './admin-client.ts'
import {
  ADDRESS_OPTIONS,
  ADDRESS_USAGE,
  isUsable,
  printResult,
  unknownAnswer,
} from './admin-command.ts'
import { toSafeJson } from './terminal-text.ts'

const USAGE = `usage: vestibule sessions list [--user=SUB [--issuer=URL]] [--json]
       vestibule sessions end --id=ID | --user=SUB [--issuer=URL] | --all
  --id=ID       one session, as the list names it
  --user=SUB    all sessions of a user, by the provider's id
  --issuer=URL  who names the user, if not OIDC_ISSUER_URL of the service
  --all         all sessions of everybody
${ADDRESS_USAGE}
The token is that of the service, in ADMIN_TOKEN or ADMIN_TOKEN_FILE.
`

/** Lists and ends sessions of a running service. Returns 0 = done, 1 = failed in whole or in part, 2 = usage error. */
export async function sessions(environment: Environment, ...args: string[]): Promise<number> {
  const asked = parseOptions(args)
  if (!asked) {
    process.stderr.write(USAGE)
    return 2
  }
  return printResult(async () => {
    const ask = createAdminClient(environment, asked.address, ['ADMIN_TOKEN'])
    const answer = await ask({
      method: asked.action === 'list' ? 'GET' : 'DELETE',
      path: asked.path,
    })
    return asked.isJson ? toSafeJson(answer) : describe(asked.action, answer)
  })
}

type Action = 'list' | 'end'

interface ParsedArguments {
  readonly action: Action
  readonly path: string
  readonly address: AdminAddress
  readonly isJson: boolean
}

function parseOptions(args: string[]): ParsedArguments | undefined {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: {
        id: { type: 'string' },
        user: { type: 'string' },
        issuer: { type: 'string' },
        all: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        ...ADDRESS_OPTIONS,
      },
      allowPositionals: true,
    })
    const [action] = positionals
    if (positionals.length !== 1 || (action !== 'list' && action !== 'end')) return undefined
    const { url, ca, cert, key, json: isJson } = values
    const address = { url, ca, cert, key }
    if (!isClear(action, values) || !isUsable(address)) return undefined
    return { action, path: pathOf(values), address, isJson }
  } catch {
    return undefined
  }
}

interface Whose {
  readonly id?: string | undefined
  readonly user?: string | undefined
  readonly issuer?: string | undefined
  readonly all: boolean
}

/** Tells whether the options name whose sessions are meant, in exactly one way. */
function isClear(action: Action, { id, user, issuer, all }: Whose): boolean {
  if (issuer !== undefined && user === undefined) return false
  if (action === 'list') return id === undefined && !all
  const said = [id !== undefined, user !== undefined, all].filter(Boolean)
  return said.length === 1 && id !== ''
}

function pathOf({ id, user, issuer, all }: Whose): string {
  if (id !== undefined) return `/admin/sessions/${encodeURIComponent(id)}`
  const query = new URLSearchParams({
    ...(user !== undefined && { user }),
    ...(issuer !== undefined && { iss: issuer }),
    ...(all && { all: 'true' }),
  })
  return `/admin/sessions?${query.toString()}`
}

const ended = z.object({ ended: z.number() })
const list = z.object({
  sessions: z.array(
    z.object({
      id: z.string(),
      subject: z.string(),
      display_name: z.string(),
      created: z.string(),
      ends: z.string(),
      address: z.string().default(''),
      user_agent: z.string().default(''),
    }),
  ),
  truncated: z.boolean(),
})

function describe(action: Action, answer: unknown): string {
  const { data } = (action === 'list' ? list : ended).safeParse(answer)
  if (!data) throw unknownAnswer()
  if ('ended' in data) {
    const what = data.ended === 1 ? '1 session has' : `${data.ended} sessions have`
    return `${what} ended. Tokens that apps or programs hold live on until their own end.\n`
  }
  const rows = data.sessions.map(Object.values<string>)
  const more = data.truncated ? 'There are more; name a user with --user.\n' : ''
  return rows.length > 0 ? formatTable([COLUMNS, ...rows]) + more : 'There are no sessions.\n'
}

const COLUMNS = ['ID', 'USER', 'NAME', 'CREATED', 'ENDS', 'ADDRESS', 'USER AGENT']

function formatTable(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(harmless))
  const widths = COLUMNS.map((_, at) => Math.max(...shown.map((row) => row[at]?.length ?? 0)))
  return shown
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Replaces control characters because users choose names and user agents, and terminals obey such characters (A93). */
function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
}
