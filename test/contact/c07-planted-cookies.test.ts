import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { LOGIN, LOGOUT, untilCallback } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

const NAME = '__Secure-vestibule'
const ATTACKER = 'https://evil.example.com/'

const party = useParty({ COOKIE_DOMAIN: 'example.com', PUBLIC_URL: APP })
const theirs = prepared(
  async () => (await party.attempt('bob')).browser.cookies.find(NAME)?.value ?? '',
)

function plant({ cookies }: Visitor, from: string, attributes: string, name = NAME): void {
  const refusal = cookies.set(`${name}=${theirs()}; Secure; ${attributes}`, new URL(from))
  if (refusal) throw new Error(refusal)
}

/** Opens a page as Traefik has it checked, and takes over the cookies of the answer as the browser does. */
async function open({ cookies }: Visitor, url: string, headers = {}): Promise<Visit> {
  const { host, pathname, search } = new URL(url)
  const forwarded = { host, uri: pathname + search }
  const visit = await party.check(forwarded, { Cookie: cookies.header(new URL(url)), ...headers })
  for (const line of visit.setCookies) expect(cookies.set(line, new URL(url))).toBeUndefined()
  return visit
}

async function userAt(browser: Visitor, url: string): Promise<unknown> {
  const { status, headers } = await open(browser, url)
  return status === 200 ? headers['x-auth-request-user'] : status
}

const DOMAIN = 'Domain=example.com'
const planted: readonly (readonly [string, string, string, string])[] = [
  ['for a folder', '/wiki/page?a=/b', ATTACKER, `${DOMAIN}; Path=/wiki`],
  ['for a folder, with its slash', '/wiki/page', ATTACKER, `${DOMAIN}; Path=/wiki/`],
  ['for the page itself', '/wiki/page', ATTACKER, `${DOMAIN}; Path=/wiki/page`],
  ['for a page that is a folder', '/wiki/', ATTACKER, `${DOMAIN}; Path=/wiki`],
  ['for that and its slash', '/wiki/', ATTACKER, `${DOMAIN}; Path=/wiki/`],
  ['deep down', '/a/b/c/d/e/f/g', ATTACKER, `${DOMAIN}; Path=/a/b/c/d/e`],
  ['between two slashes', '/a//b/c', ATTACKER, `${DOMAIN}; Path=/a//b`],
  ['behind two slashes', '/a//b/c', ATTACKER, `${DOMAIN}; Path=/a//`],
  [
    'for an encoded folder',
    '/caf%C3%A9/%61b%2Fc/d',
    ATTACKER,
    `${DOMAIN}; Path=/caf%C3%A9/%61b%2Fc`,
  ],
  ['for a folder in capitals', '/Wiki/page', ATTACKER, `${DOMAIN}; Path=/Wiki`],
  ['by the host itself', '/wiki/page', `${APP}/`, 'Path=/wiki'],
  ['by the host itself, for its domain', '/wiki/page', `${APP}/`, 'Domain=app.example.com; Path=/'],
  ['by the folder, which has a semicolon', '/wiki;v=1/page', `${APP}/wiki;v=1/x`, ''],
]

