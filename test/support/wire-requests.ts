import type { RunningVestibule } from './vestibule.ts'
import { createVisitor, raw, type Visit, type VisitOptions } from './visitor.ts'

/** Sends a request byte for byte, in Latin-1 and each header as written, and returns the whole answer. */
export function askRaw(port: number, line: string, headers: readonly string[] = []) {
  return raw(port, [line, ...headers, 'Connection: close', '', ''].join('\r\n'))
}

export interface RawCheck {
  readonly line?: string
  /** Parts of the forwarded request by the end of their header's name; `undefined` leaves one out. */
  readonly forwarded?: Readonly<Record<string, string | undefined>>
  readonly headers?: readonly string[]
}

/** Sends a check byte for byte: a plain GET of `/public/a` where the test says nothing else. */
export function checkRaw({ internalPort }: RunningVestibule, request: RawCheck = {}) {
  const parts = { Method: 'GET', Proto: 'https', Host: 'app.example.com', Uri: '/public/a' }
  const forwarded = Object.entries({ ...parts, ...request.forwarded }).flatMap(([name, value]) =>
    value === undefined ? [] : [`X-Forwarded-${name}: ${value}`],
  )
  const { line = 'GET /auth HTTP/1.1', headers = [] } = request
  return askRaw(internalPort, line, ['Host: a', ...forwarded, ...headers])
}

/** The forwarded request of a plain GET of `/`, as Traefik sends it. */
export const FORWARDED = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'app.example.com',
  'X-Forwarded-Uri': '/',
  'X-Forwarded-For': '203.0.113.7',
}

/** Asks the check by another method than GET, or with a body. */
export function requestCheck(
  { internalPort }: RunningVestibule,
  method: string,
  options: VisitOptions = {},
): Promise<Visit> {
  return createVisitor().request(method, `http://127.0.0.1:${internalPort}/auth`, options)
}
