import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createAliasCheck,
  parseForwardedRequest,
  type RawRequest,
} from '../../src/core/forwarded-request.ts'
import { AuthError, type AuthErrorCode } from '../../src/errors.ts'
import { anyText } from '../support/any-text.ts'
import { sitesOf } from '../support/protected-sites.ts'
import { forwarded, type HeaderEntries, rawRequest } from '../support/raw-request.ts'
import { words } from '../support/words.ts'

const sites = sitesOf('app.example.com', '*.apps.example.com', 'http://app.localhost:8080')

function parse(changes: Readonly<Record<string, string>> = {}) {
  return parseForwardedRequest(rawRequest(forwarded(changes)), sites)
}

/** The refusal of a request, or nothing when it was taken. */
function refusalOf(raw: RawRequest): AuthError | undefined {
  try {
    parseForwardedRequest(raw, sites)
    return undefined
  } catch (error) {
    if (error instanceof AuthError) return error
    throw error
  }
}

const PARTS = ['Method', 'Proto', 'Host', 'Uri']

describe('a forwarded request', () => {
  test('it has the parts that Traefik sent', () => {
    expect(parse({ 'X-Forwarded-Method': 'POST', 'X-Forwarded-Uri': '/a/b?c=/d?e' })).toEqual({
      method: 'POST',
      site: { scheme: 'https', host: 'app.example.com', origin: 'https://app.example.com' },
      uri: '/a/b?c=/d?e',
      path: '/a/b',
      readings: { all: ['/a/b'], asWritten: ['/a/b'] },
      url: 'https://app.example.com/a/b?c=/d?e',
      isWebSocketScheme: false,
    })
  })

  test.for(words`
    GET HEAD POST PUT PATCH DELETE OPTIONS QUERY SEARCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK
    REPORT
  `)('the method %s is taken', (method, { expect }) => {
    expect(parse({ 'X-Forwarded-Method': method }).method).toBe(method)
  })

  test.for([
    ['https', 'app.example.com', false],
    ['wss', 'app.example.com', true],
    ['http', 'app.localhost:8080', false],
    ['ws', 'app.localhost:8080', true],
  ] as const)('%s belongs to %s', ([proto, host, isWebSocketScheme], { expect }) => {
    const request = parse({ 'X-Forwarded-Proto': proto, 'X-Forwarded-Host': host })
    expect(request).toMatchObject({ site: { host }, isWebSocketScheme })
  })

  test.for([
    ['/\u00c3\u00a9?\u00ff', '/%C3%A9?%FF'],
    ...words`
      / /? /a%20b /%zz /!$&'()*+,;=:@"<>[]^\x60{|}\\ /${'a'.repeat(8191)}
    `.map((uri) => [uri, uri] as const),
  ] as const)('the address %s is taken', ([uri, expected], { expect }) => {
    const url = `https://app.example.com${expected}`
    expect(parse({ 'X-Forwarded-Uri': uri })).toMatchObject({ uri: expected, url })
  })

  test('what is not read changes nothing', () => {
    const others = {
      Forwarded: 'host=evil.test',
      'X-Forwarded-Port': '80',
      'X-Forwarded-Prefix': '/evil',
      'X-Forwarded-Server': 'evil',
      'X-Original-URL': '/evil',
      'X-Rewrite-URL': '/evil',
      Host: 'evil.test',
    }
    expect(parse(others)).toEqual(parse())
  })
})

