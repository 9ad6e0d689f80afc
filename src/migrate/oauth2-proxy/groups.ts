import type { ConditionSource } from '../../config/rules/condition-source.ts'
import { type Reading, tell } from './reading.ts'

/** Domain in which no address can be (RFC 2606). */
export const NOBODY = 'nobody.invalid'

/** Reads the groups and roles of which one is needed; `undefined` where none is named. */
export function readGroups(reading: Reading, provider: string): ConditionSource | undefined {
  const { values } = reading
  const given = [...namedGroups(reading, provider), ...projects(reading, provider)]
  const roles = provider === 'keycloak-oidc' ? readRoles(reading, given) : []
  tellGroupsElsewhere(reading, provider)
  const groups = given.filter((group) => provider !== 'keycloak-oidc' || !isRole(group))
  const named = groups.filter((group) => group === group.trim())
  for (const name of ['allowed-group', ...Object.keys(GROUPS)])
    if (values.list(name).some((group) => group !== group.trim()))
      tell(
        reading,
        name,
        'dropped',
        'a name with a blank at an end named no group, and would name one here, where such blanks do not count',
      )
  const kinds = [...(named.length > 0 ? [{ groups: [...new Set(named)] }] : []), ...roles]
  const [only = given.length > 0 ? { emailDomains: [NOBODY] } : undefined, ...others] = kinds
  return others.length === 0 ? only : { any: kinds }
}

/** Options that name the groups of one provider. */
const GROUPS: Readonly<Record<string, string>> = {
  'gitlab-group': 'gitlab',
  'google-group': 'google',
  'keycloak-group': 'keycloak',
}

/** Returns the groups that count: those of the provider's own option take the place of the general ones. */
function namedGroups(reading: Reading, provider: string): readonly string[] {
  const { values } = reading
  const needed = 'is in the last rule: a group and an address are both needed'
  const own = Object.keys(GROUPS).find((name) => GROUPS[name] === provider)
  if (own === undefined) {
    tell(reading, 'allowed-group', 'carried', needed)
    return values.list('allowed-group')
  }
  tell(reading, own, 'carried', needed)
  const groups = values.list(own)
  const isReplaced = groups.length + values.list('gitlab-project').length > 0
  const isIgnored = provider !== 'google'
  tell(
    reading,
    'allowed-group',
    isReplaced ? 'dropped' : isIgnored ? 'stricter' : 'carried',
    isReplaced
      ? `did not count beside \`${own}\``
      : `${needed}${isIgnored ? ', which oauth2-proxy forgot with this provider' : ''}`,
  )
  return isReplaced ? groups : values.list('allowed-group')
}

/** Returns projects as groups, which no provider sends, so that nobody enters by them. */
function projects({ values }: Reading, provider: string): readonly string[] {
  if (provider !== 'gitlab') return []
  return values.list('gitlab-project').map((project) => `project:${project}`)
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
  for (const [name, counting] of Object.entries(GROUPS)) {
    if (counting === provider) continue
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
