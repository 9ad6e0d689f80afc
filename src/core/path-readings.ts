/** A path that every proxy and app reads alike: no encoding, no case, nothing to collapse. */
const SIMPLE = /^\/(?:[a-z0-9_~-][a-z0-9._~-]*(?:\/[a-z0-9_~-][a-z0-9._~-]*)*)?$/

/**
 * What makes a path mean different things to different software (threats A17, A18): encoded separators, dots and
 * controls, escapes that are none or no UTF-8, and what may be collapsed.
 */
const AMBIGUOUS =
  /%(?:2f|5c|25|2e|3b|23|3f|[01][0-9a-f]|7f|c[01]|f[5-9a-f]|(?![0-9a-f]{2}))|[\\;]|\/\/|\/\.{1,2}(?:\/|$)|[^\x21-\x7e]/i

/** Whether a public rule may match this path at all. */
export function isUnambiguous(path: string): boolean {
  return !AMBIGUOUS.test(path)
}

/**
 * Every way a path may be read behind us: as sent, and decoded up to three times, without `;` parameters,
 * with back-slashes, repeated slashes and dot segments both kept and resolved, and in lower case.
 * The first reading is the path as sent.
 */
export function pathReadings(path: string): readonly string[] {
  if (SIMPLE.test(path)) return [path]
  const readings = new Set([path])
  let decoded = path
  for (let round = 0; round < 4; round++) {
    addNormalForms(readings, decoded)
    const next = percentDecode(decoded)
    if (next === decoded) break
    decoded = next
  }
  return [...readings]
}

/** Whether any reading lies at or below `base` (a lower-case prefix without a final slash). */
export function isUnder(base: string, readings: readonly string[]): boolean {
  return readings.some(
    (reading) =>
      reading.startsWith(base) && (reading.length === base.length || reading[base.length] === '/'),
  )
}

function addNormalForms(readings: Set<string>, decoded: string): void {
  const folded = decoded.normalize('NFKC').toLowerCase().replaceAll('\\', '/')
  const printable = folded.replace(/[\p{Cc}\p{Zs}]+/gu, '')
  const ended = folded.replace(/\0.*$/s, '')
  for (const form of new Set([folded, printable, ended, cutAtQuery(printable)])) {
    const plain = form.replace(/;[^/]*/g, '')
    for (const path of [plain, plain.replace(/\/{2,}/g, '/')]) {
      readings.add(path).add(resolveDots(path))
    }
  }
}

function cutAtQuery(path: string): string {
  return path.replace(/[?#].*$/s, '')
}

function resolveDots(path: string): string {
  const resolved: string[] = []
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') resolved.pop()
    else if (segment !== '.') resolved.push(segment)
  }
  return `/${resolved.join('/')}`
}

/** Decodes what is a valid escape and leaves the rest, so that no input is refused here. */
function percentDecode(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) =>
    new TextDecoder().decode(
      Uint8Array.from(escapes.slice(1).split('%'), (hex) => Number.parseInt(hex, 16)),
    ),
  )
}
