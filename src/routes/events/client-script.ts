import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { NodeContext } from '../../http/request.ts'

const SOURCE = new URL('./browser/page-client.js', import.meta.url)

/** An address with the version in it always gives the same script. */
const FOREVER = 'public, max-age=31536000, immutable'
const SHORTLY = 'public, max-age=300, must-revalidate'

/** Serves `GET BASE_PATH/client.js`, the script by which pages follow events; `?v=<version>` may be kept for good. */
export function createClientScript() {
  const script = compacted(readFileSync(SOURCE, 'utf8'))
  const version = createHash('sha256').update(script).digest('hex').slice(0, 16)
  const tag = `"${version}"`
  return (c: NodeContext): Response => {
    const headers = {
      'Cache-Control': c.req.query('v') === version ? FOREVER : SHORTLY,
      ETag: tag,
      // Pages of other hosts load it, also by `crossorigin` and `integrity`, and nothing in it is about anybody.
      'Access-Control-Allow-Origin': '*',
      'Cross-Origin-Resource-Policy': 'cross-origin',
      'X-Content-Type-Options': 'nosniff',
    }
    // Looks for the tag anywhere, because a proxy that compresses may have made it a weak one.
    if (c.req.header('If-None-Match')?.includes(tag))
      return new Response(null, { status: 304, headers })
    return new Response(script, {
      headers: { ...headers, 'Content-Type': 'text/javascript; charset=utf-8' },
    })
  }
}

/** Returns the script without comments, indentation, and spaces and line ends where its punctuation divides as well. */
function compacted(source: string): string {
  return source
    .replaceAll(/^\s*(?:\/\/|\/?\*).*\n/gm, '')
    .replaceAll(/^\s+/gm, '')
    .replaceAll(/ ?([^\w\s$]) ?/g, '$1')
    .replaceAll(/(?<=[{(,])\n|\n(?=[})])/g, '')
}
