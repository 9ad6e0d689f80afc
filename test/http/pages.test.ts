import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  badRequestPage,
  brokenProviderPage,
  confirmSignOutPage,
  continuePage,
  internalErrorPage,
  loopPage,
  notAllowedPage,
  type PageContent,
  RETRY_SECONDS,
  resetCookiesPage,
  signedOutPage,
  signInFailedPage,
  unavailablePage,
} from '../../src/http/pages/pages.ts'
import { createPageWriter } from '../../src/http/write-page.ts'

const REQUEST_ID = 'request-1'
const LOGIN = 'https://app.example.com/oauth2/login?rd=https%3A%2F%2Fapp.example.com%2F&retry=1'
const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;</style></title>`

const write = createPageWriter(() => ['https://id.example.com'])
const render = async (content: PageContent) => {
  const answer = await write(200, content, REQUEST_ID)
  return { answer, html: await answer.text() }
}

/** Every page with a text in every place that takes one. */
const pagesWith = (text: string): readonly (readonly [string, PageContent])[] => [
  ['a failed sign-in', signInFailedPage(text)],
  ['a failed sign-in that goes on', signInFailedPage(LOGIN, text)],
  ['a bad request', badRequestPage(text)],
  ['not allowed', notAllowedPage(text, text)],
  ['a broken provider', brokenProviderPage(text)],
  ['a loop without the cookie', loopPage(false, text, text)],
  ['a loop with the cookie', loopPage(true, text, text)],
  ['two sessions', resetCookiesPage(text)],
  [
    'the question before signing out',
    confirmSignOutPage(text, text, { token: text, rd: text }, []),
  ],
  ['signed out', signedOutPage(text, false)],
  ['signed out for now', signedOutPage(text, true)],
  ['signed out for now, and going on', signedOutPage(LOGIN, true, text)],
  ['going on', continuePage(text)],
  ['not available', unavailablePage(true)],
  ['an internal error', internalErrorPage()],
]

const countOf = (html: string, part: string): number => html.split(part).length - 1

describe('every page', () => {
  test.for(pagesWith(HOSTILE))(
    '%s: what is put in stays text (A99)',
    async ([, content], { expect }) => {
      const { html } = await render(content)
      const { html: harmless } = await render(
        pagesWith('harmless').find(([, { title }]) => title === content.title)?.[1] ?? content,
      )
      expect(html).not.toMatch(/<script|<img|onerror=alert\(1\)>/)
      expect(countOf(html, '</style>')).toBe(1)
      expect(countOf(html, '</title>')).toBe(1)
      if (html !== harmless) expect(html).toContain('&lt;script&gt;')
    },
  )

  test('a text cannot leave the attribute it is put into', async () => {
    for (const [what, content] of pagesWith('x" onclick="y')) {
      expect((await render(content)).html, what).not.toContain(' onclick="')
    }
  })

  test('the title and the request id are escaped too', async () => {
    const answer = await write(200, { title: HOSTILE, body: '' as never }, '<b>id</b>')
    const html = await answer.text()
    expect(html).not.toContain('<script')
    expect(html).toContain('&lt;b&gt;id&lt;/b&gt;')
  })

  test.for(pagesWith(LOGIN))(
    '%s: it is a whole document without scripts',
    async ([, content], { expect }) => {
      const { html, answer } = await render(content)
      expect(html).toMatch(/^<!doctype html>\n<html lang="en">/)
      expect(html.trimEnd()).toMatch(/<\/html>$/)
      expect(html).toContain(`<title>${content.title}</title>`)
      expect(html).toContain(`<h1>${content.title}</h1>`)
      expect(html).toContain(`Request ${REQUEST_ID}`)
      expect(html).not.toMatch(
        /<script|javascript:|\son[a-z]+=|\sstyle=|<link|src=|undefined|\[object/,
      )
      expect(answer.headers.get('X-Request-Id')).toBe(REQUEST_ID)
    },
  )

  test('the policy names exactly the bytes of the style sheet', async () => {
    const { html, answer } = await render(internalErrorPage())
    const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(html) ?? []
    const digest = createHash('sha256').update(style).digest('base64')
    expect(style.length).toBeGreaterThan(100)
    expect(answer.headers.get('Content-Security-Policy')).toContain(`style-src 'sha256-${digest}'`)
  })

  test('the headers allow nothing else', async () => {
    const { answer } = await render(internalErrorPage())
    const policy = answer.headers.get('Content-Security-Policy')?.split('; ')
    expect(policy).toEqual([
      "default-src 'none'",
      expect.stringMatching(/^style-src 'sha256-[A-Za-z0-9+/=]{44}'$/),
      "form-action 'self' https://id.example.com",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ])
    const expected = {
      'Content-Type': 'text/html; charset=UTF-8',
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'DENY',
      'Referrer-Policy': 'same-origin',
      'Cross-Origin-Opener-Policy': 'same-origin',
      Vary: 'Cookie, Authorization',
    }
    for (const [name, value] of Object.entries(expected)) {
      expect(answer.headers.get(name), name).toBe(value)
    }
  })

  test('where forms may lead is asked each time', async () => {
    const targets: string[] = []
    const writePage = createPageWriter(() => targets)
    const policyOf = async () =>
      (await writePage(200, internalErrorPage(), REQUEST_ID)).headers.get('Content-Security-Policy')
    expect(await policyOf()).toContain("form-action 'self';")
    targets.push('https://id.example.com')
    expect(await policyOf()).toContain("form-action 'self' https://id.example.com;")
  })

  test('status and further headers are those asked for; cookies do not replace each other', async () => {
    const answer = await write(503, unavailablePage(true), REQUEST_ID, [
      ['Retry-After', '5'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ])
    expect(answer.status).toBe(503)
    expect(answer.headers.get('Retry-After')).toBe('5')
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  })
})

describe('single pages', () => {
  const htmlOf = async (content: PageContent) => (await render(content)).html

  test('only what should go on by itself does', async () => {
    const refreshOf = async (content: PageContent) =>
      /<meta http-equiv="refresh" content="([^"]*)">/.exec(await htmlOf(content))?.[1]
    expect(await refreshOf(unavailablePage(true))).toBe(String(RETRY_SECONDS))
    expect(await refreshOf(continuePage('https://app.example.com/?a=1&b=2'))).toBe(
      '0;url=https://app.example.com/?a=1&amp;b=2',
    )
    expect(await refreshOf(signInFailedPage(LOGIN, LOGIN))).toBe(
      `1;url=${LOGIN.replace('&', '&amp;')}`,
    )
    const others = pagesWith(LOGIN).filter(([, content]) => content.refreshSeconds === undefined)
    expect(others.length).toBe(pagesWith(LOGIN).length - 3)
    for (const [what, content] of others) expect(await refreshOf(content), what).toBeUndefined()
  })

  test('only a page that tries again by itself says so', async () => {
    const promise = `tries again by itself every ${RETRY_SECONDS} seconds`
    expect(await htmlOf(unavailablePage(true))).toContain(promise)
    expect(await htmlOf(unavailablePage(false))).not.toContain('by itself')
    expect(await htmlOf(unavailablePage(false))).toContain('Try again in a moment')
  })

  test('a page names an address where it has one, and has no empty link where not', async () => {
    const link = `href="${LOGIN.replace('&', '&amp;')}"`
    expect(await htmlOf(signInFailedPage(LOGIN))).toContain(link)
    expect(await htmlOf(brokenProviderPage(LOGIN))).toContain(link)
    for (const content of [signInFailedPage(undefined), brokenProviderPage(undefined)]) {
      expect(await htmlOf(content)).not.toContain('href')
    }
  })

  test('who is signed in is named where it is known', async () => {
    expect(await htmlOf(notAllowedPage('alice', LOGIN))).toContain('<strong>alice</strong>')
    expect(await htmlOf(notAllowedPage(undefined, LOGIN))).not.toContain('signed in as <strong>')
  })

  test('a loop names its likely cause', async () => {
    expect(await htmlOf(loopPage(false, 'app.example.com', LOGIN))).toContain(
      'cookies are allowed for',
    )
    expect(await htmlOf(loopPage(true, 'app.example.com', LOGIN))).toContain('encryption keys')
  })

  test('signing out is a form with the token', async () => {
    const page = confirmSignOutPage(
      'https://app.example.com/oauth2/logout',
      'https://app.example.com/',
      { token: 'token-1', local: 'true' },
      ['https://www.example.com'],
    )
    const { answer, html } = await render(page)
    expect(html).toContain('<form method="post" action="https://app.example.com/oauth2/logout">')
    expect(html).toContain('<input type="hidden" name="token" value="token-1">')
    expect(html).toContain('<input type="hidden" name="local" value="true">')
    expect(html).toContain('You stay signed in at the sign-in service itself')
    expect(html).toContain('href="https://app.example.com/">Stay signed in</a>')
    const whole = confirmSignOutPage(LOGIN, LOGIN, { token: 'a' }, [])
    expect(await htmlOf(whole)).not.toContain('stay signed in at the sign-in')
    expect(answer.headers.get('Content-Security-Policy')).toContain(
      "form-action 'self' https://id.example.com https://www.example.com;",
    )
  })

  test('somebody who has been signed out goes on to where they wanted, or signs in again', async () => {
    const landingPage = 'https://www.example.com/bye'
    const onward = await htmlOf(signedOutPage(LOGIN, true, landingPage))
    expect(onward).toContain(`href="${landingPage}"`)
    expect(onward).not.toContain('Sign in again')
    expect(await htmlOf(signedOutPage(LOGIN, false))).toContain('Sign in again')
  })
})