describe('a request that is refused', () => {
  const name = (part: string) => `X-Forwarded-${part}`
  type Row = readonly [string, Readonly<Record<string, string>>, AuthErrorCode, string]
  /** Returns a row for each value of one header; these are refused with the same code and text. */
  const values = (
    part: string,
    all: readonly string[],
    text: string,
    code: AuthErrorCode = 'invalid_request',
  ) =>
    all.map((value): Row => {
      const title = `${part} ${JSON.stringify(value.slice(0, 50))}`
      return [title, { [name(part)]: value }, code, text]
    })
  const rows: readonly Row[] = [
    ...PARTS.flatMap((part) => values(part, [''], 'is missing')),
    ...values(
      'Method',
      words`get Get FOO __proto__ \x20GET GET\x20 GET,\x20POST GET\n`,
      'not a supported method',
    ),
    ...values('Method', ['CONNECT', 'TRACE'], 'never allowed', 'method_not_allowed'),
    ...values('Proto', words`HTTPS https,http h2 ftp javascript // https\x20`, 'none of'),
    ...values('Proto', ['http', 'ws'], 'is configured for https'),
    ...values('Host', ['app.localhost:8080'], 'is configured for http'),
    ...values(
      'Host',
      words`evil.test app.example.com. evil.test@app.example.com app.example.com/x
        app.example.com:8080 [::1] apps.example.com app.example.com,\x20evil.test`,
      'PROTECTED_HOSTS',
      'foreign_host',
    ),
    ...values(
      'Uri',
      words`
        a * ?a //evil.test/ /// https://evil.test/ /a#b /a\x20b /a\tb /a\u007f /a\0 /\u0100 /a\n
      `,
      'not a path',
    ),
    ...values('Uri', [`/${'a'.repeat(8192)}`], 'too long'),
    ...values('Uri', ['/a/..%2fb?c'], 'hidden dot segment', 'hidden_dots'),
    ...values('Uri', [`/a//${'b'.repeat(2048)}`], 'longer than 2048 characters'),
    ...words`X-HTTP-Method-Override X-HTTP-Method X-Method-Override x-http-method-override`.map(
      (each): Row => [each, { [each]: 'GET' }, 'invalid_request', 'is not accepted'],
    ),
  ]

  test.for(rows)('%s', ([, changes, code, text], { expect }) => {
    const message = expect.stringContaining(text) as string
    const refusal = refusalOf(rawRequest(forwarded(changes)))
    expect(refusal).toMatchObject({ code, isPublic: true, message })
  })

  test.for(PARTS)(
    'a request without X-Forwarded-%s is refused with its name',
    (part, { expect }) => {
      const { [name(part)]: _, ...others } = forwarded()
      const message = expect.stringContaining(
        `x-forwarded-${part.toLowerCase()} is missing`,
      ) as string
      expect(refusalOf(rawRequest(others))).toMatchObject({ code: 'invalid_request', message })
    },
  )

  test.for(PARTS)(
    'X-Forwarded-%s twice is refused, also in another case and with the same value',
    (part, { expect }) => {
      const entries = Object.entries(forwarded()) as HeaderEntries
      const value = forwarded()[name(part)] ?? ''
      for (const spelling of [name(part), name(part).toLowerCase(), name(part).toUpperCase()]) {
        for (const second of [value, '', 'evil.test']) {
          expect(refusalOf(rawRequest([...entries, [spelling, second]]))).toMatchObject({
            code: 'invalid_request',
            message: expect.stringContaining('was sent twice') as string,
          })
        }
      }
    },
  )

  test('a header that comes as a list is as good as missing', () => {
    const raw = rawRequest(forwarded())
    const headers = { ...raw.headers, 'x-forwarded-host': ['app.example.com'] }
    expect(refusalOf({ rawHeaders: raw.rawHeaders, headers })?.code).toBe('invalid_request')
  })
})

describe('any forwarded request', () => {
  const text = fc.oneof(
    anyText,
    fc.constantFrom('', ...words`GET https app.example.com x.apps.example.com / /a?b //`),
  )
  const uri = fc
    .array(fc.constantFrom('/', 'a', '%2e', '..', ';', '?', '#', ' ', '\u00e9', '\\', '%', '\0'))
    .map((parts) => `/${parts.join('')}`)
  const names = fc.constantFrom(
    ...PARTS.map((part) => `X-Forwarded-${part}`),
    ...words`x-forwarded-uri X-Forwarded-For X_Forwarded_Host X-HTTP-Method Host`,
  )
  const request = fc
    .record({
      'X-Forwarded-Method': fc.constantFrom('GET', 'POST', 'TRACE', 'get'),
      'X-Forwarded-Proto': fc.constantFrom('https', 'wss', 'https', 'http'),
      'X-Forwarded-Host': fc.constantFrom(
        ...words`app.example.com APP.example.com:443 a.apps.example.com`,
      ),
      'X-Forwarded-Uri': fc.oneof(uri, text),
    })
    .map((headers) => Object.entries(headers))
  const anything = fc.array(fc.tuple(names, text), { maxLength: 8 })

  test('it is refused with an error of ours or has a place that a URL can name', () => {
    const codes = words`invalid_request hidden_dots foreign_host method_not_allowed`
    fc.assert(
      fc.property(fc.oneof(request, anything), (entries) => {
        const raw = rawRequest(entries)
        const refusal = refusalOf(raw)
        if (refusal) {
          expect(codes).toContain(refusal.code)
          return
        }
        const { url, site, uri, path, readings } = parseForwardedRequest(raw, sites)
        expect(new URL(url).origin).toBe(site.origin)
        expect(uri).toMatch(/^\/(?!\/)[\x21-\x7e]*$/)
        expect(uri.startsWith(path)).toBe(true)
        expect(path).not.toContain('?')
        expect(readings.all.length).toBeGreaterThan(0)
      }),
      { numRuns: 1000 },
    )
  })

  test('what was read, sent again, is read the same', () => {
    fc.assert(
      fc.property(request, (entries) => {
        const raw = rawRequest(entries)
        fc.pre(refusalOf(raw) === undefined)
        const once = parseForwardedRequest(raw, sites)
        const again = parse({
          'X-Forwarded-Method': once.method,
          'X-Forwarded-Proto': once.isWebSocketScheme ? 'wss' : 'https',
          'X-Forwarded-Host': once.site.host,
          'X-Forwarded-Uri': once.uri,
        })
        expect(again).toEqual(once)
      }),
      { numRuns: 500 },
    )
  })

  test('a header beside a good request never makes another request of it', () => {
    fc.assert(
      fc.property(names, text, fc.boolean(), (added, value, isFirst) => {
        const good = Object.entries(forwarded({ 'X-Forwarded-Uri': '/a' }))
        const extra: [string, string] = [added, value]
        const raw = rawRequest(isFirst ? [extra, ...good] : [...good, extra])
        if (refusalOf(raw) !== undefined) return
        expect(parseForwardedRequest(raw, sites)).toEqual(parse({ 'X-Forwarded-Uri': '/a' }))
      }),
    )
  })
})

