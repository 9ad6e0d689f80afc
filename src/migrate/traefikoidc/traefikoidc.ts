import type { ConditionSource } from '../../config/rules/condition-source.ts'
import { createDraft, type Draft } from '../draft.ts'
import type { Installation } from '../installation.ts'
import { MigrationError, type OldConfiguration } from '../old-configuration.ts'
import { readDynamicConfiguration } from '../traefik/dynamic-configuration.ts'
import { listOf, notesOf } from '../traefik/given-values.ts'
import { goesOnInSegment, patternsWithin } from '../traefik/public-paths.ts'
import { suffixed } from '../traefik-files.ts'
import { placeClient } from './client.ts'
import { placeHeaders } from './headers.ts'
import { FATES } from './options.ts'
import { type PluginMiddleware, pluginMiddlewares } from './plugin-middleware.ts'
import { placeRedis, REDIS_VARIABLES } from './redis.ts'
import { whoMayEnter } from './who-may-enter.ts'

/** Reads the middlewares of the traefikoidc plugin. Those of one client are one installation, with a policy for each. */
export function readTraefikoidc(old: OldConfiguration): readonly Installation[] {
  if (!old.file) {
    throw new MigrationError([
      '--config is needed: the file of Traefik with the middlewares of the plugin',
    ])
  }
  const others = old.flags.map((path) => ({ path, text: old.readFile(path) }))
  const parts = [old.file, ...others].map(readDynamicConfiguration)
  const configuration = {
    middlewares: parts.flatMap(({ middlewares }) => middlewares),
    routers: parts.flatMap(({ routers }) => routers),
    isKubernetes: parts.some(({ isKubernetes }) => isKubernetes),
  }
  const middlewares = pluginMiddlewares(configuration)
  if (middlewares.length === 0) {
    throw new MigrationError([
      `${old.file.path}: has no middleware of the plugin, with providerURL and clientID`,
    ])
  }
  const clients = Map.groupBy(middlewares, clientOf)
  return [...clients.values()].map((members, at) => ({
    ...installationOf(old, members, [...clients.values()], at),
    ...(configuration.isKubernetes && { platform: 'kubernetes' as const }),
  }))
}

function clientOf({ options }: PluginMiddleware): string {
  return JSON.stringify([options.get('providerURL'), options.get('clientID')])
}

function installationOf(
  old: OldConfiguration,
  members: readonly PluginMiddleware[],
  clients: readonly (readonly PluginMiddleware[])[],
  at: number,
): Installation {
  const name = clients.length > 1 ? (members[0]?.name ?? '').replaceAll(/[^A-Za-z\d-]+/g, '-') : ''
  const draft = createDraft(name)
  const given = new Set(members.flatMap(({ options }) => [...options.keys()]))
  for (const { kind, option, text } of notesOf(given, FATES)) draft.note(kind, option, text)
  placeClient(draft, members, basePathOf(members, clients, at))
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
  const [, path] = /^(\/.+)\/callback$/.exec(String(first?.options.get('callbackURL') ?? '')) ?? []
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

/** One middleware alone: the plain middleware and the rules say it. */
function placeRules(
  draft: Draft,
  members: readonly PluginMiddleware[],
  name: string,
): Readonly<Record<string, ConditionSource>> {
  for (const member of members) {
    placePublic(draft, member)
    const { condition, notes } = whoMayEnter(member)
    for (const { kind, option, text } of notes) draft.note(kind, option, text)
    draft.addRule({
      name: member.name.slice(0, 64),
      access: 'signed-in',
      ...(condition && { allow: condition }),
    })
    draft.note(
      'carried',
      member.name,
      `The middleware ${suffixed('protected', name)} stands in its place.`,
    )
  }
  return {}
}

function placePublic(draft: Draft, { name, options }: PluginMiddleware): void {
  const excluded = listOf(options.get('excludedURLs'))
  for (const path of ['/favicon.ico', ...excluded]) {
    const matcher = { path, isPrefix: path !== '/favicon.ico' }
    const paths = patternsWithin(matcher)
    if (paths === undefined) {
      draft.note(
        'todo',
        `${name}: excludedURLs`,
        `${path} cannot be written as a pattern: these pages need a sign-in here.`,
      )
      continue
    }
    draft.addRule({ ...(paths[0] !== '/**' && { paths: [...paths] }), access: 'public' })
    if (matcher.isPrefix && goesOnInSegment(matcher)) {
      draft.note(
        'stricter',
        `${name}: excludedURLs`,
        `Whole segments count: ${path} and what is below ${path}/ is public, and paths that go on in the segment, such as ${path}2, need a sign-in.`,
      )
    }
  }
  draft.note(
    'stricter',
    `${name}: favicon`,
    '/favicon.ico is public as before; other paths that begin with /favicon need a sign-in.',
  )
}

/** Several middlewares: a policy for each that restricts, and the plain middleware for those that do not. */
function placePolicies(
  draft: Draft,
  members: readonly PluginMiddleware[],
  name: string,
): Readonly<Record<string, ConditionSource>> {
  const read = members.map((member) => ({ member, ...whoMayEnter(member) }))
  for (const { kind, option, text } of read.flatMap(({ notes }) => notes))
    draft.note(kind, option, text)
  const policies: Record<string, ConditionSource> = {}
  for (const { member, condition } of read) {
    if (condition) {
      policies[policyName(member)] = condition
      draft.note(
        'carried',
        member.name,
        `The policy ${policyName(member)}: put ${suffixed(`protected-${policyName(member)}`, name)} in the place of the middleware.`,
      )
    } else
      draft.note(
        'carried',
        member.name,
        `Demands a sign-in alone: put ${suffixed('protected', name)} in the place of the middleware.`,
      )
    noteExcluded(draft, member)
  }
  const restricted = Object.values(policies)
  const isOpen = restricted.length < members.length
  draft.addRule({
    name: 'signed-in',
    access: 'signed-in',
    ...(!isOpen && { allow: { any: restricted } }),
  })
  return policies
}

function policyName({ name }: PluginMiddleware): string {
  return name.replaceAll(/[^A-Za-z\d-]+/g, '-').slice(0, 64)
}

/** A public rule would hold for the apps of all middlewares, whose hosts may be the same. */
function noteExcluded(draft: Draft, { name, options }: PluginMiddleware): void {
  const excluded = listOf(options.get('excludedURLs'))
  const paths = [...excluded, '/favicon'].join(', ')
  draft.note(
    'stricter',
    `${name}: excludedURLs`,
    `${paths} need a sign-in here, because rules hold for the apps of all middlewares: give these paths a router of their own, without a middleware of Vestibule.`,
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
