import type { ConditionSource } from '../../config/rules/condition-source.ts'
import type { EmailTrust } from './claims.ts'
import { type Reading, readNamed, tell } from './reading.ts'

/** Condition of those who may enter, or everybody of the provider. */
export type Entrance = 'anybody' | ConditionSource

/** Reads who may enter. Both the address and, where groups are named, a group are needed, as in oauth2-proxy. */
export function readPeople(reading: Reading, provider: string, trust: EmailTrust): Entrance {
  const address = readAddresses(reading, trust)
  const groups = readGroups(reading, provider)
  if (address === 'anybody') return groups ?? 'anybody'
  if (groups === undefined) return address
  // Keys of one condition are all needed, and a key can be there once.
  const isPlain = Object.keys(address).every((key) => !(key in groups))
  return isPlain ? { ...address, ...groups } : { all: [address, groups] }
}

function readAddresses(reading: Reading, { isTrusted }: EmailTrust): Entrance {
  const { values, draft } = reading
  const domains = values.list('email-domain').map((each) => each.trim().toLowerCase())
  const emails = readEmails(reading)
  tell(
    reading,
    'authenticated-emails-file',
    'carried',
    'is in the rule of `vestibule.yaml`; the file itself is no longer read',
  )
  if (domains.includes('*')) return anyAddress(reading, isTrusted)
  const wider = domains.filter((domain) => /^(?:\*?\.)/.test(domain))
  const exact = domains.filter((domain) => !wider.includes(domain))
  if (wider.length > 0) {
    tell(
      reading,
      'email-domain',
      'todo',
      `lets every sub-domain of ${wider.join(', ')} in, and a rule names each domain: add them to \`emailDomains\` of the last rule`,
    )
  }
  tell(
    reading,
    'email-domain',
    'carried',
    'is in the last rule, beside the groups if there are any',
  )
  if (exact.length === 0 && emails.length === 0) {
    draft.note(
      'todo',
      values.label('email-domain'),
      'names nobody whom a rule can name: the last rule lets nobody in until you write there who may enter',
    )
    return { emailDomains: [NOBODY] }
  }
  const kinds: ConditionSource[] = [
    ...(exact.length > 0 ? [{ emailDomains: exact }] : []),
    ...(emails.length > 0 ? [{ emails: [...emails] }] : []),
  ]
  const [only = {}, ...others] = kinds
  return others.length === 0 ? only : { any: kinds }
}

/** Domain in which no address can be (RFC 2606). */
const NOBODY = 'nobody.invalid'

function anyAddress(reading: Reading, isTrusted: boolean): Entrance {
  if (isTrusted) {
    tell(
      reading,
      'email-domain',
      'differs',
      '`*` lets everybody of the provider in; before, people without any address were refused',
    )
    return 'anybody'
  }
  tell(
    reading,
    'email-domain',
    'carried',
    '`*` lets everybody with an address in: the last rule asks for `email_verified: true`',
  )
  return { claims: { email_verified: [true] } }
}

/** Reads the first column of each line, as oauth2-proxy does. */
function readEmails(reading: Reading): string[] {
  const text = readNamed(
    reading,
    'authenticated-emails-file',
    'add its addresses to the last rule, as `emails`',
  )
  const lines = (text ?? '').split(/\r?\n/).filter((line) => !line.startsWith('#'))
  const emails = lines.map((line) => (line.split(',')[0] ?? '').trim().replace(/^"(.*)"$/, '$1'))
  return [...new Set(emails.filter((email) => email !== '').map((email) => email.toLowerCase()))]
}

