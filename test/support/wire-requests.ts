import { forwardedNavigation } from './request-pool.ts'
import type { RunningVestibule } from './vestibule.ts'
import { createVisitor, raw, type Visit, type VisitOptions } from './visitor.ts'

/** The answers of one connection, byte for byte. */
export type RawReply = Awaited<ReturnType<typeof sendText>>

/** Sends a request without a body, line by line and in Latin-1, over a connection of its own. */
export function sendLines(port: number, ...lines: readonly string[]): Promise<RawReply> {
  return sendText(port, [...lines, 'Connection: close', '', ''].join('\r\n'))
}

/** Sends text as it is. */
export async function sendText(port: number, request: string, quietMs?: number) {
  const text = await raw(port, request, quietMs)
  const [head = ''] = text.split('\r\n\r\n')
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  const header = (name: string) => new RegExp(`^${name}: ?(.*?)\r?$`, 'im').exec(head)?.[1]
  return { text, head, status: statuses[0] ?? Number.NaN, statuses, header }
}

export interface RawCheck {
  readonly line?: string
  /** Parts of the forwarded request by the end of their header's name; `undefined` leaves one out. */
  readonly forwarded?: Readonly<Record<string, string | undefined>>
  readonly headers?: readonly string[]
}

/** Sends a check byte for byte: a plain GET of `/public/a` where the test says nothing else. */
export function checkRaw(
  { internalPort }: RunningVestibule,
  request: RawCheck = {},
): Promise<RawReply> {
  const parts = { Method: 'GET', Proto: 'https', Host: 'app.example.com', Uri: '/public/a' }
  const forwarded = Object.entries({ ...parts, ...request.forwarded }).flatMap(([name, value]) =>
    value === undefined ? [] : [`X-Forwarded-${name}: ${value}`],
  )
  const { line = 'GET /auth HTTP/1.1', headers = [] } = request
  return sendLines(internalPort, line, 'Host: a', ...forwarded, ...headers)
}

/** The forwarded request of a plain GET of `/`, as Traefik sends it. */
export const FORWARDED = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'app.example.com',
  'X-Forwarded-Uri': '/',
  'X-Forwarded-For': '203.0.113.7',
}

/** The headers that Traefik adds to a check of a page, one a line. */
export const FORWARDED_LINES: readonly string[] = Object.entries(forwardedNavigation).map(
  ([name, value]) => `${name}: ${value}`,
)

/** Asks the check by another method than GET, or with a body. */
export function requestCheck(
  { internalPort }: RunningVestibule,
  method: string,
  options: VisitOptions = {},
): Promise<Visit> {
  return createVisitor().request(method, `http://127.0.0.1:${internalPort}/auth`, options)
}
