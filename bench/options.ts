import { parseArgs } from 'node:util'

/** Options of `npm run bench -- …`. */
export interface Options {
  /** Sections to run, in the order of `SECTIONS`. */
  readonly only: ReadonlySet<string> | undefined
  readonly laps: number
  readonly rounds: number
  readonly seconds: number
  readonly isJson: boolean
  /** File with the JSON of an earlier run. */
  readonly compare: string | undefined
  /** Page whose tables are replaced by those of this run. */
  readonly page: string | undefined
  /** File with the JSON of a run, which is used instead of measuring. */
  readonly from: string | undefined
}

export const USAGE = `npm run bench -- [options]
  --only NAME,…    sections to run: checks, reads, rules, sizes, sign-ins, start, streams, traefik
  --laps N         repetitions with fresh processes (3)
  --rounds N       measurements of each contestant within a repetition, in turns (2)
  --seconds N      length of one measurement (1)
  --json           prints JSON instead of tables
  --compare FILE   prints the figures over those of an earlier run, saved with --json
  --from FILE      takes the figures of an earlier run instead of measuring
  --page FILE      replaces the tables of a page, such as docs/performance.md
`

export function parseOptions(args: readonly string[], sections: readonly string[]): Options {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: text,
      laps: text,
      rounds: text,
      seconds: text,
      compare: text,
      page: text,
      from: text,
      json: { type: 'boolean' },
    },
  })
  const only = values.only?.split(',')
  const unknown = only?.filter((name) => !sections.includes(name)) ?? []
  if (unknown.length > 0) throw new TypeError(`there is no section ${unknown.join()}`)
  return {
    only: only && new Set(only),
    laps: positive('laps', values.laps, 3),
    rounds: positive('rounds', values.rounds, 2),
    seconds: positive('seconds', values.seconds, 1),
    isJson: values.json ?? false,
    compare: values.compare,
    page: values.page,
    from: values.from,
  }
}

function positive(name: string, text: string | undefined, standard: number): number {
  const value = text === undefined ? standard : Number(text)
  if (value > 0) return value
  throw new TypeError(`--${name} must be a number above 0, not ${text}`)
}
