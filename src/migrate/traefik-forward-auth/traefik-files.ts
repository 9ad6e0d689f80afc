import type { OldConfiguration } from '../old-configuration.ts'
import {
  type DynamicConfiguration,
  readDynamicConfiguration,
  routersWith,
} from '../traefik/dynamic-configuration.ts'
import { hostsOf } from '../traefik/matched-requests.ts'
import { memberOf } from '../traefik/parse-documents.ts'

/** Middlewares and routers of all files of Traefik that were given. */
export interface TraefikFiles extends DynamicConfiguration {
  readonly isGiven: boolean
}

/** Reads the arguments without a dash as files of Traefik, in which routers and middlewares of the old service stand. */
export function readTraefikFiles({ flags, readFile }: OldConfiguration): TraefikFiles {
  const paths = flags.filter((flag, at) => !flag.startsWith('-') && !isValue(flags[at - 1]))
  const files = paths.map((path) => ({ path, text: readFile(path) }))
  return { isGiven: files.length > 0, ...readDynamicConfiguration(files) }
}

/** A value may stand behind its flag: `--config FILE`. */
function isValue(before: string | undefined): boolean {
  return (
    before !== undefined && before.startsWith('-') && !before.includes('=') && !SWITCH.test(before)
  )
}

const SWITCH = /^--?(?:insecure-cookie|match-whitelist-or-domain)$/

/** Returns the hosts of the routers with a middleware that asks a service. */
export function protectedHosts(files: TraefikFiles, names?: readonly string[]): readonly string[] {
  const asking = files.middlewares
    .filter(({ types }) => memberOf(types, 'forwardAuth') !== undefined)
    .map(({ name }) => name)
  const routers = (names ?? asking).flatMap((name) => routersWith(files, name))
  return [...new Set(routers.flatMap(({ rule }) => hostsOf(rule)))]
}
