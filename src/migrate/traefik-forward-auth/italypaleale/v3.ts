import type { ConditionSource } from '../../../config/rules/condition-source.ts'
import type { Installation, Note } from '../../installation.ts'
import { MigrationError, type OldConfiguration } from '../../old-configuration.ts'
import {
  entriesIn,
  flagOf,
  notesOf,
  secondsOf,
  textOf,
  unknownOption,
} from '../../traefik/given-values.ts'
import { listedEntries } from '../../traefik/listed-entries.ts'
import { NOBODY } from '../../traefik/nobody.ts'
import { entriesOf, type Members } from '../../traefik/parse-documents.ts'
import { covers, sitesByDomain } from '../../traefik/sites.ts'
import { protectedHosts, type TraefikFiles } from '../traefik-files.ts'
import { installationOf } from './portal.ts'
import { idClaimOf, type OldProvider } from './provider.ts'
import { V3_FATES } from './v3-options.ts'

/** Names of providers, and other names that they had. */
const TYPES: Readonly<Record<string, string>> = {
  google: 'Google',
  github: 'GitHub',
  microsoftentraid: 'MicrosoftEntraID',
  azuread: 'MicrosoftEntraID',
  aad: 'MicrosoftEntraID',
  entraid: 'MicrosoftEntraID',
  openidconnect: 'OpenIDConnect',
  oidc: 'OpenIDConnect',
  tailscalewhois: 'TailscaleWhois',
  tailscale: 'TailscaleWhois',
}

/** Reads version 3: YAML, over which variables count. */
export function readV3(
  old: OldConfiguration,
  document: Members,
  files: TraefikFiles,
): readonly Installation[] {
  const given = readGiven(old, document)
  const read = (name: string) => textOf(given[name])
  const type = TYPES[(read('authProvider') ?? '').toLowerCase().replaceAll('-', '')]
  if (type === undefined) throw new MigrationError(['authProvider: names no provider of version 3'])
  const provider = providerOf(given, type)
  const allowed = allowedBy(given, type, provider)
  const hostname = (read('hostname') ?? '').toLowerCase()
  const domain = (read('cookieDomain') ?? hostname.replace(/:\d+$/, '')).toLowerCase()
  const scheme = flagOf(read('cookieInsecure') ?? '') === true ? 'http' : 'https'
  const hosts = protectedHosts(files).filter((host) => covers(domain, host))
  return sitesByDomain([{ domain, authHost: hostname }], hosts, scheme).map((sites) =>
    installationOf(
      old,
      {
        name: 'main',
        provider,
        headers: [
          { name: 'X-Forwarded-User', claim: type === 'MicrosoftEntraID' ? 'email' : 'id' },
        ],
        sessionSeconds: secondsOf(read('sessionLifetime') ?? '2h') ?? 7200,
        logLevel: read('logLevel') ?? 'info',
        callbackPath: `${read('basePath') ?? ''}/oauth2/callback`,
        allowed: allowed.condition,
        middlewares: [],
        hasUnknownConditions: false,
        notes: [...notesOfVersion(given, type), ...allowed.notes],
      },
      sites,
    ),
  )
}

function readGiven(old: OldConfiguration, document: Members): Members {
  const names = new Map(Object.keys(V3_FATES).map((name) => [`TFA_${name.toUpperCase()}`, name]))
  const variables = [...old.environment].filter(([name]) => /^TFA_(?!CONFIG$)/i.test(name))
  const unknown = [
    ...entriesOf(document)
      .map(([name]) => name)
      .filter((name) => !Object.hasOwn(V3_FATES, name)),
    ...variables.map(([name]) => name).filter((name) => !names.has(name.toUpperCase())),
  ]
  if (unknown.length > 0) {
    throw new MigrationError(unknown.map((name) => unknownOption(name, V3_FATES)))
  }
  return {
    ...document,
    ...Object.fromEntries(
      variables.map(([name, value]) => [names.get(name.toUpperCase()) ?? name, value]),
    ),
  }
}

function providerOf(given: Members, type: string): OldProvider {
  const prefix = `auth${type}_`
  const own = entriesOf(given).filter(([name]) => name.startsWith(prefix))
  const options = Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length), value]))
  return { type: type.toLowerCase(), options }
}

/** Each list that is there has to name the person. */
function allowedBy(given: Members, type: string, provider: OldProvider) {
  const read = (list: string, kind: 'names' | 'emails' | 'emailDomains') => {
    const option = `auth${type}_${list}`
    const values = entriesIn(given[option])
    const { entries, notes } = listedEntries(option, values, kind)
    return { option, entries, notes, isEmpty: values.length > 0 && entries.length === 0 }
  }
  const users = read('allowedUsers', 'names')
  const emails = read('allowedEmails', 'emails')
  const domains = read('allowedDomains', 'emailDomains')
  const id = idClaimOf(provider)
  const all = [users, emails, domains]
  const condition: ConditionSource = {
    ...(users.entries.length > 0 &&
      (id === 'sub' ? { users: users.entries } : { claims: { [id]: users.entries } })),
    ...(emails.entries.length > 0 && { emails: emails.entries }),
    ...(domains.entries.length > 0 && { emailDomains: domains.entries }),
  }
  const empty = all
    .filter(({ isEmpty }) => isEmpty)
    .map(
      ({ option }): Note => ({
        kind: 'todo',
        option,
        text: 'Is given and names nobody, so that the old service lets nobody in, and so does this one. Remove it, or name who may enter.',
      }),
    )
  return {
    condition: empty.length > 0 ? NOBODY : condition,
    notes: [...all.flatMap(({ notes }) => notes), ...empty],
  }
}

function notesOfVersion(given: Members, type: string): readonly Note[] {
  const names = Object.keys(given)
  const others = names.filter(
    (name) => /^auth[A-Z]\w*_/.test(name) && !name.startsWith(`auth${type}_`),
  )
  return [
    ...notesOf(
      names.filter((name) => !others.includes(name)),
      V3_FATES,
    ),
    ...others.map(
      (option): Note => ({
        kind: 'dropped',
        option,
        text: 'Belongs to a provider that authProvider does not name.',
      }),
    ),
    {
      kind: 'stricter',
      option: 'e-mail',
      text: 'An address counts only with email_verified: true, which the old service does not look at. If your provider sends no such claim, set OIDC_TRUST_EMAIL (docs/provider.md).',
    },
    ...(given['sessionLifetime'] === undefined
      ? [
          {
            kind: 'carried',
            option: 'sessionLifetime',
            text: 'Was not set: its default, 2 hours, is SESSION_MAX_AGE.',
          } as const,
        ]
      : []),
  ]
}
