/** Changes that servers make to a path, each as a server's own documents tell it; independent of `src`. */

export type Step = (path: string) => string | undefined

/** One step after another; a step that refuses ends it. */
export function chain(...steps: readonly Step[]): Step {
  return (path) =>
    steps.reduce<string | undefined>((read, step) => (read === undefined ? read : step(read)), path)
}

function decodeBytes(
  path: string,
  escape: RegExp,
  onInvalid: (escapes: string, bytes: Buffer) => string | undefined,
): string | undefined {
  let isRefused = false
  const decoded = path.replace(escape, (escapes) => {
    const bytes = Buffer.from(escapes.replaceAll('%', ''), 'hex')
    const text = bytes.toString('utf8')
    if (Buffer.from(text, 'utf8').equals(bytes)) return text
    const other = onInvalid(escapes, bytes)
    if (other === undefined) isRefused = true
    return other ?? ''
  })
  return isRefused ? undefined : decoded
}
const ALL = /(?:%[0-9a-f]{2})+/gi
const BUT_SLASH = /(?:%(?!2f)[0-9a-f]{2})+/gi

export const decode: Step = (path) => decodeBytes(path, ALL, (escapes) => escapes)
export const decodeKeepingSlash: Step = (path) => decodeBytes(path, BUT_SLASH, (escapes) => escapes)
export const decodeStrictly: Step = (path) =>
  /%(?![0-9a-f]{2})/i.test(path) ? undefined : decodeBytes(path, ALL, () => undefined)
export const decodeAsLatin1: Step = (path) =>
  decodeBytes(path, ALL, (_, bytes) => bytes.toString('latin1'))
export const decodeUtf16: Step = (path) =>
  path.replace(/%u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))

/** Routes beyond plain ASCII are written in the escapes that browsers send, in servers that decode nothing. */
export const readLetters: Step = (path) =>
  path.replace(
    /(?:%[89a-f][0-9a-f])+|%(?:[01][0-9a-f]|2[023]|3[cef]|5[b-e]|60|7[b-df])/gi,
    (escapes) => decode(escapes) ?? escapes,
  )

/** Segments are what stood between raw slashes; a slash within one is written `%2F` from here on. */
export const decodeSegments: Step = (path) =>
  path
    .split('/')
    .map((segment) => (decode(segment) ?? '').replaceAll('/', '%2F'))
    .join('/')

export const cutParameters: Step = (path) => path.replace(/;[^/]*/g, '')
export const collapse: Step = (path) => path.replace(/\/{2,}/g, '/')
export const backSlashes: Step = (path) => path.replaceAll('\\', '/')
export const compatible: Step = (path) => path.normalize('NFKC')
export const cutAtNul: Step = (path) => path.split('\0')[0]
export const cutAtQuery: Step = (path) => path.split(/[?#]/)[0]
export const trimSegments: Step = (path) => path.replace(/[. ]+(?=\/|$)/g, '')
/** Windows looks at `.` and `..` before it drops what stands at the end of a name. */
export const trimNames: Step = (path) =>
  path
    .split('/')
    .map((name) => (/^\.{1,2}\s*$/.test(name) ? name.trimEnd() : name.replace(/[. ]+$/, '')))
    .join('/')
export const withoutEmptySegments: Step = (path) => `/${path.split('/').filter(Boolean).join('/')}`

export function refuse(what: RegExp): Step {
  return (path) => (what.test(path) ? undefined : path)
}

/** RFC 3986 section 5.2.4; above the root the path is refused or stays at the root. */
function resolve(path: string, mayEscape: boolean): string | undefined {
  const resolved: string[] = []
  const segments = path.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1
    if (segment === '..') {
      if (resolved.length === 0 && !mayEscape) return undefined
      resolved.pop()
    }
    if (segment !== '.' && segment !== '..') resolved.push(segment)
    else if (isLast) resolved.push('')
  }
  return `/${resolved.join('/')}`
}
export const resolveDots: Step = (path) => resolve(path, true)
export const resolveDotsWithin: Step = (path) => resolve(path, false)

/** Parsers that follow the WHATWG URL Standard, given a path beside a base. */
export const parseUrl: Step = (path) => URL.parse(path, 'http://app')?.pathname
