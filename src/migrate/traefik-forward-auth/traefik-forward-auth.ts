import { nearName } from '../../config/sources/near-names.ts'
import type { Installation } from '../installation.ts'
import { MigrationError, type OldConfiguration } from '../old-configuration.ts'
import { type Members, parseDocuments } from '../traefik/parse-documents.ts'
import { readV3 } from './italypaleale/v3.ts'
import { readV4 } from './italypaleale/v4.ts'
import { isVariable, VARIABLE_NAMES } from './thomseddon/read-options.ts'
import { readThomseddon } from './thomseddon/thomseddon.ts'
import { protectedHosts, readTraefikFiles } from './traefik-files.ts'

/**
 * Reads traefik-forward-auth: version 2 of thomseddon, or versions 3 and 4 of ItalyPaleAle, which are known by their variables
 * and by YAML with a provider or portals. Arguments without a dash are files of Traefik.
 */
export function readTraefikForwardAuth(old: OldConfiguration): readonly Installation[] {
  const files = readTraefikFiles(old)
  const hasVariables = [...old.environment.keys()].some((name) => name.startsWith('TFA_'))
  const document = documentOf(old)
  const installations =
    document || hasVariables
      ? readItalypaleale(old, document ?? {}, files)
      : readThomseddon(old, protectedHosts(files)).map((each) => withVariables(each, old))
  return files.isKubernetes
    ? installations.map((each) => ({ ...each, platform: 'kubernetes' }))
    : installations
}

function readItalypaleale(
  old: OldConfiguration,
  document: Members,
  files: ReturnType<typeof readTraefikFiles>,
): readonly Installation[] {
  if (old.flags.some((flag) => flag.startsWith('-'))) {
    throw new MigrationError([
      'versions 3 and 4 take no flags: behind -- stand files of Traefik alone',
    ])
  }
  return 'portals' in document ? readV4(old, document, files) : readV3(old, document, files)
}

/** Returns the settings of version 3 or 4; `undefined` where the file is none, such as the one of version 2. */
function documentOf({ file, environment, readFile }: OldConfiguration): Members | undefined {
  const path = environment.get('TFA_CONFIG')
  const given = file ?? (path === undefined ? undefined : { path, text: readFile(path) })
  if (
    !given ||
    !/^\s*(?:portals|authProvider|hostname|server|tokens|cookies)\s*:/m.test(given.text)
  ) {
    return undefined
  }
  return parseDocuments({ ...given, path: given.path.replace(/\.toml$/, '') })[0]
}

/** Says what has become of variables that are no option of version 2, in which an environment often has others. */
function withVariables(
  installation: Installation,
  { environment }: OldConfiguration,
): Installation {
  const others = [...environment.keys()].filter((name) => !isVariable(name))
  const misspelt = others.flatMap((name) => {
    const near = nearName(name, VARIABLE_NAMES)
    return near === undefined ? [] : [`${name}: is no option of this service: ${near} may be meant`]
  })
  if (misspelt.length > 0) throw new MigrationError(misspelt)
  const notes = others.map(
    (option) => ({ kind: 'dropped', option, text: 'Is no option of the old service.' }) as const,
  )
  return { ...installation, notes: [...installation.notes, ...notes] }
}
