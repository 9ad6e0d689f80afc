import { expect, test } from 'vitest'
import { expectLogin } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { rdQuery } from '../support/return-to.ts'
import { startVestibule } from '../support/vestibule.ts'
import { rows, words } from '../support/words.ts'

const { sut, vestibule, refuses, refusesQueries, leads, leadsQueries } = returnAddressTables({
  PROTECTED_HOSTS: [
    'app.example.com,other.example.com,*.apps.example.org,ported.example.com:8443',
    'desk.example.com,xn--bcher-kva.example.com,http://plain.localhost:8080',
  ].join(),
})

const trapped = words`
  /..//evil.example /.//evil.example /./\\evil.example /../\\evil.example /.\\evil.example
  /..\\evil.example /././/evil.example /a/..//evil.example /a/b/../..//evil.example
  /a/../..//evil.example /a/./..//evil.example /%2e//evil.example /%2e%2e//evil.example
  /%2E%2e//evil.example /.%2e//evil.example /%2e.//evil.example /a/%2e%2e//evil.example
  /..///evil.example /..//evil.example/.. /..//evil.example?x#y /..// ${APP}//evil.example
  ${APP}/..//evil.example ${APP}/.//evil.example ${APP}/a/..//evil.example
  ${APP}/%2e%2e//evil.example ${APP}/./\\evil.example https://other.example.com/..//evil.example
`

refuses('A41: %s is refused with a page', trapped)

