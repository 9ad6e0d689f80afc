/** Changes that servers make to a path, each as a server's own documents tell it; independent of `src`. */

type Step = (path: string) => string | undefined

/** One step after another; a step that refuses ends it. */
function chain(...steps: readonly Step[]): Step {
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

const decode: Step = (path) => decodeBytes(path, ALL, (escapes) => escapes)
const decodeKeepingSlash: Step = (path) => decodeBytes(path, BUT_SLASH, (escapes) => escapes)
const decodeStrictly: Step = (path) =>
  /%(?![0-9a-f]{2})/i.test(path) ? undefined : decodeBytes(path, ALL, () => undefined)
const decodeAsLatin1: Step = (path) =>
  decodeBytes(path, ALL, (_, bytes) => bytes.toString('latin1'))
const decodeUtf16: Step = (path) =>
  path.replace(/%u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))

/** Routes beyond plain ASCII are written in the escapes that browsers send, in servers that decode nothing. */
const readLetters: Step = (path) =>
  path.replace(
    /(?:%[89a-f][0-9a-f])+|%(?:[01][0-9a-f]|2[023]|3[cef]|5[b-e]|60|7[b-df])/gi,
    (escapes) => decode(escapes) ?? escapes,
  )

/** Segments are what stood between raw slashes; a slash within one is written `%2F` from here on. */
const decodeSegments: Step = (path) =>
  path
    .split('/')
    .map((segment) => (decode(segment) ?? '').replaceAll('/', '%2F'))
    .join('/')

