import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { LOGIN, untilCallback } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useParty()
const configured = useParty({
  OIDC_AUTHORIZATION_PARAMS:
    'acr_values=urn:mfa,max_age=60,login_hint=corp,resource=urn:a,resource=urn:b',
})

/** The parameters of every login; `undefined` where they differ each time. */
const documented = {
  client_id: 'vestibule',
  scope: 'openid profile email groups',
  redirect_uri: `${APP}/oauth2/callback`,
  response_type: 'code',
  response_mode: 'query',
  code_challenge_method: 'S256',
  code_challenge: expect.any(String) as string,
  nonce: expect.any(String) as string,
  state: expect.any(String) as string,
}

function expectConfigured({ status, location, rawHeaders }: Visit, further = {}): void {
  const { origin, searchParams } = new URL(location ?? '')
  expect([status, origin]).toEqual([302, party.provider.issuer])
  expect(Object.fromEntries(searchParams)).toEqual({ ...documented, ...further })
  expect([...searchParams]).toHaveLength(Object.keys({ ...documented, ...further }).length)
  expect(rawHeaders.join('\n')).not.toContain('evil')
}

describe('A69 third-party initiated login', () => {
  test.for([
    'iss=https://evil.example',
    'target_link_uri=//evil.example',
    'target_link_uri=https://evil.example/',
    'login_hint=evil@example.com',
    'scope=admin-evil',
    'scope=openid%20evil',
    'prompt=none',
    'prompt=consent',
    'prompt=create',
    'prompt=',
    'prompt=login%20none',
    'prompt=LOGIN',
    'client_id=evil',
    'redirect_uri=https://evil.example/',
    'response_type=token',
    'response_type=id_token&response_mode=fragment',
    'response_mode=form_post',
    'state=evil',
    'nonce=evil',
    'code_challenge=evil&code_challenge_method=plain',
    'request=eyJhbGciOiJub25lIn0.evil.',
    'request_uri=https://evil.example/',
    'claims=%7B%22evil%22:null%7D',
    'acr_values=evil&max_age=0&ui_locales=evil&id_token_hint=evil',
    'resource=https://evil.example&audience=evil',
    'return_to=https://evil.example/&redirect=https://evil.example/&next=//evil.example&url=//evil.example',
    'RD=https://evil.example/&rd%5B%5D=https://evil.example/',
    'connection=evil&kc_idp_hint=evil&domain_hint=evil',
  ])('the configuration wins over the request: %s', async (query) => {
    for (const search of [query, `rd=/report&${query}`, `${query}&rd=/report`]) {
      expectConfigured(await party.get(`/oauth2/login?${search}`))
    }
  })

  test.for([
    'acr_values=evil&max_age=0&login_hint=evil&prompt=none&ui_locales=evil',
    'acr_values=&max_age=&login_hint=',
    'max_age=99999999&acr_values=evil&acr_values=evil',
    'resource=https://evil.example&audience=evil&claims=evil',
  ])('it wins where it names these parameters itself, too: %s', async (query) => {
    const visit = await configured.get(`/oauth2/login?rd=/report&${query}`)
    const sent = [...new URL(visit.location ?? '').searchParams]
    const own = new Set(['acr_values', 'max_age', 'login_hint', 'resource'])
    expect(sent.filter(([name]) => own.has(name))).toEqual([
      ['acr_values', 'urn:mfa'],
      ['max_age', '60'],
      ['login_hint', 'corp'],
      ['resource', 'urn:a'],
      ['resource', 'urn:b'],
    ])
    expect(sent.filter(([name]) => !own.has(name))).toHaveLength(Object.keys(documented).length)
    expect(visit.rawHeaders.join('\n')).not.toContain('evil')
  })

  test('the parameters of a third party do not decide where the sign-in ends', async () => {
    const browser = party.visitor()
    const query = 'iss=https://evil.example&target_link_uri=https://evil.example/&login_hint=bob'
    const last = await browser.signIn(`${LOGIN}?${query}`, 'alice')
    expect(last.url).toBe(`${APP}/`)
    expect(browser.trail.map(({ url }) => url).join('\n')).not.toMatch(/^https:\/\/evil/m)
  })

  test.for(words`
    https://evil.example/ //evil.example javascript:alert(1) https://app.example.com.evil.example/
  `)('a foreign rd is refused before anything else: %s', async (rd) => {
    const visit = await party.get(`/oauth2/login?${new URLSearchParams({ rd }).toString()}`)
    expect([visit.status, visit.location, visit.setCookies]).toEqual([400, undefined, []])
    expect(visit.body).not.toContain('evil')
  })

  test.for(['POST', 'PUT'])('a login cannot be begun by %s', async (method) => {
    const visit = await party.visitor().request(method, `${LOGIN}?rd=/`, {
      crossSite: true,
      body: 'iss=https://evil.example',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    })
    expect([visit.status, visit.location, visit.setCookies]).toEqual([404, undefined, []])
  })

  test('the legitimate twins: a plain login, and one that asks the user to sign in anew', async () => {
    expectConfigured(await party.get('/oauth2/login?rd=/report'))
    expectConfigured(await party.get('/oauth2/login?rd=/report&prompt=login'), { prompt: 'login' })
    const browser = party.visitor()
    const back = await browser.get(await untilCallback(browser, '/report'))
    expect(back.location).toBe(`${APP}/report`)
  })
})
