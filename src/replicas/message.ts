import { z } from 'zod'
import { parseJson } from '../core/json.ts'

/** Parts of a replica's memory that can be cleared separately. */
export const REGIONS = ['sessions', 'tokens'] as const
export type Region = (typeof REGIONS)[number]

const body = z.discriminatedUnion('type', [
  /** Reports the end of a session; `reason` may be one of a later version. */
  z.object({
    type: z.literal('session-ended'),
    session: z.string(),
    reason: z.exactOptional(z.string()),
  }),
  /** Reports a change of a session, whose cache entry is stale; `forget` removes it for an outage, too. */
  z.object({
    type: z.literal('evict'),
    session: z.string(),
    forget: z.exactOptional(z.boolean()),
    /** Tells that the tokens of the session were renewed. */
    renewed: z.exactOptional(z.boolean()),
  }),
  /** Carries a sealed broadcast (base64url), its identifier, and that of the broadcast before it. */
  z.object({
    type: z.literal('broadcast'),
    id: z.string(),
    previous: z.string(),
    sealed: z.string(),
  }),
  /** Reports the denial of a token for `ttlMs`. */
  z.object({ type: z.literal('token-denied'), token: z.string(), ttlMs: z.number() }),
  z.object({ type: z.literal('clear'), region: z.enum(REGIONS) }),
  z.object({ type: z.literal('clear-all') }),
  /** Has no effect; sent by the self-test to find out whether publishing is permitted. */
  z.object({ type: z.literal('self-test') }),
])

/** Body of a message to all other replicas. */
export type MessageBody = z.output<typeof body>

const VERSION = 1

const envelope = z.object({
  v: z.literal(VERSION),
  from: z.string().optional(),
  at: z.number().optional(),
})

/** Message with sender and time of sending, in milliseconds of Redis's clock. */
export type BackplaneMessage = MessageBody & { readonly from?: string; readonly at?: number }

export function formatMessage(message: BackplaneMessage): string {
  return JSON.stringify({ v: VERSION, ...message })
}

/** Returns `undefined` for a text that this version does not understand. */
export function parseMessage(text: string): BackplaneMessage | undefined {
  const value = parseJson(text)
  const [outside, inside] = [envelope.safeParse(value), body.safeParse(value)]
  if (!outside.success || !inside.success) return undefined
  const { from, at } = outside.data
  return { ...inside.data, ...(from !== undefined && { from }), ...(at !== undefined && { at }) }
}
