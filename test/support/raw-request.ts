import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { type SentHeaders, scanHeaders } from '../../src/core/sent-headers.ts'

/** Header names and values in the order of the wire. */
export type HeaderEntries = readonly (readonly [string, string])[]

type Headers = HeaderEntries | Readonly<Record<string, string>>

const entriesOf = (headers: Headers): HeaderEntries =>
  Array.isArray(headers)
    ? (headers as HeaderEntries)
    : Object.entries(headers as Readonly<Record<string, string>>)

/** Returns what a check finds in these headers. */
export const sentHeaders = (headers: Headers): SentHeaders => scanHeaders(entriesOf(headers).flat())

/** A request with these headers, laid out the way Node lays them out: in lower case, doubled ones joined. */
export const rawRequest = (headers: Headers): IncomingMessage => {
  const entries = entriesOf(headers)
  const raw = new IncomingMessage(new Socket())
  raw.rawHeaders = entries.flat()
  for (const [name, value] of entries) {
    const lowerCase = name.toLowerCase()
    const before = raw.headers[lowerCase]
    raw.headers[lowerCase] = typeof before === 'string' ? `${before}, ${value}` : value
  }
  return raw
}

/** Headers that Traefik sends for a plain page, with the changes of a test. */
export const forwarded = (
  changes: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> => ({
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'app.example.com',
  'X-Forwarded-Uri': '/',
  ...changes,
})
