import type { SentRequest, World } from './world.ts'

/** Headers that are no lists, of which the first counts; values of all others are joined. */
const FIRST_COUNTS: ReadonlySet<string> = new Set([
  'content-type',
  'referer',
  'authorization',
  'host',
])

/** Reads a header of a request by its canonical name, spelled in any case. */
export function headersOf({ headers }: SentRequest) {
  const all = (name: string) =>
    headers
      .filter(([each]) => each.toLowerCase() === name)
      .map(([, value]) => value.replace(/^[ \t]+|[ \t]+$/g, ''))
  return {
    all,
    value: (name: string) => {
      const values = all(name)
      if (FIRST_COUNTS.has(name)) return values[0] ?? ''
      return values.join(name === 'cookie' ? '; ' : ', ')
    },
    has: (name: string) => all(name).length > 0,
  }
}

export type Headers = ReturnType<typeof headersOf>

export type RequestKind = 'preflight' | 'websocket' | 'prefetch' | 'page' | 'form' | 'other'

/** Tells a navigation from everything else, as the table of the contract does. */
export function kindOf(
  { value }: Headers,
  method: string,
  isWebSocketScheme: boolean,
): RequestKind {
  if (method === 'OPTIONS' && value('origin') && value('access-control-request-method'))
    return 'preflight'
  const isHandshake =
    isWebSocketScheme ||
    value('sec-websocket-key') !== '' ||
    value('sec-websocket-version') !== '' ||
    value('sec-fetch-mode') === 'websocket'
  if (isHandshake) return 'websocket'
  if (/prefetch|prerender|preview/i.test(`${value('sec-purpose')} ${value('purpose')}`))
    return 'prefetch'
  if (!isNavigation(value)) return 'other'
  if (method === 'POST') return 'form'
  return method === 'GET' || method === 'HEAD' ? 'page' : 'other'
}

function isNavigation(value: Headers['value']): boolean {
  const [mode, dest] = [value('sec-fetch-mode'), value('sec-fetch-dest')]
  const takesHtml = value('accept').toLowerCase().includes('text/html')
  if (mode === '' && dest === '') {
    const isScript = value('x-requested-with') !== ''
    return takesHtml && !isScript && !/^application\/grpc/i.test(value('content-type'))
  }
  if (mode === '') return dest === 'document'
  if (mode !== 'navigate') return false
  return dest === 'document' || dest === '' || (dest === 'empty' && takesHtml)
}

/** Splits `Cookie` into pairs; the pair's own bytes are kept beside its name and value. */
export function cookiesOf(header: string) {
  const trimmed = (text: string) => text.replace(/^[ \t]+|[ \t]+$/g, '')
  return header.split(';').map((pair) => {
    const at = pair.indexOf('=')
    const name = trimmed(at === -1 ? pair : pair.slice(0, at))
    return { pair, name, value: at === -1 ? undefined : trimmed(pair.slice(at + 1)) }
  })
}

const VARIANTS: ReadonlySet<string> = new Set(
  ['', '__Host-', '__Secure-'].flatMap((prefix) =>
    ['', '_outage', '_login', '_target'].map((suffix) => `${prefix}vestibule${suffix}`),
  ),
)

/** Returns what is left of `Cookie` for the app. */
export function cookieForApp(header: string): string {
  const kept = cookiesOf(header).filter(({ name }) => !VARIANTS.has(name))
  const first = kept.findIndex(({ pair }) => pair.trim() !== '')
  if (first === -1) return ''
  const left = kept.slice(first).map(({ pair }) => pair)
  return left.join(';').replace(/^[ \t]+|[ \t]+$/g, '')
}

/** Returns the one value of a cookie, `undefined` for none, or `'ambiguous'` for different ones. */
export function cookieNamed(header: string, name: string): string | undefined {
  const values = new Set(
    cookiesOf(header).flatMap((cookie) =>
      cookie.name === name && cookie.value !== undefined ? [cookie.value] : [],
    ),
  )
  if (values.size > 1) return 'ambiguous'
  return [...values][0] || undefined
}

/** Returns the name of the session cookie on https. */
export function sessionCookie({ cookieDomain }: World): string {
  return `${cookieDomain === undefined ? '__Host-' : '__Secure-'}vestibule`
}