leads('A41: other paths come out whole, as an absolute address: %s', [
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

const hostile = words`
  https://app.example.com@evil.example https://app.example.com:443@evil.example
  https://app.example.com:a@evil.example https://app.example.com%2f@evil.example
  https://app.example.com%2f%2f@evil.example/ https://app.example.com%00@evil.example
  https://app.example.com\\@evil.example https://app.example.com;@evil.example https://@evil.example
  https://a@b@evil.example https://evil.example\\.app.example.com
  https://evil.example\\@app.example.com https://evil.example#.app.example.com
  https://evil.example#@app.example.com https://evil.example?.app.example.com
  https://evil.example/.app.example.com https://evil.example;.app.example.com
  https://evil.example%23.app.example.com https://evil.example%00.app.example.com
  https://app.example.com.evil.example https://app.example.comevil.example
  https://app.example.com-evil.example https://appexample.com https://evil-example.com
  https://evilapp.example.com https://evil-app.example.com https://evil.app.example.com
  https://example.com https://com https://app.example.co https://app.example.com.
  https://app.example.com../ https://.app.example.com https://app..example.com
  https://evil.apps.example.org.evil.example https://evilapps.example.org https://apps.example.org
  https://.apps.example.org https://evil.example/x.apps.example.org
  https://evil.example\\x.apps.example.org https://*.apps.example.org https://%2a.apps.example.org
  https://a_b.apps.example.org.evil.example https://a_apps.example.org
`

const userInfoOfOurs = words`
  https://user@app.example.com/ https://user:secret@app.example.com/ https://:@app.example.com/
  https://@app.example.com/ https://app.example.com@app.example.com/ https://a@x.apps.example.org/
`

const ports = words`
  https://app.example.com:/ https://app.example.com:443/ https://app.example.com:0443/
  https://app.example.com:80/ https://app.example.com:8443/ https://app.example.com:99999/
  https://app.example.com:-1/ https://app.example.com:x/ https://x.apps.example.org:8443/
  https://ported.example.com/ https://ported.example.com:443/ https://ported.example.com:84430/
  https://ported.example.com:08443/
`

refuses('A42: another host is refused: %s', hostile)

refuses('A42: user info is refused, also before our own host: %s', userInfoOfOurs, [
  'user',
  'secret',
])

refuses('A42: a port that is not configured, or is written otherwise, is refused: %s', ports, [
  '8443',
  '99999',
])

leads(
  'A42: the legitimate twin is where the sign-in ends: %s',
  words`
  https://app.example.com/@evil.example https://app.example.com/#@evil.example
  https://app.example.com/?@evil.example https://x.apps.example.org/
  https://x.y.apps.example.org/z https://a_b.apps.example.org/ https://_.apps.example.org/ https://ported.example.com:8443/z
`,
  [APP],
)

const foreign = words`
  https://evil。com https://evil．com https://evil｡com //evil。com /\\evil。com https://ⓔvil.com
  https://ｅvil.com https://evil℀.com https://evil.c℀.app.example.com https://xn--80ak6aa92e.com
  https://аpp.example.com https://app.exаmple.com https://0x7f.1 https://0x7f000001
  https://2130706433 https://017700000001 https://127.1 https://127.0.0.1 https://1.2.3.4
  https://１２７.0.0.1 https://[::1] https://[::ffff:1.2.3.4] https://[::1%25eth0] https://[ https://[]
  https://app.example.com] https://xn-- https://xn--a
`

/** A browser would take these for our own host; a proxy or an app may not. */
const ours = words`
  https://app。example。com https://app．example.com https://ａpp.example.com https://ⓐpp.example.com
  https://app.example.com. https://app.example.com。 https://app.example.com\u200d
  https://app.example\u200c.com https://app.example\u2060.com https://app.example\u00ad.com
  https://app.example\ufe0f.com https://app.example\u034f.com https://app.example.com\u2028
  https://app.example.com\u2028/ https://app.example.com\ufeff/ https://app%2eexample%2ecom
  https://%61pp.example.com https://app.example.c\u006f\u0301m https://des\u212a.example.com
  https://de\u017fk.example.com https://bücher.example.com
`

refuses('A43: a foreign host is refused: %s', foreign, ['evil', '0x7f', 'xn--80'])

refuses('A43: our own host is refused when it is written otherwise: %j', ours)

refusesQueries(
  'A43: bytes of other scripts in the query are refused: %s',
  words`
    ?rd=https://evil%E3%80%82com ?rd=//evil%E3%80%82com ?rd=https://app.example.com%E2%80%8D
    ?rd=https://app.example.com%ED%A0%80 ?rd=https://app.example.com%FF/
    ?rd=https://app.example.com%C2%AD/
  `,
)

leads('A43: in a path other scripts are encoded: %s', [
  ['/bücher', `${APP}/b%C3%BCcher`],
  ['/?q=日本語', `${APP}/?q=%E6%97%A5%E6%9C%AC%E8%AA%9E`],
  ['/🦊', `${APP}/%F0%9F%A6%8A`],
  ['/evil。com', `${APP}/evil%E3%80%82com`],
  ['/。/evil.example', `${APP}/%E3%80%82/evil.example`],
  ['/／evil.example', `${APP}/%EF%BC%8Fevil.example`],
  ...words`https://desk.example.com/ https://xn--bcher-kva.example.com/x`,
])

test('A43: a lone surrogate in a path is replaced or refused, and breaks nothing', async () => {
  for (const rd of ['/\ud800', '/a\udc00b', '/\udfff\ud800']) {
    const visit = await sut().login(rdQuery(rd))
    expect([302, 400]).toContain(visit.status)
    if (visit.location) expect(visit.location).toMatch(`${sut().party.provider.issuer}/auth?`)
  }
})

const schemes = words`
  HTTPS://app.example.com/ Https://app.example.com/ hTtPs://app.example.com/ hTtPs:evil.example
  http://app.example.com/ HTTP://app.example.com/ ws://app.example.com/ wss://app.example.com/
  ftp://app.example.com/ file:///etc/passwd file://app.example.com/ javascript:alert(1)
  javascript://app.example.com/%0aalert(1) JaVaScRiPt:alert(1) java\nscript:alert(1)
  java\tscript:alert(1) \x20javascript:alert(1) \x01javascript:alert(1)
  \x19Jav\tasc\tript:https://app.example.com/%250Aconfirm%25281%2529 javascript%3aalert(1)
  data:text/html,<script>alert(1)</script> data:text/html;base64,PHNjcmlwdD4= vbscript:msgbox(1)
  blob:${APP}/0f0e about:blank view-source:https://app.example.com/
  intent://app.example.com/#Intent;scheme=https;end x-app.example.com:y mailto:a@app.example.com
  tel:110 https https: https:/ https:// https:/// :https://app.example.com/
  "https://app.example.com/" https//app.example.com/ httpss://app.example.com/
  https\x20://app.example.com/ https:\\\\app.example.com/
`

refuses(
  'A44: %j is refused because only a literal https:// is an address',
  schemes,
  words`
  evil alert javascript vbscript blob: intent
`,
)

leads(
  'A44: a path that looks like a scheme is a path: %s',
  words`/javascript:alert(1) /?u=javascript:alert(1) ${APP}/x`,
  [APP],
)

// The contract allows http hosts where configuration marks them; the reference allowed https alone.
leads('A44: a host that is configured for http keeps its scheme: %s', [
  ['http://plain.localhost:8080/x', 'http://plain.localhost:8080/x'],
  ...rows`
  https://plain.localhost:8080/x HTTP://plain.localhost:8080/x http://plain.localhost/x
  http://plain.localhost:80/x http://plain.localhost:8080@evil.example/x
`(undefined),
])

const twiceEncoded = words`
  %252f%252fevil.example %252F%255Cevil.example %255c%255cevil.example %25252f%25252fevil.example
  %25%32%66%25%32%66evil.example https%253a%252f%252fevil.example https%3a%252f%252fevil.example
  %2568ttps://evil.example %2509//evil.example %2520//evil.example
  https://app.example.com%2540evil.example https://app.example.com%252f@evil.example
  %c0%af%c0%afevil.example %u002f%u002fevil.example %%32%66%%32%66evil.example
`

refusesQueries(
  'A45: a return address that needs two decodings is refused: %s',
  twiceEncoded.map((encoded) => `?rd=${encoded}`),
)

leadsQueries(
  'A45: a return address is decoded once and no more: %s',
  words`
    /%252f%252fevil.example=>/%2f%2fevil.example /%2f%2fevil.example=> /%252e%252e//evil.example=>
    /a/%252e%252e/b=>/b /%255cevil.example=>/%5cevil.example /%2509/evil.example=>/%09/evil.example
    /%250d%250aSet-Cookie:a=b=>/%0d%0aSet-Cookie:a=b /%2500=>/%00 /%25=>/% /%25zz=>/%zz
    /a%252fb=>/a%2fb /%25252f=>/%252f /?x=%2526rd=//evil.example=>/?x=%26rd=//evil.example
    /?x=%26rd=//evil.example=>/?x=&rd=//evil.example /a%2Bb=>/a+b
  `.map((pair) => {
    const [sent, target] = pair.split('=>')
    return [`?rd=${sent}`, target ? APP + target : undefined]
  }),
)

test.for(words`
  /%2f%2fevil.example /%252f%252fevil.example /%5cevil.example /%2fx
`)('A45: the check hands on the path as it is, encoded once: %s', async (uri) => {
  const visit = await vestibule().check({ uri })
  expectLogin(visit, APP + uri)
  const { target } = await sut().land(new URL(visit.location ?? '').search)
  expect(target).toBe(APP + uri)
})

test('A45: a detour over PUBLIC_URL adds one encoding and takes one away', async () => {
  await using central = await startVestibule({
    PUBLIC_URL: 'https://auth.example.com',
    COOKIE_DOMAIN: 'example.com',
  })
  const browser = central.visitor(['app.example.com', 'auth.example.com'])
  const target = '/oauth2/login?rd=/%252f%252fevil.example%253f'
  expect((await browser.get(`${APP}/oauth2/login`, { target })).headers.location).toBe(
    `https://auth.example.com/oauth2/login?rd=${encodeURIComponent(`${APP}/%2f%2fevil.example%3f`)}`,
  )
})