/** Options that name groups, each with the providers for which it counts. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'allowed-group': [],
  'gitlab-group': ['gitlab'],
  'google-group': ['google'],
  'keycloak-group': ['keycloak'],
}

function readGroups(reading: Reading, provider: string): ConditionSource | undefined {
  const { values } = reading
  const groups = Object.entries(GROUPS).flatMap(([name, providers]) => {
    if (providers.length > 0 && !providers.includes(provider)) return []
    tell(reading, name, 'carried', 'is in the last rule: a group and an address are both needed')
    return values.list(name)
  })
  const roles = provider === 'keycloak-oidc' ? readRoles(reading, groups) : []
  tellGroupsElsewhere(reading, provider)
  // No provider sends these, so that nobody enters by them.
  if (provider === 'gitlab')
    groups.push(...values.list('gitlab-project').map((project) => `project:${project}`))
  const named = groups.filter((group) => provider !== 'keycloak-oidc' || !isRole(group))
  const kinds = [...(named.length > 0 ? [{ groups: [...new Set(named)] }] : []), ...roles]
  const [only, ...others] = kinds
  return others.length === 0 ? only : { any: kinds }
}

function isRole(group: string): boolean {
  return group.startsWith('role:')
}

/** Returns a condition for each claim in which Keycloak keeps roles: those of the realm, and of each client. */
function readRoles(reading: Reading, groups: readonly string[]): readonly ConditionSource[] {
  const { values } = reading
  const roles = [
    ...values.list('allowed-role'),
    ...groups.filter(isRole).map((group) => group.slice('role:'.length)),
  ]
  tell(
    reading,
    'allowed-role',
    'carried',
    'is in the last rule: a role or group, and an address, are both needed',
  )
  if (roles.length === 0) return []
  const option = values.has('allowed-role') ? 'allowed-role' : 'allowed-group'
  tell(
    reading,
    option,
    'provider',
    'oauth2-proxy reads roles from the access token, Vestibule from the ID token or UserInfo: in Keycloak switch "Add to ID token" on at the mappers of the client scope `roles`',
  )
  const byClaim = new Map<string, string[]>()
  for (const role of roles) {
    const [, client, name] = /^([^:]+):(.+)$/s.exec(role) ?? []
    const isOfClient = client !== undefined && name !== undefined
    const claim = isOfClient
      ? `resource_access.${client.replaceAll('.', '\\.')}.roles`
      : 'realm_access.roles'
    byClaim.set(claim, [...(byClaim.get(claim) ?? []), isOfClient ? name : role])
  }
  return [...byClaim].map(([claim, names]) => ({ claims: { [claim]: names } }))
}

/** Restrictions of providers by their own interfaces, which no token shows. */
const ELSEWHERE = [
  'bitbucket-repository',
  'bitbucket-team',
  'github-org',
  'github-repo',
  'github-team',
  'github-user',
  'gitlab-project',
]

function tellGroupsElsewhere(reading: Reading, provider: string): void {
  for (const name of ELSEWHERE)
    tell(
      reading,
      name,
      'todo',
      `restricts nothing here: let the provider send groups, name them in the last rule, and remove the option`,
    )
  for (const [name, providers] of Object.entries(GROUPS)) {
    if (providers.length === 0 || providers.includes(provider)) continue
    tell(
      reading,
      name,
      'todo',
      `has no effect with the provider ${provider}: if it is meant, name the groups in the last rule; then remove the option`,
    )
  }
  if (provider !== 'keycloak-oidc')
    tell(
      reading,
      'allowed-role',
      'todo',
      'is for keycloak-oidc alone: if it is meant, name the roles in the last rule; then remove the option',
    )
  if (provider === 'google')
    tell(
      reading,
      'google-group',
      'todo',
      'Google puts no groups into its tokens, and Vestibule does not ask the directory: until Dex with its google connector, or another provider, sends them, the last rule lets nobody in',
    )
  if (provider === 'azure' || provider === 'entra-id') tellEntra(reading)
  else tell(reading, 'azure-graph-group-field', 'dropped', 'had no effect with this provider')
}

function tellEntra(reading: Reading): void {
  tell(
    reading,
    'allowed-group',
    'provider',
    'Entra sends object ids in `groups` if "Token configuration" says so, and no groups above 200: use app roles with `OIDC_GROUPS_CLAIM=roles` there',
  )
  if (reading.values.text('azure-graph-group-field') === 'displayName')
    tell(
      reading,
      'azure-graph-group-field',
      'todo',
      'Vestibule does not ask Microsoft Graph for names of groups: write object ids into the last rule, or let Entra send names',
    )
  else tell(reading, 'azure-graph-group-field', 'carried', 'object ids are what the token has')
}
