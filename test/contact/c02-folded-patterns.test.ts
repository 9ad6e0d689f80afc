import { describe, expect, test } from 'vitest'
import { bearerRule } from '../support/bearers.ts'
import { prepared } from '../support/prepared.ts'
import { useBearerParty } from '../support/used-party.ts'
import { rows, words } from '../support/words.ts'

/** Statuses for a stranger and two signed-in users, of whom alice is in the group `admins`. */
interface Expected {
  readonly nobody: number
  readonly bob: number
  readonly alice: number
}
const ADMINS: Expected = { nobody: 302, bob: 403, alice: 200 }
const PUBLIC: Expected = { nobody: 200, bob: 200, alice: 200 }
const SIGNED_IN: Expected = { nobody: 302, bob: 200, alice: 200 }
const NOT_FOUND: Expected = { nobody: 403, bob: 403, alice: 403 }

const admins = words`1º-x cafe\u0301 m² ａdmin Straße ﬁles`.map((name) => `/${name}/**`)
const party = useBearerParty([
  { paths: admins, access: 'signed-in', groups: ['admins'] },
  { paths: ['/Public/**', '/Grüße/**', '/nai\u0308ve/**', '/日本/**'], access: 'public' },
  { paths: ['/Docs/**'], access: 'signed-in' },
  bearerRule('/API/**'),
  { access: 'deny' },
])
const cookies = prepared(async () => ({
  nobody: undefined,
  bob: await party.vestibule.signIn('bob'),
  alice: await party.vestibule.signIn('alice'),
}))

async function answersTo(uri: string): Promise<Expected> {
  const written = encodeURI(uri).replaceAll('%252F', '%2F')
  const ask = async (person: keyof Expected) =>
    (await party.check({ uri: written }, { Cookie: cookies()[person] })).status
  return { nobody: await ask('nobody'), bob: await ask('bob'), alice: await ask('alice') }
}

describe('C2: a restriction holds for its name in every form', () => {
  test.for(['/1º-x/a', '/café/a', '/cafe\u0301', '/m²/a', '/ａdmin/a', '/Straße/a', '/ﬁles/a'])(
    '%s, as the rule has it, is for those whom it names',
    async (uri) => expect(await answersTo(uri)).toEqual(ADMINS),
  )

  // To software that compares letters as they are these are other paths, which the last rule denies.
  test.for(['/1o-x/a', '/CAFÉ/a', '/m2/a', '/admin/a', '/STRAßE/a', '/files/a', '/ADMIN/a'])(
    '%s, as other software has it, is for nobody',
    async (uri) => expect(await answersTo(uri)).toEqual(NOT_FOUND),
  )
})

describe('C3: rules that open mean what they say', () => {
  test.for([
    ...rows`/Public/x /Public/X.css /Grüße/ä /naïve/a\x20b /日本/語`(PUBLIC),
    ['/Docs/Guide', SIGNED_IN],
    ['/Docs', SIGNED_IN],
    ['/Docs/a%2Fb', { ...SIGNED_IN }],
    ...rows`/public/x /PUBLIC/x /docs/guide /Public/a%2Fb /Public/a;b`(NOT_FOUND),
  ] as const)('%s', async ([uri, expected]) => expect(await answersTo(uri)).toEqual(expected))

  test('a rule with bearer in capitals reads the token', async () => {
    const headers = { Authorization: 'Bearer x', Cookie: cookies().alice }
    const visit = await party.check({ uri: '/API/a' }, headers)
    expect(visit.status).toBe(401)
    expect(visit.headers['www-authenticate']).toContain('invalid_token')
  })
})
