import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { demoUsers } from '../../stand-ins/provider/provider.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

type Json = Readonly<Record<string, unknown>>

const EMAIL = 'alice@example.com'
const ADMINS = 'CN=Admins,OU=Groups,DC=test'
const NOBODY = 'nobody-has-this-group'
const verified = { email: EMAIL, email_verified: true }
const ZITADEL = 'urn:zitadel:iam:org:project:roles'
const overage = {
  groups: undefined,
  _claim_names: { groups: 'src1' },
  _claim_sources: { src1: { endpoint: 'https://graph.test/getMemberObjects' } },
}

/** Cases: claims as sent, the settings that read them, the status of a check for a rule on group or address, and what is said. */
const cases: readonly (readonly [string, Json, Json, number, (readonly string[])?])[] = [
  ['a map', { [ZITADEL]: { admin: { 7: 'acme.test' } } }, { OIDC_GROUPS_CLAIM: ZITADEL }, 200],
  ['a map below a path', { a: { roles: { admin: {} } } }, { OIDC_GROUPS_CLAIM: 'a.roles' }, 200],
  [
    'objects',
    { groups: [{ name: 'admin' }, { id: 7 }] },
    {},
    200,
    ['groups: 1 of 2 members, neither text, a number nor an object with a name'],
  ],
  ['text', { groups: 'users,admin' }, { OIDC_GROUPS_SEPARATOR: ',' }, 200],
  ['text with blanks', { groups: 'users admin' }, { OIDC_GROUPS_SEPARATOR: 'space' }, 200],
  ['text that nothing splits', { groups: 'users,admin' }, {}, 403],
  [
    'a member that nothing splits',
    { groups: ['users,admin'] },
    { OIDC_GROUPS_SEPARATOR: ',' },
    403,
  ],
  [
    'a name with dots',
    { 'https://x.test/r': ['admin'] },
    { OIDC_GROUPS_CLAIM: String.raw`https://x\.test/r` },
    200,
  ],
  ['a number', { groups: 17 }, { ALLOWED_GROUPS: '17' }, 200],
  ['a distinguished name (C25)', { groups: [ADMINS] }, { ALLOWED_GROUPS: `["${ADMINS}"]` }, 200],
  ['a part of one (C25)', { groups: ['DC=test'] }, { ALLOWED_GROUPS: `["${ADMINS}"]` }, 403],
  ['nothing', { groups: undefined }, {}, 403, ['groups: no such claim']],
  [
    'overage (C33)',
    overage,
    {},
    403,
    [
      'groups: overage, the provider left them out (_claim_names); let it send app roles or fewer groups, see provider.md',
    ],
  ],
  [
    'upn alone',
    { upn: EMAIL, groups: [], email: undefined },
    { OIDC_EMAIL_CLAIM: 'upn', ALLOWED_EMAILS: EMAIL },
    403,
    ['email: not verified'],
  ],
  [
    'upn that is trusted',
    { upn: EMAIL, groups: [], email: undefined },
    { OIDC_EMAIL_CLAIM: 'upn', ALLOWED_EMAILS: EMAIL, OIDC_TRUST_EMAIL: 'true' },
    200,
  ],
  [
    'upn that is the verified address',
    { upn: EMAIL, groups: [] },
    { OIDC_EMAIL_CLAIM: 'upn', ALLOWED_EMAILS: EMAIL },
    200,
  ],
  [
    'another upn',
    { upn: 'boss@example.com', groups: [] },
    { OIDC_EMAIL_CLAIM: 'upn', ALLOWED_EMAILS: 'boss@example.com' },
    403,
    ['email: not verified'],
  ],
  [
    'a list of addresses',
    { emails: [EMAIL], groups: [] },
    { OIDC_EMAIL_CLAIM: 'emails', ALLOWED_EMAILS: EMAIL },
    403,
    ['email: not text'],
  ],
  [
    'the first of a list',
    { emails: [EMAIL], groups: [] },
    { OIDC_EMAIL_CLAIM: 'emails.0', ALLOWED_EMAILS: EMAIL },
    200,
  ],
]

describe('C24, C26, C33 claims as providers send them', () => {
  test.for(cases)('%s', async ([, sent, settings, status, ignored]) => {
    const rules = { ALLOW_ANY_USER: 'false', ALLOWED_GROUPS: 'admin' }
    await using party = await startRelyingParty({ ...rules, ...(settings as typeof rules) })
    const userInfo = { ...verified, name: 'A', preferred_username: 'a', groups: [], ...sent }
    party.provider.set('userinfo', { rewrite: ({ sub }) => ({ sub, ...userInfo }) })
    const { browser } = await party.attempt()
    const Cookie = browser.cookies.header(new URL(APP))
    expect((await party.vestibule.check({}, { Cookie })).status).toBe(status)
    const line = party.vestibule.log().findLast(({ event }) => event === 'sign_in')
    expect(line?.['ignored']).toEqual(ignored)
    expect(party.vestibule.output()).not.toMatch(/(?:alice|boss)@example|acme|graph\.test/)
  })
})

const open = useParty(
  { ALLOW_ANY_USER: 'false', ALLOWED_GROUPS: NOBODY, ALLOWED_EMAILS: `${NOBODY}@example.com` },
  { users: [...demoUsers, { sub: 'bare' }] },
)

test('C21, C24: no JSON in optional claims makes a sign-in fail, or lets anybody in', async () => {
  const names = words`
    email email_verified groups name preferred_username jti sid acr amr locale _claim_names hasgroups
    realm_access picture updated_at address
  `
  const claims = fc.dictionary(fc.constantFrom(...names), fc.jsonValue(), { maxKeys: 16 })
  const property = fc.asyncProperty(claims, claims, async (idToken, userInfo) => {
    open.provider.tamperIdToken(idToken)
    open.provider.set('userinfo', { rewrite: ({ sub }) => ({ ...userInfo, sub }) })
    const { browser, answer } = await open.attempt('bare')
    expect([answer.status, await open.userOf(browser)]).toEqual([302, 403])
  })
  await fc.assert(property, { numRuns: 30 })
})
