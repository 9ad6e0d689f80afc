import { expect, test } from 'vitest'
import { cookieHeader } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { labelled, words } from '../support/words.ts'

const refused = [
  ...words`
    a@allowed.com@evil.example a@evil.example@allowed.com @allowed.com allowed.com a@ a @
    @@allowed.com a@@allowed.com a@evil.example\n@allowed.com a@evil.example\r\n@allowed.com
    a@evil.example\0@allowed.com a@allowed.com\n \na@allowed.com a@allowed.com\0
    a@allowed.com\0.evil.example a@allowed.com\n.evil.example a@allowed.com\x20 \x20a@allowed.com
    a\x20@allowed.com a@\x20allowed.com a@allowed.com,b@evil.example b@evil.example,a@allowed.com
    a@allowed.com;b@evil.example Boss\x20<a@allowed.com> <a@allowed.com>
    "x@allowed.com"@evil.example "a"@allowed.com a(@evil.example)@allowed.com
    a@allowed.com(@evil.example) a@evil.example#@allowed.com a@evil.example/@allowed.com
    a@evil.example\\@allowed.com a@evil.example%40allowed.com a%40allowed.com a@sub.allowed.com
    a@allowed.com.evil.example a@notallowed.com a@allowed.co a@allowed.comm a@allowed.com.
    a@.allowed.com a@allowed..com a@allowed。com a@allowed．com a＠allowed.com a@ａllowed.com
    a@аllowed.com a@al\u200blowed.com a@allowed.com\u200b a@al\u00adlowed.com a@[allowed.com]
    a@[127.0.0.1] a@xn--allowed.com a@desk\u212a.example a@des\u212a.example a@de\u017fk.example
    a@a\u2113lowed.com kate@example.com. kate+x@example.com k.ate@example.com \u212aate@example.com
    kate@e\u2093ample.com kat\u0435@example.com kate@exam\u0440le.com
  `,
  `${'a'.repeat(65)}@allowed.com`,
  `${'a'.repeat(100_000)}@allowed.com`,
  `a@${'allowed.com.'.repeat(5_000)}com`,
  `a@${'a'.repeat(64)}.allowed.com`,
]

const allowed = [
  ...words`
    a@allowed.com A@ALLOWED.COM a@Allowed.Com o'brien+tag/x=y@allowed.com a@desk.example
    A@DESK.EXAMPLE a@xn--bcher-kva.example kate@example.com Kate@Example.com
  `,
  `${'a'.repeat(64)}@allowed.com`,
]

const party = useParty(
  {
    ALLOW_ANY_USER: 'false',
    ALLOWED_EMAIL_DOMAINS: 'allowed.com,desk.example,xn--bcher-kva.example',
    ALLOWED_EMAILS: 'kate@example.com',
  },
  {
    users: [...refused, ...allowed].map((email, index) => ({
      sub: `${index}`,
      email,
      email_verified: true,
    })),
  },
)

const rows = labelled([...refused, ...allowed]).map(
  ([label], index) => [label, `${index}`] as const,
)

test.for(rows.slice(0, refused.length))('%s is not allowed', async ([, sub]) => {
  const { browser } = await party.attempt(sub)
  expect(cookieHeader(browser)).toContain('__Host-vestibule=')
  const visit = await party.checkWith(browser)
  expect([visit.status, visit.headers['x-auth-request-email']]).toEqual([403, undefined])
})

test.for(rows.slice(refused.length))('%s is allowed', async ([, sub]) =>
  expect((await party.attempt(sub)).isSignedIn).toBe(true),
)
