import { forwardedNavigation } from './request-pool.ts'
import { raw } from './visitor.ts'

/** The answers of one connection, byte for byte. */
export interface RawReply {
  readonly text: string
  /** Status line and headers of the first answer. */
  readonly head: string
  readonly status: number
  /** The statuses of all answers, in order. */
  readonly statuses: readonly number[]
  /** A header of the first answer. */
  readonly header: (name: string) => string | undefined
}

/** Sends a request without a body, line by line, over a connection of its own. */
export function sendLines(port: number, ...lines: readonly string[]): Promise<RawReply> {
  return sendText(port, [...lines, 'Connection: close', '', ''].join('\r\n'))
}

/** Sends text as it is. */
export async function sendText(port: number, request: string, quietMs?: number): Promise<RawReply> {
  const text = await raw(port, request, quietMs)
  const [head = ''] = text.split('\r\n\r\n')
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  const header = (name: string) => new RegExp(`^${name}: ?(.*?)\r?$`, 'im').exec(head)?.[1]
  return { text, head, status: statuses[0] ?? Number.NaN, statuses, header }
}

/** The headers that Traefik adds to a check of a page, one a line. */
export const FORWARDED_LINES: readonly string[] = Object.entries(forwardedNavigation).map(
  ([name, value]) => `${name}: ${value}`,
)
