import type { RuleSource } from '../../../config/rules/rules-file.ts'
import { createDraft, type Draft } from '../../draft.ts'
import type { Installation, Note } from '../../installation.ts'
import type { OldConfiguration } from '../../old-configuration.ts'
import { flagOf, listOf, notesOf, secondsOf } from '../../traefik/given-values.ts'
import { hostsOf } from '../../traefik/matched-requests.ts'
import { covers, placeSites, type Sites, sitesByDomain } from '../../traefik/sites.ts'
import { FATES } from './options.ts'
import { placeProvider } from './provider.ts'
import { type GivenOptions, readOptions } from './read-options.ts'
import {
  type CarriedRule,
  carryRule,
  type Defaults,
  isPublic,
  type OldRule,
} from './router-rules.ts'
import { whoMayEnter } from './who-may-enter.ts'

/** Reads traefik-forward-auth 2. `routerHosts` are hosts of routers in the files of Traefik that were given. */
export function readThomseddon(
  old: OldConfiguration,
  routerHosts: readonly string[],
): readonly Installation[] {
  const given = readOptions(old)
  const defaults: Defaults = {
    action: last(given, 'default-action') ?? 'auth',
    provider: last(given, 'default-provider') ?? 'google',
    who: whoMayEnter(
      { whitelist: given.get('whitelist'), domains: given.get('domain') },
      isEither(given),
    ),
  }
  const rules = oldRules(given, defaults)
  const hosts = [...new Set([...routerHosts, ...rules.flatMap(({ rule }) => hostsOf(rule))])]
  const scheme = isInsecure(given) ? 'http' : 'https'
  return sitesByDomain(cookieDomains(given), hosts, scheme).map((sites) =>
    installationOf(given, defaults, rules, sites),
  )
}

/** Returns the last value of an option. */
function last(given: GivenOptions, name: string): string | undefined {
  return given.get(name)?.at(-1)
}

function isEither(given: GivenOptions): boolean {
  return flagOf(last(given, 'match-whitelist-or-domain') ?? 'false') === true
}

function isInsecure(given: GivenOptions): boolean {
  const secure = last(given, 'cookie-secure')
  if (secure !== undefined) return flagOf(secure) === false
  return flagOf(last(given, 'insecure-cookie') ?? 'false') === true
}

function cookieDomains(given: GivenOptions) {
  const domains = ['cookie-domain', 'cookie-domains'].flatMap((name) =>
    (given.get(name) ?? []).flatMap(listOf),
  )
  const authHost = last(given, 'auth-host')
  // The first that covers a host counts there.
  const own = domains.find((domain) => authHost !== undefined && covers(domain, authHost))
  return [...new Set(domains)].map((domain) => ({
    domain: domain.toLowerCase(),
    authHost: domain === own ? authHost : undefined,
  }))
}

function oldRules(given: GivenOptions, defaults: Defaults): readonly OldRule[] {
  const names = [...given.keys()].flatMap((key) => /^rule\.([^.]+)\./.exec(key)?.[1] ?? [])
  return [...new Set(names)].map((name) => {
    const param = (each: string) => given.get(`rule.${name}.${each}`)
    const lists = { whitelist: param('whitelist'), domains: param('domains') }
    const hasLists = lists.whitelist !== undefined || lists.domains !== undefined
    return {
      name,
      rule: param('rule')?.[0] ?? '',
      action: param('action')?.[0] ?? 'auth',
      provider: param('provider')?.[0] ?? defaults.provider,
      who: hasLists ? whoMayEnter(lists, isEither(given)) : undefined,
    }
  })
}

function installationOf(
  given: GivenOptions,
  defaults: Defaults,
  rules: readonly OldRule[],
  sites: Sites,
): Installation {
  const draft = createDraft(sites.name)
  const add = ({ kind, option, text }: Note) => draft.note(kind, option, text)
  notesOf(given.keys(), FATES).forEach(add)
  placeProvider(draft, given, defaults.provider)
  placeSession(draft, given)
  placeSites(draft, sites, last(given, 'url-path')?.replace(/^\/?/, '/') ?? '/_oauth')
  noteSites(draft, given, sites)
  const carried = rules
    .toSorted((one, other) => strictness(one) - strictness(other))
    .map((rule) => carryRule(rule, defaults))
  carried
    .flatMap(({ rules }) => rules.flatMap((rule) => within(rule, sites)))
    .forEach(draft.addRule)
  draft.addRule(lastRule(defaults))
  noteRules(draft, rules, carried, defaults)
  noteDifferences(draft)
  return draft.finish()
}

