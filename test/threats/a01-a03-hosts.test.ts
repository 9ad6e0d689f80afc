import { expect, test } from 'vitest'
import { expectLogin, expectRefusal, readCounter } from '../support/refusal.ts'
import { asScript, useParty } from '../support/used-party.ts'
import { checkRaw } from '../support/wire-requests.ts'
import { rows, words } from '../support/words.ts'

const party = useParty({
  PROTECTED_HOSTS: 'app.example.com,*.apps.example.com,https://ported.example.com:8443',
  PUBLIC_PATHS: '/public/**',
})

const foreign: readonly string[] = words`
  evil.example app.example.com.evil.example evil-app.example.com evilapp.example.com example.com com
  localhost 127.0.0.1 app.example.com. apps.example.com evilapps.example.com
  a.apps.example.com.evil.example .apps.example.com *.apps.example.com app.example.com/evil.example
  evil.example#.apps.example.com evil.example?.apps.example.com
`

test.for(words`
  app.example.com a.apps.example.com b.a.apps.example.com
`)('A01: a protected host is asked to sign in at itself: %s', async (host) => {
  expectLogin(await party.check({ host }), `https://${host}/`)
  expect((await party.check({ host, uri: '/public/a' })).status).toBe(200)
})

test.for(foreign)('A01: a host that is not protected gets no decision: %s', async (host) => {
  const before = await readCounter(party.vestibule, 'foreign_hosts_refused')
  for (const uri of ['/', '/public/a', '/oauth2/callback']) {
    for (const headers of [{}, { Accept: 'application/json', ...asScript }]) {
      expectRefusal(await party.check({ host, uri }, headers), 400, ['evil.example'])
    }
  }
  expect(await readCounter(party.vestibule, 'foreign_hosts_refused')).toBe(before + 6)
})

test('A01: neither our own Host nor a second source names the host instead', async () => {
  const visit = await party.check(
    { host: 'evil.example' },
    { Host: 'app.example.com', 'X-Original-Host': 'app.example.com', 'X-Host': 'app.example.com' },
  )
  expectRefusal(visit, 400, ['evil.example'])
  const twin = await party.check({}, { Host: 'evil.example', 'X-Host': 'evil.example' })
  expectLogin(twin, 'https://app.example.com/', ['evil.example'])
})

test.for<[string, string]>([
  ...rows`
    app.example.com app.example.com:443 APP.EXAMPLE.COM App.Example.Com:443
  `('https://app.example.com/'),
  ['A.Apps.Example.Com', 'https://a.apps.example.com/'],
  ['a.apps.example.com:443', 'https://a.apps.example.com/'],
  ['xn--bcher-kva.apps.example.com', 'https://xn--bcher-kva.apps.example.com/'],
  ['ported.example.com:8443', 'https://ported.example.com:8443/'],
])('A03: %s is the site %s', async ([host, target]) => {
  expectLogin(await party.check({ host }), target)
  expect((await party.check({ host, uri: '/public/' })).status).toBe(200)
})

test.for([
  ...words`
    app.example.com. app.example.com.:443 app.example.com.. app..example.com .app.example.com
    app.example.com@evil.example evil.example@app.example.com user:password@app.example.com [::1]
    [::1]:443 ::1 127.0.0.1 app.example.com:99999 app.example.com:80 app.example.com:8443
    app.example.com:0443 app.example.com:00443 app.example.com: app.example.com:443:443
    app.example.com:+443 app.example.com:443x app.example.com:-1 app.example.com:\x20443
    ported.example.com ported.example.com:443 a.apps.example.com:8443 xn--pp-viab.example.com xn--
    app.example.com\x20evil.example app.example.com\tevil.example app.example.com/
    app.example.com\\evil.example https://app.example.com app%2eexample.com
    app.example.com%00.evil.example app_.example.com evil.example%.apps.example.com
    evil.example'.apps.example.com evil.example;.apps.example.com -.apps.example.com.evil.example
    evil..apps.example.com ｅvil.apps.example.com app。example.com \xe4.apps.example.com __proto__
    constructor * {app.example.com} app.example.com:*
  `,
  `${'a'.repeat(300)}.apps.example.com`,
  `${'a.'.repeat(10_000)}apps.example.com`,
  ...['a', 'a.', 'a-', '.', '-', '1', ':1'].map((unit) => `${unit.repeat(2000)}!`),
])('A03: %.99s is refused as a host (A25, A92)', async (host) => {
  const bytes = Buffer.from(host, 'utf8').toString('latin1')
  for (const uri of ['/', '/public/']) {
    expectRefusal(await party.check({ host: bytes, uri }), 400, ['evil.example', '99999'])
  }
})

test.for(words`
  app.example.com\0 app.example.com\0.evil.example app.example.com\x7f app.example.com\x0b
  \x1bapp.example.com app.example.com\rX-Evil:\x201 app.example.com\r\n\x20evil.example
  app\xad.example.com
`)('A03: control bytes in the host are refused: %j', async (Host) => {
  const { status, text } = await checkRaw(party.vestibule, { forwarded: { Host, Uri: '/public/' } })
  expect(status).toBe(400)
  expect(text).not.toContain('evil.example')
})

test('A03: blanks around the host are no part of it, as HTTP says', async () => {
  const visit = await party.check({}, { 'X-Forwarded-Host': ' \t app.example.com \t ' })
  expectLogin(visit, 'https://app.example.com/')
})
