import { serialize } from 'hono/utils/cookie'

/** Names of ours that an attacker may have planted for a path or domain of their choice (finding C7). */
export interface PlantedCookies {
  readonly names: readonly string[]
  readonly hostname: string
  /** `COOKIE_DOMAIN`. */
  readonly domain: string | undefined
  /** Path as sent, not decoded, because browsers compare cookie paths byte by byte (RFC 6265 section 5.1.4). */
  readonly path: string
  readonly attributes: {
    readonly httpOnly: boolean
    readonly secure: boolean
    readonly sameSite: 'lax' | 'strict' | 'none'
  }
}

const MAX_DEPTH = 16
/** Bounds these headers, because clients and proxies refuse response heads above 16 KiB. */
const MAX_BYTES = 12 * 1024
/** Length above which browsers ignore an attribute (RFC 6265bis section 5.6). */
const MAX_PATH_LENGTH = 1024

/**
 * Expires the cookies for every prefix of the path, on the host itself and on every parent domain. Returns the
 * likeliest first and omits what exceeds the bounds.
 */
export function expirePlanted(planted: PlantedCookies): string[] {
  const { names, hostname, domain, path, attributes } = planted
  const domains = new Set([domain, undefined, ...domainsOf(hostname)])
  // A cookie without `Path` gets the folder of the request, which an attribute cannot always express.
  const paths = [...prefixesOf(path), undefined]
  const lines: string[] = []
  let bytes = 0
  for (const name of names) {
    for (const each of domains) {
      for (const prefix of paths) {
        const at = { ...(each && { domain: each }), ...(prefix && { path: prefix }) }
        const line = serialize(name, '', { ...attributes, ...at, maxAge: 0 })
        bytes += line.length
        if (bytes > MAX_BYTES) return lines
        lines.push(line)
      }
    }
  }
  return lines
}

/** Returns `/`, `/a`, `/a/`, `/a/b` and `/a/b/` for `/a/b`, without those that an attribute cannot hold. */
function prefixesOf(path: string): readonly string[] {
  const prefixes = new Set(['/'])
  const folder = path.endsWith('/') ? path : `${path}/`
  let end = folder.indexOf('/', 1)
  for (let depth = 0; end !== -1 && depth < MAX_DEPTH; depth++) {
    prefixes.add(folder.slice(0, end)).add(folder.slice(0, end + 1))
    end = folder.indexOf('/', end + 1)
  }
  return [...prefixes].filter(
    (prefix) => /^\/[\x21-\x3a\x3c-\x7e]*$/.test(prefix) && prefix.length <= MAX_PATH_LENGTH,
  )
}

/** Returns the host and its parent domains; browsers ignore public suffixes. */
function domainsOf(hostname: string): readonly string[] {
  if (/^[\d.]+$/.test(hostname)) return []
  const labels = hostname.split('.')
  return labels.slice(0, -1).map((_, at) => labels.slice(at).join('.'))
}
