import { expect, test } from 'vitest'
import { discover } from '../../src/oidc/discovery/discovery.ts'

async function reasonOf(issuerUrl: string, answer: Response, use: 'sign-in' | 'keys' = 'sign-in') {
  const failed = discover({ issuerUrl, use, fetch: () => Promise.resolve(answer) })
  return failed.then(
    () => 'discovered',
    (cause: unknown) => (cause as Error).message,
  )
}

const MICROSOFT = 'https://login.microsoftonline.com'
const TENANT = '3fa85f64-5717-4562-b3fc-2c963f66afa6'

test.for<[url: string, issuer: string, advice: string]>([
  [
    `${MICROSOFT}/any.example.com/v2.0`,
    `${MICROSOFT}/{tenantid}/v2.0`,
    `set OIDC_ISSUER_URL to ${MICROSOFT}/<tenant id>/v2.0`,
  ],
  [
    `${MICROSOFT}/${TENANT}`,
    `https://sts.windows.net/${TENANT}/`,
    `set OIDC_ISSUER_URL to ${MICROSOFT}/${TENANT}/v2.0`,
  ],
  [
    `${MICROSOFT}/any.example.com/v2.0`,
    `${MICROSOFT}/${TENANT}/v2.0`,
    `set OIDC_ISSUER_URL to exactly that`,
  ],
  [
    'https://id.example.com',
    'https://id.example.com/',
    'to exactly that (only the spelling differs, as in a final slash)',
  ],
  ['https://id.example.com/a/', 'https://id.example.com/a', 'to exactly that (only the spelling'],
  ['https://id.example.com', 'https://id.example.com:443', 'to exactly that (only the spelling'],
  ['https://id.example.com', 'http://id.example.com/', 'it does not know that TLS ends before it'],
  ['http://id.localhost', 'https://id.localhost', 'set OIDC_ISSUER_URL to exactly that'],
  ['https://id.example.com/realms/A', 'https://id.example.com/realms/a', 'to exactly that'],
])(
  'C33: for %s, a provider that calls itself %s is advised on: %s',
  async ([url, issuer, advice]) => {
    const reason = await reasonOf(url, Response.json({ issuer }))
    expect(reason).toContain(`the provider calls itself ${issuer}`)
    expect(reason).toContain(advice)
    expect(reason).not.toMatch(/exactly that.*\{/)
  },
)

test.for<[unknown]>([[null], [''], [42], [['https://id.example.com']], [undefined]])(
  'C33: metadata whose issuer is %j name none',
  async ([issuer]) => {
    const reason = await reasonOf('https://id.example.com', Response.json({ issuer }))
    expect(reason).toBe('the metadata name no issuer')
  },
)

test('C33: an issuer of megabytes is not logged whole', async () => {
  const answer = Response.json({ issuer: 'https://x'.padEnd(100_000, 'x') })
  expect((await reasonOf('https://id.example.com', answer)).length).toBeLessThan(400)
})

test.for([
  [
    'https://id/realms/nobody',
    404,
    '{"error":"Realm does not exist"}',
    /at https:\/\/id\/realms\/nobody\/\.well-known\/openid-configuration were answered with 404 \(Realm does not exist\); does OIDC_ISSUER_URL name the right realm\? Keycloak before version 17 needs \/auth/,
  ],
  [
    'https://id/auth/realms/x',
    404,
    '{"error":"HTTP 404 Not Found"}',
    /\(HTTP 404 Not Found\); .* Keycloak has no \/auth since version 17$/,
  ],
  [
    'https://id/oops',
    404,
    '<h1>Not found</h1>',
    /answered with 404; is the path of OIDC_ISSUER_URL right\?$/,
  ],
  ['https://id', 503, '', /answered with 503$/],
  ['https://id', 403, '{"error":7,"error_description":["x"]}', /answered with 403$/],
  [
    'https://id',
    400,
    '{"error":"a\\nb","error_description":"mail to a@b.example"}',
    /400 \(a b: mail to …@…\)$/,
  ],
  ['https://id', 204, null, /answered with 204$/],
  ['https://id', 200, '[]', /^the metadata are no JSON object$/],
  ['https://id', 200, '', /^the metadata are no JSON object$/],
] as const)(
  'C33: discovery at %s that is answered with %i %s says so',
  async ([url, status, body, reason]) => {
    expect(await reasonOf(url, new Response(body, { status }))).toMatch(reason)
  },
)

test.for<[answer: Response, reason: string]>([
  [
    Response.json({ issuer: 'https://other.example.com' }),
    'the provider calls itself https://other.example.com; set the issuer in the rules to exactly that',
  ],
  [
    new Response('', { status: 404 }),
    'the metadata at https://id.example.com/.well-known/openid-configuration were answered with 404; is the path of the issuer in the rules right?',
  ],
])('C33: an issuer of a rule is to be corrected in the rules: %#', async ([answer, reason]) => {
  expect(await reasonOf('https://id.example.com', answer, 'keys')).toBe(reason)
})

test('C33: what a provider calls itself is logged without credentials and people', async () => {
  const issuer = 'https://alice:secret@id.example.com/alice@example.com'
  const reason = await reasonOf('https://id.example.com', Response.json({ issuer }))
  expect(reason).toMatch(/^the provider calls itself /)
  expect(reason).not.toMatch(/alice|secret/)
})
