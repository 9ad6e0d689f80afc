import type { ConditionSource } from '../../../config/rules/condition-source.ts'
import type { Installation, Note } from '../../installation.ts'
import { MigrationError, type OldConfiguration } from '../../old-configuration.ts'
import {
  flagOf,
  listOf,
  notesOf,
  secondsOf,
  textOf,
  unknownOption,
} from '../../traefik/given-values.ts'
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
        allowed: allowedBy(given, type, provider),
        middlewares: [],
        notes: notesOfVersion(given, type),
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
function allowedBy(given: Members, type: string, provider: OldProvider): ConditionSource {
  const list = (name: string) => [...listOf(given[`auth${type}_${name}`])]
  const [users, emails, emailDomains] = ['allowedUsers', 'allowedEmails', 'allowedDomains'].map(
    list,
  ) as [string[], string[], string[]]
  const id = idClaimOf(provider)
  return {
    ...(users.length > 0 && (id === 'sub' ? { users } : { claims: { [id]: users } })),
    ...(emails.length > 0 && { emails }),
    ...(emailDomains.length > 0 && { emailDomains }),
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
