import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal, readCounter } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const vestibule = prepared(() =>
  startVestibule({
    PROTECTED_HOSTS: 'app.example.com,*.apps.example.com',
    PUBLIC_PATHS: '/public/**',
  }),
)

const foreign: readonly string[] = words`
  evil.example app.example.com.evil.example evil-app.example.com evilapp.example.com example.com
  com localhost 127.0.0.1 app.example.com. apps.example.com evilapps.example.com
  a.apps.example.com.evil.example .apps.example.com *.apps.example.com
  app.example.com/evil.example evil.example#.apps.example.com evil.example?.apps.example.com
`

describe('A01 X-Forwarded-Host spoofing', () => {
  test.for(words`
    app.example.com a.apps.example.com b.a.apps.example.com
  `)('a protected host is asked to sign in at itself: %s', async (host) => {
    expectLogin(await vestibule().check({ host }), `https://${host}/`)
    expect((await vestibule().check({ host, uri: '/public/a' })).status).toBe(200)
  })

  test.for(foreign)('a host that is not protected gets no decision: %s', async (host) => {
    const before = await readCounter(vestibule(), 'foreign_hosts_refused')
    for (const uri of ['/', '/public/a', '/oauth2/callback']) {
      const accepts: (string | undefined)[] = [undefined, 'application/json']
      for (const accept of accepts) {
        const headers = accept
          ? { Accept: accept, 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
          : {}
        expectRefusal(await vestibule().check({ host, uri }, headers), 400, ['evil.example'])
      }
    }
    expect(await readCounter(vestibule(), 'foreign_hosts_refused')).toBe(before + 6)
  })

  test('neither our own Host nor a second source names the host instead', async () => {
    const visit = await vestibule().check(
      { host: 'evil.example' },
      {
        Host: 'app.example.com',
        'X-Original-Host': 'app.example.com',
        'X-Host': 'app.example.com',
      },
    )
    expectRefusal(visit, 400, ['evil.example'])
    const twin = await vestibule().check({}, { Host: 'evil.example', 'X-Host': 'evil.example' })
    expectLogin(twin, 'https://app.example.com/', ['evil.example'])
  })

  test('the sign-in page takes no host from forwarded headers either', async () => {
    const browser = vestibule().visitor(['app.example.com', 'evil.example'])
    const login = await browser.get('https://app.example.com/oauth2/signed-out', {
      headers: { 'X-Forwarded-Host': 'evil.example', Forwarded: 'host=evil.example' },
    })
    expect(login.status).toBe(200)
    expect(login.rawHeaders.join('\n') + login.body).not.toContain('evil.example')
    const foreignHost = await browser.get('https://evil.example/oauth2/login?rd=/')
    expect(foreignHost).toMatchObject({ status: 400, location: undefined, setCookies: [] })
    expect(foreignHost.body).not.toContain('evil.example')
  })
})
