import { isRecord } from '../../../core/json.ts'
import type { Installation, Note } from '../../installation.ts'
import { MigrationError, type OldConfiguration } from '../../old-configuration.ts'
import type { Middleware } from '../../traefik/dynamic-configuration.ts'
import { flagOf, notesOf, secondsOf, textOf, unknownOption } from '../../traefik/given-values.ts'
import { entriesOf, type Members, memberOf } from '../../traefik/parse-documents.ts'
import { type CookieDomain, covers, type Sites, sitesByDomain } from '../../traefik/sites.ts'
import { protectedHosts, type TraefikFiles } from '../traefik-files.ts'
import { type PortalMiddleware, portalMiddlewares } from './middlewares.ts'
import { installationOf, type OldPortal } from './portal.ts'
import { isOpenId, type OldProvider } from './provider.ts'
import { V4_FATES } from './v4-options.ts'

/** Reads version 4: YAML with portals. Conditions stand in the addresses of Traefik's middlewares. */
export function readV4(
  old: OldConfiguration,
  document: Members,
  files: TraefikFiles,
): readonly Installation[] {
  refuseUnknown(document)
  const portals = listIn(document['portals'])
  if (portals.length === 0) throw new MigrationError(['portals: there is none'])
  const domains = domainsOf(document)
  return portals.flatMap((portal) => {
    const read = portalOf(document, portal, files)
    return sitesOf(document, read, files, domains).map((sites) =>
      installationOf(old, read, { ...sites, name: nameOf(sites, read, portals.length) }),
    )
  })
}

function nameOf(sites: Sites, portal: OldPortal, portals: number): string {
  return [portals > 1 ? portal.name : '', sites.name].filter((part) => part !== '').join('-')
}

function sitesOf(
  document: Members,
  { middlewares }: OldPortal,
  files: TraefikFiles,
  domains: readonly CookieDomain[],
): readonly Sites[] {
  const hosts = protectedHosts(
    files,
    middlewares.map(({ name }) => name),
  )
  const known =
    domains.length === 0
      ? hosts
      : hosts.filter((host) => domains.some(({ domain }) => covers(domain, host)))
  const isInsecure = flagOf(memberOf(document['cookies'], 'insecure') ?? '') === true
  return sitesByDomain(domains, known, isInsecure ? 'http' : 'https')
}

function domainsOf(document: Members): readonly CookieDomain[] {
  const legacy = textOf(memberOf(document['cookies'], 'domain'))
  const listed = listIn(memberOf(document['server'], 'domains')).map((each) => ({
    domain: textOf(memberOf(each, 'domain')) ?? '',
    authHost: textOf(memberOf(each, 'authHost')),
  }))
  const host = textOf(memberOf(document['server'], 'hostname'))
  const all = legacy === undefined ? listed : [{ domain: legacy, authHost: host }]
  return all.map(({ domain, authHost = domain }) => ({
    domain: domain.toLowerCase(),
    authHost: authHost.toLowerCase(),
  }))
}

function portalOf(document: Members, portal: unknown, files: TraefikFiles): OldPortal {
  const name = (textOf(memberOf(portal, 'name')) ?? '').toLowerCase()
  const basePath = (textOf(memberOf(document['server'], 'basePath')) ?? '').replace(/\/$/, '')
  const isDefault = textOf(document['defaultPortal'])?.toLowerCase() === name
  const middlewares = portalMiddlewares(files, basePath).filter(
    (each) => each.portal.toLowerCase() === name || (isDefault && each.portal === ''),
  )
  const providers = listIn(memberOf(portal, 'providers')).flatMap(providersOf)
  const provider = providers.find(isOpenId) ?? providers[0]
  if (!provider) throw new MigrationError([`portals.${name}: has no provider`])
  const lifetime = lifetimeOf(document, portal)
  return {
    name,
    provider,
    headers: headersOf(portal),
    sessionSeconds: secondsOf(lifetime ?? '2h') ?? 7200,
    logLevel: textOf(memberOf(document['logs'], 'level')) ?? 'info',
    callbackPath: `${basePath}/portals/${name}/oauth2/callback`,
    allowed: undefined,
    middlewares,
    hasUnknownConditions: middlewares.length === 0 || files.middlewares.some(asksByHeader),
    notes: [
      ...notesOf(new Set(optionsIn(document)), V4_FATES),
      ...notesOfPortal({ name, providers, provider, middlewares, lifetime }, files),
    ],
  }
}

