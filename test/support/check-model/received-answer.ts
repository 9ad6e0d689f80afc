import { ANY } from './expected-answer.ts'
import type { PlainAnswer } from './world.ts'

/** Answer as it was received, its head in Latin-1. */
export interface ReceivedAnswer {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

const FRAMING: ReadonlySet<string> = new Set([
  'date',
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
  'set-cookie',
])
const UUID = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g

/** Takes from an answer what differs from one to the next, and what is not compared. */
export function plainAnswer({ status, headers, body }: ReceivedAnswer): PlainAnswer {
  const named = headers.map(([name, value]) => [name.toLowerCase(), value] as const)
  const kept = named.filter(([name]) => !FRAMING.has(name))
  const setCookies = named.flatMap(([name, value]) => (name === 'set-cookie' ? [value] : []))
  return {
    status,
    headers: Object.fromEntries(kept.map(([name, value]) => [name, plainValue(name, value)])),
    setCookies: setCookies.map(plainCookie).toSorted(),
    body: plainBody(body, new Map(named).get('content-type') ?? ''),
    closes: named.some(([name, value]) => name === 'connection' && value === 'close'),
  }
}

function plainValue(name: string, value: string): string {
  switch (name) {
    case 'x-request-id':
      return value.replace(UUID, ANY)
    case 'content-security-policy':
      return value.startsWith("default-src 'none'; ") ? ANY : value
    case 'www-authenticate':
      return value.replace(/(error_description|algs)="[^"]*"/g, `$1="${ANY}"`)
    default:
      return value.replace(/^[ \t]+|[ \t]+$/g, '')
  }
}

/** Tells an expired cookie by its name, path and domain, and hides the value of an assertion. */
function plainCookie(line: string): string {
  const attribute = (name: string) => new RegExp(`; ${name}=([^;]*)`).exec(line)?.[1]
  const [, name = '', value = ''] = /^([^=]*)=([^;]*)/.exec(line) ?? []
  if (value === '' && attribute('Max-Age') === '0') {
    return `${name} at ${attribute('Path') ?? 'the folder'} of ${attribute('Domain') ?? 'the host'}`
  }
  return name.endsWith('_outage') ? line.replace(value, ANY) : line
}

function plainBody(body: string, type: string): unknown {
  const text = body.replace(UUID, ANY)
  if (text === '') return ''
  if (type === 'application/json') {
    const { message, ...rest } = JSON.parse(text) as { message?: string; error?: string }
    const [named = ''] = message?.split(' ') ?? []
    return rest.error === 'alias_header' ? { ...rest, named } : rest
  }
  if (!type.startsWith('text/html')) return text
  const found = (pattern: RegExp) => plainText(pattern.exec(text)?.[1] ?? '')
  return {
    title: found(/<h1>([^<]*)<\/h1>/),
    signedInAs: found(/<strong>([^<]*)<\/strong>/),
    links: [...text.matchAll(/<a [^>]*href="([^"]*)"/g)].map(([, href = '']) => plainText(href)),
    refresh: found(/http-equiv="refresh" content="([^"]*)"/),
  }
}

function plainText(html: string): string {
  const text = Buffer.from(html, 'latin1').toString('utf8')
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ENTITIES[name] ?? '')
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  '#39': "'",
}

/** Returns whether an answer is an expected one; a reset may expire further cookies of ours. */
export function fits(expected: PlainAnswer, received: PlainAnswer): boolean {
  const { setCookies: wanted, ...rest } = expected
  const { setCookies: given, ...others } = received
  if (ordered(rest) !== ordered(others)) return false
  if (expected.status !== 400) return wanted.join('\n') === given.join('\n')
  const isOurs = given.every((each) => /^(?:__Host-|__Secure-)?vestibule\w* at /.test(each))
  return wanted.length === 0
    ? given.length === 0
    : isOurs && wanted.every((each) => given.includes(each))
}

/** Returns the JSON form in the order of names. */
function ordered(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  )
}
