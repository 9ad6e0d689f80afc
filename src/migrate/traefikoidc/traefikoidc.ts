import { createDraft, type Draft } from '../draft.ts'
import type { Installation } from '../installation.ts'
import { MigrationError, type OldConfiguration } from '../old-configuration.ts'
import { readDynamicConfiguration } from '../traefik/dynamic-configuration.ts'
import { notesOf, textOf } from '../traefik/given-values.ts'
import { policyNames } from '../traefik/policy-names.ts'
import { placeClient } from './client.ts'
import { placePolicies, placeRules } from './demands.ts'
import { placeHeaders } from './headers.ts'
import { FATES } from './options.ts'
import { type PluginMiddleware, pluginMiddlewares } from './plugin-middleware.ts'
import { placeRedis, REDIS_VARIABLES } from './redis.ts'

/** Reads the middlewares of the traefikoidc plugin. Those of one client are one installation, with a policy for each. */
export function readTraefikoidc(old: OldConfiguration): readonly Installation[] {
  if (!old.file) {
    throw new MigrationError([
      '--config is needed: the file of Traefik with the middlewares of the plugin',
    ])
  }
  const others = old.flags.map((path) => ({ path, text: old.readFile(path) }))
  const configuration = readDynamicConfiguration([old.file, ...others])
  const middlewares = pluginMiddlewares(configuration)
  if (middlewares.length === 0) {
    throw new MigrationError([
      `${old.file.path}: has no middleware of the plugin, with providerURL and clientID`,
    ])
  }
  const clients = [...Map.groupBy(middlewares, clientOf).values()]
  const names = clients.length > 1 ? policyNames(clients.map(([first]) => first?.name ?? '')) : ['']
  return clients.map((members, at) => ({
    ...installationOf(old, { members, name: names[at] ?? '' }, basePathOf(members, clients, at)),
    ...(configuration.isKubernetes && { platform: 'kubernetes' as const }),
  }))
}

function clientOf({ options }: PluginMiddleware): string {
  return JSON.stringify([options.get('providerURL'), options.get('clientID')])
}

/** Middlewares of one client at one provider, and the name of their installation. */
interface Client {
  readonly members: readonly PluginMiddleware[]
  readonly name: string
}

function installationOf(
  old: OldConfiguration,
  { members, name }: Client,
  basePath: string,
): Installation {
  const draft = createDraft(name)
  const given = new Set(members.flatMap(({ options }) => [...options.keys()]))
  for (const { kind, option, text } of notesOf(given, FATES)) draft.note(kind, option, text)
  placeClient(draft, members, basePath)
  placeHeaders(draft, members)
  placeRedis(draft, members, old.environment, name)
  noteVariables(draft, old)
  noteOptions(draft, members)
  noteDifferences(draft)
  if (name !== '') separate(draft, name)
  const policies =
    members.length === 1 ? placeRules(draft, members, name) : placePolicies(draft, members, name)
  return { ...draft.finish(), policies }
}

/** The path of the callback stays where it can; installations that may share a host have paths of their own. */
function basePathOf(
  members: readonly PluginMiddleware[],
  clients: readonly (readonly PluginMiddleware[])[],
  at: number,
): string {
  const path = ownPath(members)
  const isTaken = clients
    .slice(0, at)
    .some((others) => ownPath(others) === path && mayShare(others, members))
  return isTaken ? `${path}-${at + 1}` : path
}

function ownPath([first]: readonly PluginMiddleware[]): string {
  const [, path] = /^(\/.+)\/callback$/.exec(textOf(first?.options.get('callbackURL')) ?? '') ?? []
  return path ?? '/oauth2'
}

function mayShare(one: readonly PluginMiddleware[], other: readonly PluginMiddleware[]): boolean {
  const [hosts, others] = [one, other].map((each) => each.flatMap((member) => member.hosts)) as [
    string[],
    string[],
  ]
  return hosts.length === 0 || others.length === 0 || hosts.some((host) => others.includes(host))
}

function separate(draft: Draft, name: string): void {
  draft.set('COOKIE_NAME', `vestibule-${name}`)
  draft.note(
    'differs',
    'installations',
    'There are several, because one has one client at one provider. Each is a process with its own ports, Traefik objects and cookie; people sign in at each.',
  )
}

function noteVariables(draft: Draft, { environment }: OldConfiguration): void {
  for (const variable of environment.keys()) {
    const isOption = Object.hasOwn(REDIS_VARIABLES, variable)
    draft.note(
      isOption ? 'carried' : 'dropped',
      variable,
      isOption
        ? 'Counts where the middleware does not have the option.'
        : 'Is no variable of the plugin.',
    )
  }
}

const OF_EACH =
  /^(?:allowed|excludedURLs|cookiePrefix|sessionEncryptionKey|scopes|overrideScopes|sessionMaxAge|headers\.)/

function noteOptions(draft: Draft, members: readonly PluginMiddleware[]): void {
  const names = new Set(members.flatMap(({ options }) => [...options.keys()]))
  for (const option of names) {
    const values = new Set(members.map(({ options }) => JSON.stringify(options.get(option))))
    if (values.size > 1 && !OF_EACH.test(option)) {
      draft.note(
        'differs',
        option,
        `Differs between the middlewares, and an installation has one value: that of ${members[0]?.name ?? ''} counts.`,
      )
    }
  }
  const registers = members.some(
    ({ options }) => String(options.get('dynamicClientRegistration.enabled')) === 'true',
  )
  if (registers) {
    draft.note(
      'todo',
      'dynamicClientRegistration.enabled',
      'Register a client at the provider, and write its id and secret into OIDC_CLIENT_ID and secrets/oidc-client-secret.',
    )
  }
}

function noteDifferences(draft: Draft): void {
  draft.note(
    'stricter',
    'Accept: text/event-stream',
    'The plugin lets every request with this header pass, without a session. Here event streams need a session as all other requests do.',
  )
  draft.note(
    'stricter',
    'e-mail',
    'An address counts only with email_verified: true, which the plugin does not look at. If your provider sends no such claim, set OIDC_TRUST_EMAIL (docs/provider.md).',
  )
  draft.note('stricter', 'enablePKCE', 'PKCE is always used; the provider has to permit it.')
  draft.note(
    'differs',
    'securityHeaders',
    'The plugin adds X-Frame-Options, X-Content-Type-Options, Referrer-Policy and HSTS to the answers of apps, also where the option is not given. Vestibule does not: set them in a headers middleware of Traefik.',
  )
}
