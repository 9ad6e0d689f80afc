import { describe, expect, test } from 'vitest'
import { demoUsers } from '../../stand-ins/provider/provider.ts'
import { rawCheck, rawValues } from '../support/raw-check.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'

const lists: readonly (readonly [string, unknown, string])[] = [
  ['two names in one', ['users,admins'], 'users%2Cadmins'],
  ['a comma at the end', ['users,'], 'users%2C'],
  ['a comma at the beginning', [',admins'], '%2Cadmins'],
  ['nothing but commas', [',,', 'staff'], '%2C%2C,staff'],
  ['a distinguished name', ['CN=Admins,OU=x'], 'CN=Admins%2COU=x'],
  ['distinguished names', ['CN=A,OU=x', 'CN=B,OU=y'], 'CN=A%2COU=x,CN=B%2COU=y'],
  ['an encoded comma', ['users%2Cadmins'], 'users%252Cadmins'],
  ['an encoded percent', ['users%252Cadmins'], 'users%25252Cadmins'],
  ['a percent at the end', ['100%', '2C'], '100%25,2C'],
  [
    'a line break',
    ['users\r\nX-Auth-Request-Groups: admins'],
    'usersX-Auth-Request-Groups: admins',
  ],
  ['a line break and a comma', ['users\r\n,admins'], 'users%2Cadmins'],
  ['a full-width comma', ['users，admins'], 'users，admins'],
  ['an arabic comma', ['users،admins'], 'users،admins'],
  ['other delimiters', ['users;admins', 'a|b', 'a b'], 'users;admins,a|b,a b'],
  ['quotes', ['"users', 'admins"'], '"users,admins"'],
  ['empty members', ['', 'staff', ''], 'staff'],
  ['members of blanks and controls', [' ', '\r\n', '\0', 'staff'], 'staff'],
  ['a text with a comma', 'users,admins', 'users%2Cadmins'],
  ['one text', 'users', 'users'],
  ['no member', [], ''],
  ['two plain groups', ['users', 'admins'], 'users,admins'],
]

const party = useParty(
  { IDENTITY_HEADERS: 'Remote-Groups=groups,X-Roles=realm_access.roles' },
  {
    users: [
      ...demoUsers,
      ...lists.map(([, groups], index) => ({
        sub: `user-${index}`,
        name: 'a,b%2Cc',
        groups,
        realm_access: { roles: groups },
      })),
    ],
  },
)

describe('A33 delimiters inside members of a list', () => {
  test.for(lists.map((row, index) => [...row, index] as const))(
    'a member cannot become two: %s',
    async ([label, given, shown, index]) => {
      const cookie = await party.vestibule.signIn(`user-${index}`)
      const answer = await rawCheck(party.vestibule, cookie)
      expect(answer.status).toBe(200)
      for (const name of ['X-Auth-Request-Groups', 'Remote-Groups']) {
        expect(rawValues(answer, name)).toEqual([shown])
      }
      const [groups = ''] = rawValues(answer, 'X-Auth-Request-Groups')
      const decoded = groups.split(',').filter(Boolean).map(decodeURIComponent)
      expect(decoded.length).toBeLessThanOrEqual([given].flat().length)
      if (label !== 'two plain groups') expect(decoded).not.toContain('admins')
    },
  )

  test('an app that decodes has the very members back', async () => {
    const index = lists.findIndex(([label]) => label === 'distinguished names')
    const cookie = await party.vestibule.signIn(`user-${index}`)
    const [groups = ''] = rawValues(
      await rawCheck(party.vestibule, cookie),
      'X-Auth-Request-Groups',
    )
    expect(groups.split(',').map(decodeURIComponent)).toEqual(lists[index]?.[1])
  })

  test('a list from a nested claim is written the same way', async () => {
    const index = lists.findIndex(([label]) => label === 'two names in one')
    const cookie = await party.vestibule.signIn(`user-${index}`)
    expect(rawValues(await rawCheck(party.vestibule, cookie), 'X-Roles')).toEqual([
      'users%2Cadmins',
    ])
  })

  test('what is no list keeps its commas', async () => {
    const cookie = await party.vestibule.signIn('user-0')
    const answer = await rawCheck(party.vestibule, cookie)
    expect(rawValues(answer, 'X-Auth-Request-Name')).toEqual(['a,b%2Cc'])
  })

  test('a member with a comma opens nothing that its halves would', async () => {
    await using strict = await startRelyingParty(
      { ALLOW_ANY_USER: 'false', ALLOWED_GROUPS: 'admins' },
      {
        users: [
          { sub: 'split', groups: ['users,admins'] },
          { sub: 'text', groups: 'users,admins' },
          { sub: 'encoded', groups: ['users%2Cadmins'] },
          { sub: 'broken', groups: ['users\r\nadmins'] },
          { sub: 'admin', groups: ['users', 'admins'] },
        ],
      },
    )
    for (const sub of ['split', 'text', 'encoded', 'broken']) {
      const cookie = await strict.vestibule.signIn(sub)
      expect((await strict.vestibule.check({}, { Cookie: cookie })).status, sub).toBe(403)
    }
    const cookie = await strict.vestibule.signIn('admin')
    expect((await strict.vestibule.check({}, { Cookie: cookie })).status).toBe(200)
    expect((await strict.attempt('admin')).browser.cookies.header(new URL(APP))).toBeDefined()
  })
})
