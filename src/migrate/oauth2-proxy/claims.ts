import { become, carry, type Reading, readNamed, tell } from './reading.ts'

/** Providers that never say whether an address is verified. */
const SILENT_ABOUT_EMAIL = new Set(['adfs', 'azure', 'entra-id'])

/** Providers whose claims no option names. */
const OWN_CLAIMS = new Set(['gitlab', 'google', 'keycloak', 'login.gov'])

/** Providers that never let an address in that is not verified. */
const ALWAYS_VERIFIED = new Set(['google', 'login.gov'])

/** Reads which claims are the address and the groups, and when an address counts. */
export function readClaims(reading: Reading, provider: string): void {
  readUserInfo(reading)
  const claim = OWN_CLAIMS.has(provider) ? ownClaims(reading) : namedClaims(reading)
  if (claim !== 'email') reading.draft.set('OIDC_EMAIL_CLAIM', claim)
  if (trusts(reading, provider, claim)) reading.draft.set('OIDC_TRUST_EMAIL', true)
  if (provider === 'adfs' && claim === 'email')
    tell(
      reading,
      'provider',
      'stricter',
      'people without `email` were known by `upn`: if yours have none, set `oidc.emailClaim: upn`',
    )
}

function ownClaims(reading: Reading): string {
  for (const name of ['oidc-email-claim', 'oidc-groups-claim', 'user-id-claim'])
    tell(reading, name, 'dropped', 'had no effect with this provider')
  return 'email'
}

function namedClaims(reading: Reading): string {
  const claim = reading.values.text('oidc-groups-claim')
  if (claim === 'groups') tell(reading, 'oidc-groups-claim', 'carried', 'is the default here too')
  else carry(reading, 'oidc-groups-claim', 'OIDC_GROUPS_CLAIM')
  return emailClaim(reading)
}

function readUserInfo(reading: Reading): void {
  const { values } = reading
  const name = 'skip-claims-from-profile-url'
  if (values.isOn(name)) become(reading, name, 'OIDC_USERINFO', 'never')
  else
    tell(reading, name, 'carried', 'is off: UserInfo is asked for claims that the ID token lacks')
}

/** The deprecated option for the user's id names the claim with the address, too. */
function emailClaim(reading: Reading): string {
  const { values } = reading
  const given = values.text('oidc-email-claim') ?? 'email'
  const ofId = values.text('user-id-claim') ?? 'email'
  tell(reading, 'oidc-email-claim', 'carried', 'is `OIDC_EMAIL_CLAIM`')
  const isUsed = given === 'email' && ofId !== 'email'
  tell(
    reading,
    'user-id-claim',
    'differs',
    isUsed
      ? 'is `OIDC_EMAIL_CLAIM`, as before; the user in the headers is `sub`'
      : 'has no effect: the user in the headers is `sub`; give apps another claim with `IDENTITY_HEADERS`',
  )
  return isUsed ? ofId : given
}

function trusts(reading: Reading, provider: string, claim: string): boolean {
  const { values, draft } = reading
  const name = 'insecure-oidc-allow-unverified-email'
  const label = values.label(name)
  if (ALWAYS_VERIFIED.has(provider)) {
    tell(reading, name, 'carried', 'had no effect with this provider')
    return false
  }
  if (values.isOn(name)) {
    draft.note(
      'carried',
      label,
      'is `OIDC_TRUST_EMAIL`: whoever can write any address at the provider has it here',
    )
    return true
  }
  tell(reading, name, 'carried', 'is off')
  if (claim !== 'email') {
    draft.note(
      'carried',
      values.label('oidc-email-claim'),
      '`OIDC_TRUST_EMAIL` goes with it: no other claim than `email` was ever verified',
    )
    return true
  }
  if (SILENT_ABOUT_EMAIL.has(provider)) {
    draft.note(
      'wider',
      label,
      'was not given, and this provider sends no `email_verified`, which was enough; `OIDC_TRUST_EMAIL` is set, with which an address counts even if the provider says that it is not verified',
    )
    return true
  }
  draft.note(
    'stricter',
    label,
    'was not given: an address counts only with `email_verified: true`; before, it counted without that claim too. If the provider does not send it, nobody gets in: correct the provider, or set `oidc.trustEmail: true`',
  )
  return false
}

