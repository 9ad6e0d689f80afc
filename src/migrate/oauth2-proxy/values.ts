import { MigrationError } from '../old-configuration.ts'
import type { GivenOptions } from './given-options.ts'

/** Options by what their values mean. */
export interface Values {
  readonly has: (name: string) => boolean
  /** `undefined` where it is not given or empty. */
  readonly text: (name: string) => string | undefined
  readonly list: (name: string) => readonly string[]
  readonly isOn: (name: string, byDefault?: boolean) => boolean
  readonly seconds: (name: string, byDefault: number) => number
  /** Place at which the option was given, or else its flag, for notes. */
  readonly label: (name: string) => string
  readonly names: () => readonly string[]
}

/** Returns the values of given options. A value that is none of its kind throws `MigrationError`, which does not quote it. */
export function createValues(options: GivenOptions): Values {
  const label = (name: string) => options.get(name)?.label ?? `--${name}`
  const text = (name: string) => options.get(name)?.values.at(-1) || undefined
  const parsed = <Value>(
    name: string,
    parse: (given: string) => Value | undefined,
    kind: string,
  ) => {
    const given = text(name)
    if (given === undefined) return undefined
    const value = parse(given)
    if (value === undefined) throw new MigrationError([`${label(name)} is not ${kind}`])
    return value
  }
  return {
    has: (name) => options.has(name),
    text,
    list: (name) => (options.get(name)?.values ?? []).filter((value) => value !== ''),
    isOn: (name, byDefault = false) => parsed(name, parseFlag, 'true or false') ?? byDefault,
    seconds: (name, byDefault) =>
      parsed(name, parseDuration, 'a duration such as 168h') ?? byDefault,
    label,
    names: () => [...options.keys()],
  }
}

function parseFlag(text: string): boolean | undefined {
  if (/^(?:1|t|true)$/i.test(text)) return true
  return /^(?:0|f|false)$/i.test(text) ? false : undefined
}

const SECONDS_OF: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
}

/** Parses a duration of Go, such as `1h30m`; a number alone counts nanoseconds. */
function parseDuration(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) / 1e9
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)].reduce(
    (sum, [, amount, unit = '']) => sum + Number(amount) * (SECONDS_OF[unit] ?? 0),
    0,
  )
}
