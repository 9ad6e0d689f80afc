import { expect, test } from 'vitest'
import { demoUsers } from '../../stand-ins/provider/provider.ts'
import { rawCheck, rawValues } from '../support/raw-check.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

/** The groups that the provider sends, as JSON, and the header that an app may get. */
const lists = words`
  ["users,admins"]=>users%2Cadmins ["users,"]=>users%2C [",admins"]=>%2Cadmins
  [",,","staff"]=>%2C%2C,staff ["CN=Admins,OU=x"]=>CN=Admins%2COU=x
  ["CN=A,OU=x","CN=B,OU=y"]=>CN=A%2COU=x,CN=B%2COU=y ["users%2Cadmins"]=>users%252Cadmins
  ["users%252Cadmins"]=>users%25252Cadmins ["100%","2C"]=>100%25,2C
  ["users\\r\\nX-Auth-Request-Groups:\x20admins"]=>usersX-Auth-Request-Groups:\x20admins
  ["users\\r\\n,admins"]=>users%2Cadmins ["users，admins"]=>users，admins
  ["users،admins"]=>users،admins ["users;admins","a|b","a\x20b"]=>users;admins,a|b,a\x20b
  ["\\"users","admins\\""]=>"users,admins" ["","staff",""]=>staff
  ["\x20","\\r\\n","\\u0000","staff"]=>staff "users,admins"=>users%2Cadmins "users"=>users []=>
  ["users","admins"]=>users,admins
`.map((pair) => pair.split('=>') as [given: string, shown: string])
const users = lists.map(([given], index) => {
  const groups: unknown = JSON.parse(given)
  return { sub: `user-${index}`, name: 'a,b%2Cc', groups, realm_access: { roles: groups } }
})
const party = useParty(
  { IDENTITY_HEADERS: 'Remote-Groups=groups,X-Roles=realm_access.roles' },
  { users: [...demoUsers, ...users] },
)

test.for(lists.map((row, index) => [...row, index] as const))(
  'of the groups %s an app gets %s, in which no member has become two',
  async ([given, shown, index]) => {
    const answer = await rawCheck(party.vestibule, await party.vestibule.signIn(`user-${index}`))
    expect(answer.status).toBe(200)
    const isList = given.startsWith('[')
    for (const name of ['X-Auth-Request-Groups', 'Remote-Groups', ...(isList ? ['X-Roles'] : [])]) {
      expect(rawValues(answer, name), name).toEqual([shown])
    }
    expect(rawValues(answer, 'X-Auth-Request-Name')).toEqual(['a,b%2Cc'])
  },
)
