import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { writeRules } from '../support/rules-file.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const rules = prepared(() =>
  writeRules([
    { paths: ['/api/**/status'], access: 'public' },
    { paths: ['/status'], access: 'public' },
    { paths: ['/public/**'], access: 'public' },
    { paths: ['/closed/**'], access: 'deny' },
    { access: 'signed-in' },
  ]),
)
const vestibule = prepared(() =>
  startVestibule({ VESTIBULE_CONFIG: rules().path, ALLOW_ANY_USER: 'false' }),
)

describe('A16 a query that looks like a public path', () => {
  test.for(words`
    /api/a/status /api/a/status?x=/private /api/a/b/status? /status?x=/../admin
    /public/a?b=%2f..%2fadmin;x//y /public/a?%00
  `)('no query closes a public path: %s', async (uri) => {
    expect((await vestibule().check({ uri })).status).toBe(200)
  })

  test.for(words`
    /private?x=/status /private?/status /private?x=/api/a/status /api/a?/status /api/a?x=/status
    /api/a/?/status /api/a/?a/status /private?/../status /private?/../../public/a
    /private??/public/a /private?x=1&/public/a /?/public/a /?public /private&/status
  `)('no query opens a protected one: %s', async (uri) => {
    expectLogin(await vestibule().check({ uri }), `https://app.example.com${uri}`)
    expectRefusal(await vestibule().check({ uri, method: 'OPTIONS' }), 401)
  })

  test.for(words`
    /private%3fx=/status /api/a%3f/status /api/a%3F/status /api/a%253f/status /public%3f/private
    /public/a%3f /api/a/status%3f
  `)('an encoded question mark satisfies no public rule: %s', async (uri) => {
    expectLogin(await vestibule().check({ uri }), `https://app.example.com${normal(uri)}`)
  })

  test('no query takes a path out of a restriction', async () => {
    for (const uri of ['/closed/a?/public/a', '/closed?/status', '/closed/a%3f/status']) {
      expectRefusal(await vestibule().check({ uri }), 403)
    }
  })
})

/** The target is emitted as a URL parser writes it. */
const normal = (uri: string): string => new URL(uri, 'https://app.example.com').href.slice(23)
