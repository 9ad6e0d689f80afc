import { describe, test } from 'vitest'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { words } from '../support/words.ts'

const { vestibule, refuses, leads } = returnAddressTables()

const trapped = words`
  /..//evil.example /.//evil.example /./\\evil.example /../\\evil.example /.\\evil.example
  /..\\evil.example /././/evil.example /a/..//evil.example /a/b/../..//evil.example
  /a/../..//evil.example /a/./..//evil.example /%2e//evil.example /%2e%2e//evil.example
  /%2E%2e//evil.example /.%2e//evil.example /%2e.//evil.example /a/%2e%2e//evil.example
  /..///evil.example /..//evil.example/.. /..//evil.example?x#y /..// ${APP}//evil.example
  ${APP}/..//evil.example ${APP}/.//evil.example ${APP}/a/..//evil.example
  ${APP}/%2e%2e//evil.example ${APP}/./\\evil.example https://other.example.com/..//evil.example
`

describe('A41 dot segments that leave two slashes behind', () => {
  refuses('%s is refused with a page', trapped)

  leads('other paths come out whole, as an absolute address: %s', [
    ['/a/../b', `${APP}/b`],
    ['/./a', `${APP}/a`],
    ['/..', `${APP}/`],
    ['/../../etc/passwd', `${APP}/etc/passwd`],
    ['/a//../b', `${APP}/a/b`],
    ...words`
      /a/b//evil.example /...//evil.example /..;//evil.example /%252e%252e//evil.example
      /%2e%2e%2f/evil.example /x?y=/..//evil.example
    `,
  ])

  test.for(words`
    /..//evil.example /.//evil.example /a/..//evil.example /%2e%2e//evil.example
  `)('the check asks for no sign-in that leads there: %s', async (uri) => {
    expectRefusal(await vestibule().check({ uri }), 400)
  })

  test.for(words`
    ${APP}/..//evil.example ${APP}//evil.example ${APP}/.//evil.example ${APP}/\\evil.example
    ${APP}@evil.example/ ${APP}.evil.example/ //evil.example https://evil.example/ /x
  `)('a form whose Referer is hostile leads back to the root: %s', async (Referer) => {
    expectLogin(await vestibule().check({ method: 'POST' }, { Referer }), `${APP}/`, [], 303)
  })

  test('a form leads back to the page that it was on', async () => {
    const Referer = `${APP}/form?a=b`
    expectLogin(await vestibule().check({ method: 'POST' }, { Referer }), Referer, [], 303)
  })
})
