import type { IdentityOptions } from '../core/read-identity.ts'
import type { Settings } from './settings/settings.ts'

type IdentitySetting =
  | 'OIDC_GROUPS_CLAIM'
  | 'OIDC_GROUPS_SEPARATOR'
  | 'OIDC_EMAIL_CLAIM'
  | 'OIDC_TRUST_EMAIL'

/** Returns how claims are read, without the further claims that headers and rules name. */
export function identityOptions(
  settings: Pick<Settings, IdentitySetting>,
): Omit<IdentityOptions, 'claims'> {
  return {
    groupsClaim: settings.OIDC_GROUPS_CLAIM,
    ...(settings.OIDC_GROUPS_SEPARATOR && { groupsSeparator: settings.OIDC_GROUPS_SEPARATOR }),
    emailClaim: settings.OIDC_EMAIL_CLAIM,
    trustEmail: settings.OIDC_TRUST_EMAIL,
  }
}
