import {
  ACCESS_TOKEN_HEADER,
  FORWARDED_IDENTITY_HEADERS,
  type HeaderSource,
  IDENTITY_HEADERS,
  type IdentityHeader,
} from '../core/identity-headers.ts'
import { ValueError } from './config-error.ts'
import { ACCESS_TOKEN, CLAIM, parseTemplate } from './header-template.ts'
import type { Settings } from './settings/settings.ts'

/** Header names to which a proxy or the check itself gives a meaning. */
const RESERVED =
  /^(?:cookie|set-cookie|authorization|host|connection|content-.*|transfer-encoding|upgrade|te|trailer|location|cache-control|forwarded|x-forwarded-.*|x-real-ip|x-auth-request-.*)$/i
const FREE = new Set(FORWARDED_IDENTITY_HEADERS.map((name) => name.toLowerCase()))
const HEADER_NAME = /^[A-Za-z0-9-]{1,64}$/

/** Returns every identity header that this configuration gives, each name once in any case of letters. */
export function readIdentityHeaders(
  settings: Settings,
  problems: string[],
): readonly IdentityHeader[] {
  const headers = [...IDENTITY_HEADERS]
  if (settings.PASS_ACCESS_TOKEN) {
    headers.push({ name: ACCESS_TOKEN_HEADER, source: { kind: 'access-token' } })
  }
  const taken = new Set<string>()
  for (const entry of settings.IDENTITY_HEADERS) {
    try {
      const header = parseHeader(entry, settings)
      if (taken.has(header.name.toLowerCase())) {
        throw new ValueError('names a header for the second time: leave one of them out')
      }
      taken.add(header.name.toLowerCase())
      headers.push(header)
    } catch (error) {
      problems.push(`IDENTITY_HEADERS: ${entry} ${(error as Error).message}`)
    }
  }
  requireRoom(headers, settings, problems)
  return headers
}

function parseHeader(entry: string, settings: Settings): IdentityHeader {
  const end = entry.indexOf('=')
  const name = entry.slice(0, Math.max(end, 0))
  const isReserved = RESERVED.test(name) && !FREE.has(name.toLowerCase())
  if (!HEADER_NAME.test(name) || isReserved || end === entry.length - 1) {
    throw new ValueError(
      'is not of the form Remote-User=sub with a header name that is free to use',
    )
  }
  return { name, source: parseSource(entry.slice(end + 1), settings) }
}

/** Parses a claim, the access token, or a template in quotes, in which `""` stands for a quote. */
function parseSource(text: string, { PASS_ACCESS_TOKEN }: Settings): HeaderSource {
  if (text.startsWith('"')) {
    const [, inside] = QUOTED.exec(text) ?? []
    if (inside === undefined) {
      throw new ValueError('has no closing quote at its end: write "" for a quote in a template')
    }
    return { kind: 'template', parts: parseTemplate(inside.replaceAll('""', '"').trim()) }
  }
  if (text === ACCESS_TOKEN) {
    if (PASS_ACCESS_TOKEN) return { kind: 'access-token' }
    throw new ValueError('gives apps the access token: set PASS_ACCESS_TOKEN=true as well')
  }
  if (CLAIM.test(text)) return { kind: 'claim', claim: text }
  throw new ValueError(
    'has no name of a claim as its value: put a template in quotes, X-Role="role-{department}"',
  )
}

const QUOTED = /^"((?:[^"]|"")*)"$/

/** Refuses a bound that the names alone exceed, because then every check would be refused. */
function requireRoom(
  headers: readonly IdentityHeader[],
  { IDENTITY_HEADERS_MAX_BYTES: maxBytes }: Settings,
  problems: string[],
): void {
  const bytes = headers.reduce((sum, { name }) => sum + name.length, 0)
  if (bytes <= maxBytes) return
  problems.push(
    `IDENTITY_HEADERS_MAX_BYTES: is ${maxBytes}, but the names of the headers alone take ${bytes} bytes: raise it`,
  )
}
