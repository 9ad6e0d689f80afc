import { z } from 'zod'
import { parseJson } from '../core/json.ts'

/** Parts of what replicas keep in memory that can be cleared by themselves. */
export const REGIONS = ['sessions', 'tokens'] as const
export type Region = (typeof REGIONS)[number]

const body = z.discriminatedUnion('type', [
  /** The session has ended for good; `reason` may be one of a later version. */
  z.object({
    type: z.literal('session-ended'),
    session: z.string(),
    reason: z.exactOptional(z.string()),
  }),
  /** The session has changed: what is known of it is old. */
  z.object({ type: z.literal('evict'), session: z.string() }),
  /** The token does not count any more. */
  z.object({ type: z.literal('token-denied'), token: z.string(), ttlMs: z.number() }),
  z.object({ type: z.literal('clear'), region: z.enum(REGIONS) }),
  z.object({ type: z.literal('clear-all') }),
  /** Says nothing; sent to see whether it may be sent. */
  z.object({ type: z.literal('self-test') }),
])

/** What one replica tells all others. */
export type MessageBody = z.output<typeof body>

const VERSION = 1

const envelope = z.object({
  v: z.literal(VERSION),
  from: z.string().optional(),
  at: z.number().optional(),
})

/** A message with who sent it and when, in milliseconds of Redis's clock. */
export type BackplaneMessage = MessageBody & { readonly from?: string; readonly at?: number }

/** As it travels. */
export function formatMessage(message: BackplaneMessage): string {
  return JSON.stringify({ v: VERSION, ...message })
}

/** Nothing for what this version does not understand. */
export function parseMessage(text: string): BackplaneMessage | undefined {
  const value = parseJson(text)
  const [outside, inside] = [envelope.safeParse(value), body.safeParse(value)]
  if (!outside.success || !inside.success) return undefined
  const { from, at } = outside.data
  return { ...inside.data, ...(from !== undefined && { from }), ...(at !== undefined && { at }) }
}