describe('C7: the reset page removes what was planted, wherever it was (A71)', () => {
  test.for(planted)('C7: %s', async ([, uri, from, attributes]) => {
    const { browser } = await party.attempt('alice')
    plant(browser, from, attributes)
    const visit = await open(browser, APP + uri)
    expect(visit.status).toBe(400)
    expect(visit.body).toContain('told it to forget both')
    expect(visit.body).toContain(`href="${LOGIN}?rd=`)
    expect(visit.setCookies.length).toBeLessThan(100)
    expect(browser.cookies.header(new URL(APP + uri)) ?? '').not.toContain(`${NAME}=`)
    await browser.browse(`${LOGIN}?rd=/`)
    expect(await userAt(browser, APP + uri)).toBe('alice')
  })

  test('C7: several at once, on another host', async () => {
    const { browser } = await party.attempt('alice')
    const url = 'https://other.example.com/wiki/page'
    for (const path of ['/', '/wiki', '/wiki/page']) plant(browser, url, `Path=${path}`)
    plant(browser, ATTACKER, `${DOMAIN}; Path=/wiki/`)
    expect((await open(browser, url)).status).toBe(400)
    expect(browser.cookies.header(new URL(url)) ?? '').not.toContain(`${NAME}=`)
  })

  test.for([
    ['a thousand folders', `/${'a/'.repeat(1000)}`],
    ['long folders', `/${`${'x'.repeat(200)}/`.repeat(20)}`],
    ['nothing but slashes', `/a${'/'.repeat(1000)}`],
    ['what no attribute can hold', `/;/${';a/'.repeat(300)}`],
  ])('C7: the head of the answer is bounded: %s', async ([, uri = '']) => {
    const { browser } = await party.attempt('alice')
    plant(browser, `${APP}/`, 'Path=/')
    const visit = await open(browser, APP + uri)
    expect(visit.status).toBe(400)
    expect(visit.setCookies.join().length).toBeLessThan(13_000)
    for (const line of visit.setCookies)
      expect(line).toMatch(new RegExp(`^(__Host-vestibule|${NAME})`))
  })

  test('C7: an outage assertion that came twice goes with it', async () => {
    const visit = await party.check(
      { uri: '/wiki/page' },
      { Cookie: `${NAME}=a; ${NAME}=b; ${NAME}_outage=a; ${NAME}_outage=b` },
    )
    expect(visit.status).toBe(400)
    for (const name of [NAME, `${NAME}_outage`]) {
      expect(visit.setCookies).toContainEqual(expect.stringMatching(`^${name}=; .*Path=/wiki/;`))
    }
  })
})

describe('C7: at our own pages', () => {
  test('C7: a sign-in leaves no planted session beside its own', async () => {
    const browser = party.visitor()
    const callback = await untilCallback(browser, '/', 'alice')
    for (const path of ['/oauth2', '/oauth2/callback', '/']) {
      plant(browser, ATTACKER, `${DOMAIN}; Path=${path}`)
    }
    browser.cookies.set(`${NAME}=another; Secure; Path=/oauth2/callback`, new URL(APP))
    await browser.get(callback)
    expect(browser.cookies.all().filter(({ name }) => name === NAME)).toHaveLength(1)
    expect(await userAt(browser, `${APP}/oauth2x`)).toBe('alice')
  })

  test('C7: a sign-out leaves none at all', async () => {
    const { browser } = await party.attempt('alice')
    plant(browser, ATTACKER, `${DOMAIN}; Path=/oauth2`)
    await browser.post(LOGOUT)
    expect(browser.cookies.all().filter(({ name }) => name === NAME)).toEqual([])
  })
})

test('C7: on a plain host a binding that was planted keeps nobody from signing in', async () => {
  const HOST = 'http://app.localhost:8080'
  await using plain = await startRelyingParty({ PROTECTED_HOSTS: HOST }, { origins: [HOST] })
  const browser = plain.vestibule.visitor(['app.localhost'])
  await browser.get(`${HOST}/oauth2/login?rd=/`)
  const name = 'vestibule_login'
  for (const at of ['a', 'b']) {
    browser.cookies.set(`${name}=v1.${at.repeat(43)}.0.0; Path=/oauth2`, new URL(HOST))
    browser.cookies.set(`${name}=v1.${at.repeat(43)}.0.0; Path=/oauth2/login`, new URL(HOST))
  }
  await browser.signIn(`${HOST}/oauth2/login?rd=/`, 'alice')
  const Cookie = browser.cookies.header(new URL(HOST))
  const forwarded = { host: 'app.localhost:8080', proto: 'http' }
  expect((await plain.vestibule.check(forwarded, { Cookie })).status).toBe(200)
})