/** Restricted lists first, because there the order was that of chance. */
function strictness(rule: OldRule): number {
  if (isPublic(rule)) return 2
  return rule.who === undefined ? 1 : 0
}

/** Leaves rules for hosts of another installation to that one. */
function within(rule: RuleSource, { domain, hosts, name }: Sites): readonly RuleSource[] {
  if (rule.hosts === undefined || name === '') return [rule]
  const own = rule.hosts.filter((host) =>
    domain ? covers(domain.domain, host) : hosts.includes(host),
  )
  return own.length === 0 ? [] : [{ ...rule, hosts: own }]
}

function lastRule({ action, who }: Defaults): RuleSource {
  if (action === 'allow') return { name: 'default-action', access: 'public' }
  if (who === 'nobody') return { name: 'default-action', access: 'deny' }
  return { name: 'default-action', access: 'signed-in', ...who }
}

function placeSession(draft: Draft, given: GivenOptions): void {
  const lifetime = last(given, 'lifetime')
  const seconds = secondsOf(lifetime ?? 43_200)
  draft.set('SESSION_MAX_AGE', seconds ?? 43_200)
  if (lifetime === undefined) {
    draft.note(
      'carried',
      'lifetime',
      'Was not set: its default, 43200 seconds, is SESSION_MAX_AGE.',
    )
  }
  const level = last(given, 'log-level') ?? 'warn'
  draft.set('LOG_LEVEL', ['fatal', 'panic'].includes(level) ? 'error' : level)
  draft.set('IDENTITY_HEADERS', ['X-Forwarded-User=email'])
  const page = last(given, 'logout-redirect')
  if (page !== undefined && URL.canParse(page)) draft.set('POST_LOGOUT_REDIRECT_URIS', [page])
}

function noteSites(draft: Draft, given: GivenOptions, { domain, hosts, name }: Sites): void {
  if (given.has('auth-host') && domain?.authHost === undefined) {
    draft.note(
      'differs',
      'auth-host',
      'Has no effect on these hosts, there and here, because no cookie domain covers it and them: each host has its own sign-in.',
    )
  }
  if (hosts.length === 0) {
    draft.note(
      'todo',
      'PROTECTED_HOSTS',
      'Name the hosts of your apps in protectedHosts: the old service answered for every host. Or name the files of Traefik behind --, whose routers have the hosts.',
    )
  }
  if (name !== '') {
    draft.note(
      'differs',
      'cookie-domain',
      'There are several domains, and an installation has one: each is an installation of its own, a process with its own ports and Traefik objects.',
    )
  }
}

function noteRules(
  draft: Draft,
  rules: readonly OldRule[],
  carried: readonly CarriedRule[],
  { who }: Defaults,
): void {
  for (const { name } of rules) {
    draft.note(
      'carried',
      `rule.${name}`,
      `The rule rule.${name}, as far as no other note says otherwise.`,
    )
  }
  for (const { notes } of carried)
    for (const { kind, option, text } of notes) draft.note(kind, option, text)
  if (rules.length > 1) {
    draft.note(
      'differs',
      'rule',
      'Where several rules match a request, the old service took one by chance, another at each start. Here the first of vestibule.yaml decides: those with lists stand first, those that are public last.',
    )
  }
  if (who === 'nobody') {
    draft.note(
      'todo',
      'whitelist',
      'Is given and empty, by which the old service lets nobody in, and so does this one. Remove it, or name who may enter.',
    )
  }
}

function noteDifferences(draft: Draft): void {
  draft.note(
    'carried',
    'X-Forwarded-User',
    'IDENTITY_HEADERS sends the e-mail address under this name. X-Auth-Request-User is the sub.',
  )
  draft.note(
    'stricter',
    'e-mail',
    'An address counts only with email_verified: true, which the old service does not look at. If your provider sends no such claim, set OIDC_TRUST_EMAIL (docs/provider.md).',
  )
  draft.note(
    'differs',
    '401',
    'Who is signed in and may not enter gets 403 in place of 401. Scripts get 401 where the old service redirects them, and signed-in people keep the query of the address that they asked for.',
  )
}
