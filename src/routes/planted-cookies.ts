import { serialize } from 'hono/utils/cookie'

/** Cookies of ours that somebody else may have set as well, at a path or for a domain of their choice (finding C7). */
export interface PlantedCookies {
  readonly names: readonly string[]
  readonly hostname: string
  /** `COOKIE_DOMAIN`. */
  readonly domain: string | undefined
  /** As the browser sees it, not decoded: cookie paths are compared letter by letter (RFC 6265 section 5.1.4). */
  readonly path: string
  readonly attributes: {
    readonly httpOnly: boolean
    readonly secure: boolean
    readonly sameSite: 'lax' | 'strict' | 'none'
  }
}

const MAX_DEPTH = 16
/** Clients and proxies refuse heads above 16 KiB, and the page has headers of its own. */
const MAX_BYTES = 12 * 1024
/** Browsers ignore an attribute that is longer (RFC 6265bis section 5.6). */
const MAX_PATH_LENGTH = 1024

/**
 * Expires the cookies for every prefix of the path, for the host alone and for every domain that it lies in. The most
 * likely come first, and what is beyond the bounds is left out.
 */
export function expirePlanted(planted: PlantedCookies): string[] {
  const { names, hostname, domain, path, attributes } = planted
  const domains = new Set([domain, undefined, ...domainsOf(hostname)])
  // Without a path it is that of the page's folder, also where no attribute can name it.
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

/** `/a/b` gives `/`, `/a`, `/a/`, `/a/b` and `/a/b/`, but for what an attribute cannot hold. */
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

/** The host itself and all above it; browsers refuse those that belong to nobody. */
function domainsOf(hostname: string): readonly string[] {
  if (/^[\d.]+$/.test(hostname)) return []
  const labels = hostname.split('.')
  return labels.slice(0, -1).map((_, at) => labels.slice(at).join('.'))
}