const cutParameters: Step = (path) => path.replace(/;[^/]*/g, '')
const collapse: Step = (path) => path.replace(/\/{2,}/g, '/')
const backSlashes: Step = (path) => path.replaceAll('\\', '/')
const compatible: Step = (path) => path.normalize('NFKC')
const cutAtNul: Step = (path) => path.split('\0')[0]
const cutAtQuery: Step = (path) => path.split(/[?#]/)[0]
const trimSegments: Step = (path) => path.replace(/[. ]+(?=\/|$)/g, '')
/** Windows looks at `.` and `..` before it drops what stands at the end of a name. */
const trimNames: Step = (path) =>
  path
    .split('/')
    .map((name) => (/^\.{1,2}\s*$/.test(name) ? name.trimEnd() : name.replace(/[. ]+$/, '')))
    .join('/')
const withoutEmptySegments: Step = (path) => `/${path.split('/').filter(Boolean).join('/')}`

function refuse(what: RegExp): Step {
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
const resolveDots: Step = (path) => resolve(path, true)
const resolveDotsWithin: Step = (path) => resolve(path, false)

/** Parsers that follow the WHATWG URL Standard, given a path beside a base. */
const parseUrl: Step = (path) => URL.parse(path, 'http://app')?.pathname

/** A server behind us: which path it serves for a request target, and what it takes for the same. */
export interface ServerModel {
  readonly serve: Step
  readonly isCaseless?: boolean
  readonly ignoresFinalSlash?: boolean
  readonly isCompatible?: boolean
}

const NUL = /\0/
const nginx = chain(decode, refuse(NUL), collapse, resolveDotsWithin)
const nginxKeepingSlashes = chain(decode, refuse(NUL), resolveDotsWithin)
const windows = { isCaseless: true, ignoresFinalSlash: true }
/** Answers with a redirect to the clean path, which is checked for itself. */
const redirectUnlessClean: Step = (path) =>
  collapse(path) === path && resolveDots(path) === path ? path : undefined

export const serverModels: Readonly<Record<string, ServerModel>> = {
  tomcat: { serve: chain(cutParameters, decode, refuse(/[\\\0]/), collapse, resolveDotsWithin) },
  'tomcat with ALLOW_BACKSLASH, encodedSolidusHandling=passthrough': {
    serve: chain(
      cutParameters,
      decodeKeepingSlash,
      refuse(NUL),
      backSlashes,
      collapse,
      resolveDotsWithin,
    ),
  },
  'jetty 9': { serve: chain(cutParameters, decodeUtf16, decode, resolveDotsWithin) },
  'jetty, compactPath': { serve: chain(cutParameters, decode, resolveDotsWithin, collapse) },
  undertow: { serve: chain(decode, cutParameters, collapse, resolveDots) },
  'spring, PathPattern': { serve: chain(cutParameters, decodeSegments), ignoresFinalSlash: true },
  'spring, AntPathMatcher': {
    serve: chain(cutParameters, decode, collapse),
    ignoresFinalSlash: true,
  },
  weblogic: { serve: chain(decode, decode, cutParameters, collapse, resolveDots) },
  iis: {
    serve: chain(
      decodeUtf16,
      decodeAsLatin1,
      refuse(NUL),
      backSlashes,
      collapse,
      trimNames,
      resolveDots,
    ),
    ...windows,
  },
  'iis, allowDoubleEscaping': {
    serve: chain(decode, decodeUtf16, decode, backSlashes, trimNames, resolveDots, collapse),
    ...windows,
  },
  'asp.net, best fit': {
    serve: chain(decodeUtf16, decodeAsLatin1, compatible, backSlashes, resolveDots, trimSegments),
    ...windows,
    isCompatible: true,
  },
  kestrel: { serve: chain(decodeKeepingSlash, refuse(NUL), resolveDots), ...windows },
  nginx: { serve: nginx },
  'nginx, merge_slashes off': { serve: nginxKeepingSlashes },
  'nginx, then node': {
    serve: chain(
      nginxKeepingSlashes,
      (path) => encodeURI(path.toWellFormed()).replace(/[?#]/g, escape),
      parseUrl,
      readLetters,
    ),
    isCaseless: true,
  },
  'nginx, proxied twice': { serve: chain(nginx, cutAtQuery, nginx) },
  apache: { serve: chain(decode, refuse(NUL), collapse, resolveDotsWithin) },
  'apache, AllowEncodedSlashes NoDecode': {
    serve: chain(decodeKeepingSlash, refuse(NUL), collapse, resolveDotsWithin),
  },
  'apache on windows': {
    serve: chain(decode, backSlashes, collapse, resolveDots, trimSegments),
    ...windows,
  },
  // The script is the app; the rest of the path is for it to read.
  'php, path info': { serve: chain(nginx, decode) },
  'php, built-in server': { serve: chain(decode, cutAtNul, resolveDots) },
  laravel: { serve: chain(decode, decode, withoutEmptySegments), ignoresFinalSlash: true },
  express: { serve: readLetters, isCaseless: true, ignoresFinalSlash: true },
  'express, static files': { serve: chain(decodeStrictly, refuse(NUL), collapse, resolveDots) },
  'express, static files on windows': {
    serve: chain(decodeStrictly, refuse(NUL), backSlashes, collapse, resolveDots, trimSegments),
    ...windows,
  },
  'node, URL of the decoded path': { serve: chain(decode, parseUrl, decode) },
  rails: { serve: chain(collapse, decodeSegments), ignoresFinalSlash: true },
  'rails, static files': { serve: chain(decodeStrictly, refuse(NUL), collapse, resolveDots) },
  django: { serve: decode },
  'flask, merge_slashes': { serve: chain(decode, collapse), ignoresFinalSlash: true },
  "go's mux": { serve: chain(decode, redirectUnlessClean) },
  "go's mux since 1.22": { serve: chain(redirectUnlessClean, decodeSegments) },
  traefik: { serve: chain(collapse, resolveDots, decode) },
  caddy: { serve: chain(decode, collapse, resolveDots), isCaseless: true },
  lighttpd: { serve: chain(decode, cutAtNul, collapse, resolveDots) },
  'envoy, then django': { serve: chain(backSlashes, decode, collapse, resolveDots, decode) },
  phoenix: { serve: chain(decodeSegments, withoutEmptySegments), ignoresFinalSlash: true },
  'cgi in c': { serve: chain(decode, cutAtNul, cutAtQuery) },
  'three proxies that decode': { serve: chain(decode, decode, decode, collapse, resolveDots) },
  'an app that folds names': {
    serve: chain(decode, compatible, resolveDots),
    isCaseless: true,
    isCompatible: true,
  },
}