/** Reads how ID tokens are verified. */
export function readVerification(reading: Reading): void {
  const { values } = reading
  const strict: Readonly<Record<string, string>> = {
    'insecure-oidc-skip-issuer-verification':
      'the issuer of the metadata and of each ID token must be `OIDC_ISSUER_URL`, letter by letter',
    'insecure-oidc-skip-nonce': 'the nonce of each ID token is verified',
    'ssl-insecure-skip-verify':
      'the certificate of the provider is verified: name its CA in `OIDC_CA_FILE`',
  }
  for (const [name, text] of Object.entries(strict))
    tell(reading, name, values.isOn(name) ? 'stricter' : 'carried', text)
  const isOwnAudience = values.list('oidc-audience-claim').some((claim) => claim !== 'aud')
  tell(
    reading,
    'oidc-audience-claim',
    isOwnAudience ? 'stricter' : 'carried',
    'the claim is `aud`, which must hold the client id',
  )
  tell(
    reading,
    'oidc-extra-audience',
    'stricter',
    'an ID token must be for the client itself; tokens for others are for a rule with `bearer`',
  )
  readAlgorithms(reading)
  readAuthority(reading)
}

const ALGORITHM = /^(?:[RP]S(?:256|384|512)|ES(?:256|384|512)|EdDSA|Ed25519)$/

function readAlgorithms(reading: Reading): void {
  const name = 'oidc-enabled-signing-alg'
  const [only = '', ...others] = reading.values.list(name)
  if (others.length === 0 && ALGORITHM.test(only))
    become(reading, name, 'OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG', only)
  else
    tell(
      reading,
      name,
      'differs',
      'each asymmetric algorithm of the metadata of the provider is accepted; `OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG` names one alone',
    )
}

function readAuthority(reading: Reading): void {
  const { values } = reading
  const name = 'provider-ca-file'
  const files = values.list(name)
  const isReadable = files.length === 1 && readNamed(reading, name, COPY_CA) !== undefined
  if (isReadable) become(reading, name, 'OIDC_CA_FILE', files[0] ?? '')
  if (files.length > 1)
    tell(reading, name, 'todo', `names several files: join them, and ${COPY_CA}`)
  const both = 'the CA counts beside those of the system'
  const isAlone = files.length > 0 && !values.isOn('use-system-trust-store')
  if (isAlone) tell(reading, name, 'differs', `${both}, which did not count before`)
  tell(reading, 'use-system-trust-store', 'carried', both)
}

const COPY_CA = 'name the certificate in `oidc.caFile`'

/** Reads addresses of the provider, which Vestibule takes from its metadata. */
export function readEndpoints(reading: Reading): void {
  const { values } = reading
  const discovered = 'comes from the metadata of the provider, below the issuer'
  const isOwn = values.isOn('skip-oidc-discovery')
  tell(
    reading,
    'skip-oidc-discovery',
    isOwn ? 'differs' : 'carried',
    `each address ${discovered}. If the issuer has another address inside, set \`OIDC_INTERNAL_URL\``,
  )
  for (const name of ['login-url', 'redeem-url', 'oidc-jwks-url', 'profile-url', 'validate-url'])
    tell(reading, name, 'differs', discovered)
  tell(
    reading,
    'oidc-public-key-file',
    'differs',
    `the keys come with ${discovered.replace('comes from ', '')}`,
  )
  tell(
    reading,
    'backend-logout-url',
    'differs',
    'the sign-out leads the browser to `end_session_endpoint` of the metadata, or to `OIDC_END_SESSION_URL`; tokens are revoked where the provider offers it',
  )
}
