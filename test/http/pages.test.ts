import { describe, expect, test } from 'vitest'
import { AuthError } from '../../src/errors.ts'
import { errorPage } from '../../src/http/error-page.ts'
import { type LoopCause, loopPage } from '../../src/http/pages/loop-page.ts'
import * as pages from '../../src/http/pages/pages.ts'
import {
  noSuchSessionPage,
  type SessionLinks,
  type SessionsPageOptions,
  sessionsPage,
} from '../../src/http/pages/sessions-page.ts'
import * as signInPages from '../../src/http/pages/sign-in-pages.ts'
import { createPageWriter } from '../../src/http/write-page.ts'

const REQUEST_ID = 'request-1'
const LOGIN = 'https://app.example.com/oauth2/login?rd=https%3A%2F%2Fapp.example.com%2F&retry=1'
const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;</style></title>`

const write = createPageWriter(() => ['https://id.example.com'])
const render = async (content: pages.PageContent) => {
  const answer = await write(200, content, REQUEST_ID)
  const policy = answer.headers.get('Content-Security-Policy')
  return { answer, policy, html: await answer.text() }
}
const htmlOf = async (content: pages.PageContent) => (await render(content)).html

const NOW = Date.UTC(2026, 10, 29, 22)

const linksWith = (text: string): SessionLinks => ({
  sessions: text,
  logout: text,
  landing: text,
  token: text,
})

const sessionsWith = (text: string): SessionsPageOptions => {
  const session = { id: text, browser: text, address: text, createdAt: NOW, expiresAt: NOW }
  const sessions = [
    { ...session, isCurrent: true },
    { ...session, isCurrent: false },
  ]
  return { sessions, more: 0, signedInAs: text, isAsking: false, links: linksWith(text), now: NOW }
}

/** Every page with a text in every place that takes one. */
const pagesWith = (text: string): readonly (readonly [string, pages.PageContent])[] => [
  ['a failed sign-in', signInPages.signInFailedPage(text)],
  ['a failed sign-in that goes on', signInPages.signInFailedPage(LOGIN, text)],
  ['a bad request', pages.badRequestPage(text)],
  ['a bad request with advice', pages.badRequestPage(text, text)],
  ['not allowed', pages.notAllowedPage(text, text)],
  ['a broken provider', signInPages.brokenProviderPage(text)],
  ['a broken provider that is asked again', signInPages.brokenProviderPage(LOGIN, text)],
  ['a provider that refuses', signInPages.refusedPage(text, text)],
  ['wrong settings', signInPages.misconfiguredPage(text)],
  ['not available', signInPages.unavailablePage(true, text)],
  ['a loop of sign-ins that fail', loopPage('unfinished', text, text)],
  ['a loop without the cookie', loopPage('no-cookie', text, text)],
  ['a loop with the cookie', loopPage('not-accepted', text, text)],
  ['two sessions', pages.resetCookiesPage(text)],
  [
    'the question before signing out',
    pages.confirmSignOutPage(
      { logout: text, stay: text, sessions: text },
      { token: text, rd: text },
      [],
    ),
  ],
  ['the sessions of a user', sessionsPage(sessionsWith(text))],
  ['the same with the question', sessionsPage({ ...sessionsWith(text), isAsking: true })],
  ['a session that is none', noSuchSessionPage(text)],
  ['sessions that cannot be shown', signInPages.unavailablePage(true, undefined, text)],
  ['signed out', pages.signedOutPage(text, false)],
  ['signed out for now', pages.signedOutPage(text, true)],
  ['signed out for now, and going on', pages.signedOutPage(LOGIN, true, text)],
  ['going on', pages.continuePage(text)],
  ['an internal error', pages.internalErrorPage()],
]

const countOf = (html: string, part: string): number => html.split(part).length - 1

describe('every page', () => {
  test.for(pagesWith(HOSTILE))('%s: what is put in stays text (A99)', async ([, content]) => {
    const html = await htmlOf(content)
    const plain = pagesWith('harmless').find(([, { title }]) => title === content.title)
    const harmless = await htmlOf(plain?.[1] ?? content)
    expect(html).not.toMatch(/<script|<img|onerror=alert\(1\)>/)
    expect([countOf(html, '</style>'), countOf(html, '</title>')]).toEqual([1, 1])
    if (html !== harmless) expect(html).toContain('&lt;script&gt;')
  })

  test('a text cannot leave the attribute it is put into', async () => {
    for (const [what, content] of pagesWith('x" onclick="y')) {
      expect(await htmlOf(content), what).not.toContain(' onclick="')
    }
  })

  test('the title and the request id are escaped too', async () => {
    const html = await (await write(200, { title: HOSTILE, body: '' as never }, '<b>id</b>')).text()
    expect(html).not.toContain('<script')
    expect(html).toContain('&lt;b&gt;id&lt;/b&gt;')
  })

  test.for(pagesWith(LOGIN))('%s: it is a whole document without scripts', async ([, content]) => {
    const { html, answer } = await render(content)
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/)
    expect(html.trimEnd()).toMatch(/<\/html>$/)
    const { title } = content
    for (const part of [`<title>${title}</title>`, `<h1>${title}</h1>`, `Request ${REQUEST_ID}`]) {
      expect(html).toContain(part)
    }
    expect(html).not.toMatch(
      /<script|javascript:|\son[a-z]+=|\sstyle=|<link|src=|undefined|\[object/,
    )
    expect(answer.headers.get('X-Request-Id')).toBe(REQUEST_ID)
  })

  test('where forms may lead is asked each time', async () => {
    const targets: string[] = []
    const writePage = createPageWriter(() => targets)
    const policyOf = async () =>
      (await writePage(200, pages.internalErrorPage(), REQUEST_ID)).headers.get(
        'Content-Security-Policy',
      )
    expect(await policyOf()).toContain("form-action 'self';")
    targets.push('https://id.example.com')
    expect(await policyOf()).toContain("form-action 'self' https://id.example.com;")
  })

  test('status and further headers are those asked for; cookies do not replace each other', async () => {
    const answer = await write(503, signInPages.unavailablePage(true), REQUEST_ID, [
      ['Retry-After', '5'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ])
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '5'])
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  })
})

describe('single pages', () => {
  test('only what should go on by itself does', async () => {
    const refreshOf = async (content: pages.PageContent) =>
      /<meta http-equiv="refresh" content="([^"]*)">/.exec(await htmlOf(content))?.[1]
    expect(await refreshOf(signInPages.unavailablePage(true))).toBe(
      String(signInPages.RETRY_SECONDS),
    )
    const onward = pages.continuePage('https://app.example.com/?a=1&b=2')
    expect(await refreshOf(onward)).toBe('0;url=https://app.example.com/?a=1&amp;b=2')
    const escaped = LOGIN.replace('&', '&amp;')
    expect(await refreshOf(signInPages.signInFailedPage(LOGIN, LOGIN))).toBe(`1;url=${escaped}`)
    const others = pagesWith(LOGIN).filter(([, content]) => content.refreshSeconds === undefined)
    expect(others.length).toBe(pagesWith(LOGIN).length - 5)
    for (const [what, content] of others) expect(await refreshOf(content), what).toBeUndefined()
  })

  test('only a page that tries again by itself says so', async () => {
    const promise = `tries again by itself every ${signInPages.RETRY_SECONDS} seconds`
    expect(await htmlOf(signInPages.unavailablePage(true))).toContain(promise)
    expect(await htmlOf(signInPages.unavailablePage(false))).not.toContain('by itself')
    expect(await htmlOf(signInPages.unavailablePage(false))).toContain('Try again in a moment')
  })

  test('only the page of a login that no key here opens blames the keys (C52)', async () => {
    const context = { retryUrl: undefined, newLoginUrl: undefined, mayReload: false }
    const pageOf = (setting: string) =>
      htmlOf(errorPage(new AuthError('sign_in_failed', 'x', { facts: { setting } }), context))
    expect(await pageOf('SESSION_ENCRYPTION_KEY')).toContain('different encryption keys')
    expect(await pageOf('PUBLIC_URL')).not.toContain('encryption keys')
  })

  test('a page names an address where it has one, and has no empty link where not', async () => {
    const link = `href="${LOGIN.replace('&', '&amp;')}"`
    expect(await htmlOf(signInPages.signInFailedPage(LOGIN))).toContain(link)
    expect(await htmlOf(signInPages.brokenProviderPage(LOGIN))).toContain(link)
    for (const content of [
      signInPages.signInFailedPage(undefined),
      signInPages.brokenProviderPage(undefined),
      signInPages.refusedPage(undefined),
    ])
      expect(await htmlOf(content)).not.toContain('href')
  })

  test('who is signed in is named where it is known', async () => {
    expect(await htmlOf(pages.notAllowedPage('alice', LOGIN))).toContain('<strong>alice</strong>')
    expect(await htmlOf(pages.notAllowedPage(undefined, LOGIN))).not.toContain(
      'signed in as <strong>',
    )
  })

  test('a loop names its likely cause', async () => {
    const loopOf = (cause: LoopCause) => htmlOf(loopPage(cause, 'app.example.com', LOGIN))
    expect(await loopOf('no-cookie')).toContain('cookies are allowed for')
    expect(await loopOf('not-accepted')).toMatch(/encryption keys.*memory mode/)
    expect(await loopOf('unfinished')).toContain('the sign-in service or our session store fails')
  })

  test('signing out is a form with the token', async () => {
    const page = pages.confirmSignOutPage(
      {
        logout: 'https://app.example.com/oauth2/logout',
        stay: 'https://app.example.com/',
        sessions: 'https://app.example.com/oauth2/sessions',
      },
      { token: 'token-1', local: 'true' },
      ['https://www.example.com'],
    )
    const { html, policy } = await render(page)
    for (const part of [
      '<form method="post" action="https://app.example.com/oauth2/logout">',
      '<input type="hidden" name="token" value="token-1">',
      '<input type="hidden" name="local" value="true">',
      'You stay signed in at the sign-in service itself',
      'href="https://app.example.com/">Stay signed in</a>',
    ])
      expect(html).toContain(part)
    const whole = pages.confirmSignOutPage(
      { logout: LOGIN, stay: LOGIN, sessions: LOGIN },
      { token: 'a' },
      [],
    )
    expect(await htmlOf(whole)).not.toContain('stay signed in at the sign-in')
    expect(policy).toContain("form-action 'self' https://id.example.com https://www.example.com;")
  })

  test('somebody who has been signed out goes on to where they wanted, or signs in again', async () => {
    const landingPage = 'https://www.example.com/bye'
    const onward = await htmlOf(pages.signedOutPage(LOGIN, true, landingPage))
    expect(onward).toContain(`href="${landingPage}"`)
    expect(onward).not.toContain('Sign in again')
    expect(await htmlOf(pages.signedOutPage(LOGIN, false))).toContain('Sign in again')
  })

  test('one’s sessions say what is unknown, what is left out and what has just ended', async () => {
    const shown = sessionsWith('a')
    const [current, other] = shown.sessions
    if (!current || !other) throw new Error('two sessions')
    const { address: _, ...nowhere } = { ...other, lastSeenAt: NOW }
    const of = (changes: Partial<SessionsPageOptions>) =>
      htmlOf(sessionsPage({ ...shown, ...changes }))
    const used = await of({ sessions: [current, nowhere], more: 3, ended: 1 })
    for (const text of [
      '<dd>Unknown</dd>',
      'Last seen',
      'Ends by',
      'up to 3 more',
      'One session has',
    ])
      expect(used).toContain(text)
    expect(used).toContain('aria-label="End session: a"')
    const alone = await of({ sessions: [current], ended: 0 })
    for (const text of ['not signed in anywhere else', 'There was no other session to end'])
      expect(alone).toContain(text)
    expect(alone).not.toContain('End all others')
    expect(await of({ sessions: [current], more: 1, ended: 2 })).toMatch(
      /2 sessions have ended.*End all/s,
    )
  })
})