describe('another spelling of a trusted header (A09, A29)', () => {
  const findAlias = createAliasCheck(['X-Auth-Request-User', 'Remote-User'])

  test.for(words`
    X_Auth_Request_User x_auth_request_user X-Auth_Request-User X.Auth.Request.User
    X!Auth!Request!User Remote_User remote.user X_Forwarded_Host X_Forwarded_For X-Forwarded_Uri
    X.Forwarded.Method X~Forwarded~Proto
  `)('%s is found by its name as it was written', (name, { expect }) => {
    expect(findAlias(rawRequest({ Accept: '*/*', [name]: 'x' }))).toBe(name)
  })

  test.for(words`
    X-Auth-Request-User x-auth-request-user X-Forwarded-Host Remote-User X_Request_Id
    X_Auth_Request_User_2 XAuthRequestUser __proto__ _
  `)('%s is none', (name, { expect }) => {
    expect(findAlias(rawRequest([[name, 'x']]))).toBeUndefined()
  })

  test('values are not names', () => {
    expect(findAlias(rawRequest([['Accept', 'X_Auth_Request_User']]))).toBeUndefined()
  })

  test('where nothing is guarded nothing is found', () => {
    expect(createAliasCheck([])(rawRequest([['X_Forwarded_Host', 'x']]))).toBeUndefined()
  })

  test('every trusted name with any of its dashes replaced is found', () => {
    const guarded = ['X-Auth-Request-User', 'Remote-User', 'X-Forwarded-Uri', 'X-Forwarded-For']
    const any = fc.constantFrom(...guarded)
    const separator = fc.constantFrom(..."_.!#$%&'*+^`|~".split(''))
    fc.assert(
      fc.property(any, separator, fc.nat(), fc.boolean(), (name, by, at, up) => {
        const dashes = [...name.matchAll(/-/g)].map(({ index }) => index)
        const index = dashes[at % dashes.length] as number
        const alias = name.slice(0, index) + by + name.slice(index + 1)
        const spelled = up ? alias.toUpperCase() : alias
        expect(findAlias(rawRequest([[spelled, 'x']]))).toBe(spelled)
      }),
    )
  })
})

test('a header means the same however many others were seen before, short or long', () => {
  const findAlias = createAliasCheck(['X-Auth-Request-User'])
  const raw = (name: string) => ({ rawHeaders: [name, 'x'], headers: {} })
  for (let round = 0; round < 2; round++) {
    for (let index = 0; index < 1500; index++) {
      const name = `X-Other-${'o'.repeat(index % 60)}-${index}`
      expect(findAlias(raw(name))).toBeUndefined()
    }
    expect(findAlias(raw('X_Auth_Request_User'))).toBe('X_Auth_Request_User')
    expect(findAlias(raw('X-Auth-Request-User'))).toBeUndefined()
  }
})
