import { BROWSER_MAP, getParser, OS_MAP } from 'bowser'

const BROWSERS: ReadonlySet<string> = new Set(Object.values(BROWSER_MAP))
const SYSTEMS: ReadonlySet<string> = new Set(Object.values(OS_MAP))
/** Devices whose name says more to people than that of their system. */
const DEVICES: ReadonlySet<string> = new Set(['iPhone', 'iPad'])

/** Words for a `User-Agent` that names no known browser and system. */
export const UNKNOWN_BROWSER = 'Unknown browser'

/**
 * Returns browser and system in words, such as `Firefox on Windows`. Takes no word from the header itself, because
 * anybody chooses it and the parser passes on names that it does not know.
 */
export function browserWords(userAgent: string | undefined): string {
  if (!userAgent) return UNKNOWN_BROWSER
  const parser = getParser(userAgent)
  const browser = oneOf(BROWSERS, parser.getBrowserName()) ?? UNKNOWN_BROWSER
  const { model } = parser.getPlatform()
  const system = oneOf(DEVICES, model) ?? oneOf(SYSTEMS, parser.getOSName())
  const isTold = system === undefined || browser.endsWith(` for ${system}`)
  return isTold ? browser : `${browser} on ${system}`
}

function oneOf(names: ReadonlySet<string>, name: string | undefined): string | undefined {
  return name !== undefined && names.has(name) ? name : undefined
}
