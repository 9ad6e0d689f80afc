import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { checkRaw } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const vestibule = prepared(() =>
  startVestibule({
    PROTECTED_HOSTS: 'app.example.com,*.apps.example.com,https://ported.example.com:8443',
    PUBLIC_PATHS: '/public/**',
  }),
)

describe('A03 host syntax tricks', () => {
  test.for<[string, string]>([
    ['app.example.com', 'https://app.example.com/'],
    ['app.example.com:443', 'https://app.example.com/'],
    ['APP.EXAMPLE.COM', 'https://app.example.com/'],
    ['App.Example.Com:443', 'https://app.example.com/'],
    ['A.Apps.Example.Com', 'https://a.apps.example.com/'],
    ['a.apps.example.com:443', 'https://a.apps.example.com/'],
    ['xn--bcher-kva.apps.example.com', 'https://xn--bcher-kva.apps.example.com/'],
    ['ported.example.com:8443', 'https://ported.example.com:8443/'],
  ])('%s is the site %s', async ([host, target]) => {
    expectLogin(await vestibule().check({ host }), target)
    expect((await vestibule().check({ host, uri: '/public/' })).status).toBe(200)
  })

  test.for([
    ...words`
      app.example.com. app.example.com.:443 app.example.com.. app..example.com .app.example.com
      app.example.com@evil.example evil.example@app.example.com user:password@app.example.com
      [::1] [::1]:443 ::1 127.0.0.1 app.example.com:99999 app.example.com:80 app.example.com:8443
      app.example.com:0443 app.example.com:00443 app.example.com: app.example.com:443:443
      app.example.com:+443 app.example.com:443x app.example.com:-1 app.example.com:\x20443
      ported.example.com ported.example.com:443 a.apps.example.com:8443 xn--pp-viab.example.com
      xn-- app.example.com\x20evil.example app.example.com\tevil.example app.example.com/
      app.example.com\\evil.example https://app.example.com app%2eexample.com
      app.example.com%00.evil.example app_.example.com evil.example%.apps.example.com
      evil.example'.apps.example.com evil.example;.apps.example.com
      -.apps.example.com.evil.example evil..apps.example.com ｅvil.apps.example.com app。example.com
      \xe4.apps.example.com __proto__ constructor
    `,
    `${'a'.repeat(300)}.apps.example.com`,
    `${'a.'.repeat(10_000)}apps.example.com`,
  ])('%s is refused as a host', async (host) => {
    const bytes = Buffer.from(host, 'utf8').toString('latin1')
    for (const uri of ['/', '/public/']) {
      expectRefusal(await vestibule().check({ host: bytes, uri }), 400, ['evil.example', '99999'])
    }
  })

  test.for(words`
    app.example.com\0 app.example.com\0.evil.example app.example.com\x7f app.example.com\x0b
    \x1bapp.example.com app.example.com\rX-Evil:\x201 app.example.com\r\n\x20evil.example
    app\xad.example.com
  `)('control bytes in the host are refused: %j', async (Host) => {
    const { status, text } = await checkRaw(vestibule(), { forwarded: { Host, Uri: '/public/' } })
    expect(status).toBe(400)
    expect(text).not.toContain('evil.example')
  })

  test('blanks around the host are no part of it, as HTTP says', async () => {
    const visit = await vestibule().check({}, { 'X-Forwarded-Host': ' \t app.example.com \t ' })
    expectLogin(visit, 'https://app.example.com/')
  })
})
