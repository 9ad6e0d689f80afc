import type { RuleSource } from '../../../config/rules/rules-file.ts'
import { createDraft, type Draft } from '../../draft.ts'
import type { Installation, Note } from '../../installation.ts'
import type { OldConfiguration } from '../../old-configuration.ts'
import { flagOf, listOf, notesOf, secondsOf } from '../../traefik/given-values.ts'
import { hostsOf } from '../../traefik/matched-requests.ts'
import { numbered } from '../../traefik/policy-names.ts'
import { covers, placeSites, type Sites, sitesByDomain } from '../../traefik/sites.ts'
import type { Defaults, OldRule } from './carried-rule.ts'
import { noteDifferences, noteRules, noteSites } from './notes.ts'
import { FATES } from './options.ts'
import { placeProvider } from './provider.ts'
import { type GivenOptions, readOptions } from './read-options.ts'
import { carryRule, isPublic } from './router-rules.ts'
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
    ...whoMayEnter(
      {
        whitelist: { option: 'whitelist', values: given.get('whitelist') },
        domains: { option: 'domain', values: given.get('domain') },
      },
      isEither(given),
    ),
  }
  const rules = oldRules(given, defaults)
  const domains = cookieDomains(given)
  const named = rules.flatMap(({ rule }) => hostsOf(rule))
  // A rule names few of the hosts, and a cookie domain has them all.
  const others = named.filter((host) => !domains.some(({ domain }) => covers(domain, host)))
  const hosts = [...new Set(routerHosts.length > 0 ? [...routerHosts, ...named] : others)]
  const scheme = isInsecure(given) ? 'http' : 'https'
  return sitesByDomain(domains, hosts, scheme).map((sites) =>
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
    const list = (each: string) => ({ option: `rule.${name}.${each}`, values: param(each) })
    const lists = { whitelist: list('whitelist'), domains: list('domains') }
    const hasLists = Object.values(lists).some(({ values }) => values !== undefined)
    const { who, notes } = whoMayEnter(lists, isEither(given))
    return {
      name,
      rule: param('rule')?.[0] ?? '',
      action: param('action')?.[0] ?? 'auth',
      provider: param('provider')?.[0] ?? defaults.provider,
      who: hasLists ? who : undefined,
      notes,
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
  noteSites(draft, given.has('auth-host'), sites)
  const carried = rules
    .toSorted((one, other) => strictness(one, defaults) - strictness(other, defaults))
    .map((rule) => carryRule(rule, defaults))
  const wider = carried.flatMap((each) => each.wider)
  const all = [
    ...carried.flatMap(({ rules }) => rules),
    ...wider.filter(({ access }) => access === 'deny'),
    ...wider.filter(({ access }) => access !== 'deny'),
  ]
  const own = all.flatMap((rule) => within(rule, sites))
  const names = numbered(own.map(({ name = '' }) => name))
  own.forEach((rule, at) => draft.addRule({ ...rule, name: names[at] }))
  draft.addRule(lastRule(defaults))
  noteRules(draft, rules, carried, defaults)
  noteDifferences(draft)
  return draft.finish()
}

/** Restricted lists first, because there the order was that of chance. */
function strictness(rule: OldRule, { provider }: Defaults): number {
  if (isPublic(rule)) return 2
  return rule.who === undefined && rule.provider === provider ? 1 : 0
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