/** The portal's own, unless it is zero. */
function lifetimeOf(document: Members, portal: unknown): string | undefined {
  const own = textOf(memberOf(portal, 'sessionLifetime'))
  const isOwn = own !== undefined && secondsOf(own) !== 0
  return isOwn ? own : textOf(memberOf(document['tokens'], 'sessionLifetime'))
}

interface PortalFacts {
  readonly name: string
  readonly providers: readonly OldProvider[]
  readonly provider: OldProvider
  readonly middlewares: readonly PortalMiddleware[]
  readonly lifetime: string | undefined
}

function notesOfPortal(
  { name, providers, provider, middlewares, lifetime }: PortalFacts,
  files: TraefikFiles,
): readonly Note[] {
  const option = `portals.${name}`
  const notes: Note[] = []
  if (providers.length > 1) {
    notes.push({
      kind: 'todo',
      option,
      text: `Offers ${providers.map(({ type }) => type).join(', ')}, and an installation has one provider: this one uses ${provider.type}, and the people of the others cannot sign in. Let a service such as Dex or Keycloak stand before them, or remove this note if one is enough.`,
    })
  }
  if (!files.isGiven) {
    notes.push({
      kind: 'todo',
      option: '?if=',
      text: "Conditions stand in the addresses of Traefik's middlewares and in the header X-Forward-Auth-If: name the files of Traefik behind --, or without conditions a file with the middleware alone. Until then the rule lets nobody in.",
    })
  } else if (middlewares.length === 0) {
    notes.push({
      kind: 'todo',
      option,
      text: 'The files of Traefik have no middleware that asks this portal, so that its conditions are not known. Until you write the rule, it lets nobody in.',
    })
  }
  const [first, ...services] = new Set(middlewares.map(({ origin }) => origin))
  if (services.length > 0) {
    notes.push({
      kind: 'todo',
      option,
      text: `The middlewares ask several services: ${[first, ...services].join(', ')}. Leave those of others as they are: what is said here of them is not meant for them.`,
    })
  }
  for (const each of files.middlewares) {
    if (!asksByHeader(each)) continue
    notes.push({
      kind: 'todo',
      option: `${each.name}: X-Forward-Auth-If`,
      text: 'Write this condition as a policy (docs/rules.md), and put protected-POLICY into the routers that use both middlewares. Until you write the last rule too, it lets nobody in.',
    })
  }
  if (lifetime === undefined) {
    notes.push({
      kind: 'carried',
      option: 'tokens.sessionLifetime',
      text: 'Was not set: its default, 2 hours, is SESSION_MAX_AGE.',
    })
  }
  return notes
}

function asksByHeader({ types }: Middleware): boolean {
  const headers = memberOf(memberOf(types, 'headers'), 'customRequestHeaders')
  return memberOf(headers, 'X-Forward-Auth-If') !== undefined
}

function headersOf(portal: unknown): readonly unknown[] | undefined {
  const headers = memberOf(portal, 'headers')
  return Array.isArray(headers) ? headers : undefined
}

function providersOf(entry: unknown): readonly OldProvider[] {
  return entriesOf(entry).map(([type, options]) => ({ type: type.toLowerCase(), options }))
}

function refuseUnknown(document: Members): void {
  const unknown = [...new Set(optionsIn(document))].filter((name) => !Object.hasOwn(V4_FATES, name))
  if (unknown.length > 0) {
    throw new MigrationError(unknown.map((name) => unknownOption(name, V4_FATES)))
  }
}

/** Returns the paths of all values, without the indexes of lists. */
function optionsIn(value: unknown, path: readonly string[] = []): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((each) => optionsIn(each, path))
  if (isRecord(value)) {
    return Object.entries(value).flatMap(([name, each]) => optionsIn(each, [...path, name]))
  }
  return value === null || value === undefined ? [] : [path.join('.')]
}

function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
