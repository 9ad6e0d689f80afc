import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import type { Environment } from '../config/config.ts'
import { type Broadcast, isBroadcastName } from '../core/broadcast.ts'
import { parseJson } from '../core/json.ts'
import { type AdminAddress, createAdminClient } from './admin-client.ts'
import {
  ADDRESS_OPTIONS,
  ADDRESS_USAGE,
  isUsable,
  printResult,
  unknownAnswer,
} from './admin-command.ts'
import { toSafeJson } from './terminal-text.ts'

const USAGE = `usage: vestibule broadcast EVENT [JSON] [--user=SUB] [--host=HOST] [--json]
  EVENT         the name of the event: a-z, digits and hyphens, at most 32; not open, error, message or session-…
  JSON          its data, null without them; a text in its quotation marks: '"At ten"'; - reads them from the standard input
  --user=SUB    only the pages of a user, by the provider's id
  --host=HOST   only the pages of a protected host
${ADDRESS_USAGE}
The token is that of the service, in BROADCAST_TOKEN or ADMIN_TOKEN, or in a file that BROADCAST_TOKEN_FILE or ADMIN_TOKEN_FILE names.
`

/** Sends an event to open pages through a running service. Returns 0 = sent, 1 = failed, 2 = usage error. */
export async function broadcast(environment: Environment, ...args: string[]): Promise<number> {
  const asked = await parseOptions(args).catch(() => undefined)
  if (!asked) {
    process.stderr.write(USAGE)
    return 2
  }
  return printResult(async () => {
    const ask = createAdminClient(environment, asked.address, ['BROADCAST_TOKEN', 'ADMIN_TOKEN'])
    const answer = await ask({ method: 'POST', path: '/admin/broadcast', body: asked.broadcast })
    return asked.isJson ? toSafeJson(answer) : describe(answer)
  })
}

interface ParsedArguments {
  readonly broadcast: Broadcast
  readonly address: AdminAddress
  readonly isJson: boolean
}

async function parseOptions(args: string[]): Promise<ParsedArguments | undefined> {
  const { values, positionals } = parseArgs({
    args,
    options: {
      user: { type: 'string' },
      host: { type: 'string' },
      json: { type: 'boolean', default: false },
      ...ADDRESS_OPTIONS,
    },
    allowPositionals: true,
  })
  const { user, host, url, ca, cert, key } = values
  const address = { url, ca, cert, key }
  const audience = { ...(user !== undefined && { user }), ...(host !== undefined && { host }) }
  if (Object.values(audience).includes('') || !isUsable(address)) return undefined
  const named = await readEvent(positionals)
  return named && { broadcast: { ...named, ...audience }, address, isJson: values.json }
}

async function readEvent(words: readonly string[]): Promise<Broadcast | undefined> {
  const [event = '', json = 'null', ...rest] = words
  if (!isBroadcastName(event) || rest.length > 0) return undefined
  const data = parseJson(json === '-' ? await text(process.stdin) : json)
  return data === undefined ? undefined : { event, data }
}

const sent = z.object({ id: z.string().regex(/^[\d-]+$/) })

function describe(answer: unknown): string {
  const { data } = sent.safeParse(answer)
  if (!data) throw unknownAnswer()
  return `The event was sent to the open pages as ${data.id}.\n`
}
