import fc from 'fast-check'

/** Path of a forwarded request with its readings, known by how it was made. */
export interface AskedPath {
  readonly path: string
  readonly readings: readonly string[] | undefined
}

/** Paths of each rule of the world, and beside them. */
const PLAIN =
  '/ /public /public/a /public/a/b /publics /status /status/x /Admin /Admin/users /admin/x /api/orders /api /reports/q /deploy/1 /debug /debug/pprof /cors/x /assets/app.js /file.txt /a/b/c /oauth2x /x/oauth2 /deep/public/a'.split(
    ' ',
  )
const OURS = '/oauth2 /oauth2/ /oauth2/login /OAuth2/callback'.split(' ')

type Disguise = (path: string) => AskedPath

function read(path: string, ...readings: readonly string[]): AskedPath {
  return { path, readings: readings.length === 0 ? [path] : readings }
}

/** Escapes the last letter of a path, with as many rounds of `%25`. */
function escaped(path: string, rounds: number): AskedPath {
  const at = path.search(/[a-z](?!.*[a-z])/i)
  if (at === -1) return read(path)
  const code = path.charCodeAt(at).toString(16)
  const spelled = (signs: number) =>
    `${path.slice(0, at)}%${'25'.repeat(signs)}${code}${path.slice(at + 1)}`
  const all = Array.from({ length: rounds + 1 }, (_, signs) => spelled(signs))
  return read(spelled(rounds), ...all, path)
}

/** Puts a separator in place of the last slash but the first one. */
function separated(path: string, sent: string, ...seen: readonly string[]): AskedPath {
  const at = path.lastIndexOf('/')
  if (at === 0) return read(path)
  const put = (text: string) => path.slice(0, at) + text + path.slice(at + 1)
  return read(put(sent), ...seen.map(put))
}

function ended(path: string, sent: string, seen: string): AskedPath {
  return path.endsWith('/') ? read(path) : read(path + sent, path + seen, path)
}

function below(path: string, sent: string, ...seen: readonly string[]): AskedPath {
  const put = (name: string) => `${path.replace(/\/$/, '')}/${name}`
  return read(put(sent), ...seen.map(put))
}

/** Ways in which a path is written, each with all it may be read as. */
const DISGUISES: readonly Disguise[] = [
  (path) => read(path.toUpperCase()),
  (path) => read(path.toLowerCase()),
  (path) => read(path.endsWith('/') ? path : `${path}/`),
  (path) => escaped(path, 0),
  (path) => escaped(path, 1),
  (path) => separated(path, '//', '//', '/'),
  (path) => separated(path, '%2F', '%2F', '/'),
  (path) => separated(path, '%5C', '\\', '/'),
  (path) => separated(path, '\\', '\\', '/'),
  (path) => ended(path, ';v=1', ';v=1'),
  (path) => (path === '/' ? read(path) : read(`${path}%3Bv`, `${path}%3Bv`, `${path};v`, path)),
  (path) => ended(path, '%00.png', '\0.png'),
  (path) => ended(path, '.', '.'),
  (path) => ended(path, '%20', ' '),
  (path) => below(path, 'a%20b', 'a b'),
  (path) => below(path, 'caf%C3%A9', 'café'),
  (path) => below(path, 'm%C2%B2', 'm²', 'm2'),
  (path) => below(path, '100%', '100%'),
]

const HIDDEN: readonly Disguise[] = [
  '/..%2F',
  '/..;/',
  '/%2e%2e/',
  '/.%20/',
  '/..\\',
  '/%252e%252e/',
  '/..%00/',
].map((dots) => (path) => ({ path: `/public${dots}${path.slice(1)}`, readings: undefined }))

const LETTERS: readonly AskedPath[] = [
  read('/caf%C3%A9/x', '/café/x'),
  read('/CAF%C3%89/x', '/CAFÉ/x'),
  read('/cafe%CC%81/x', '/cafe\u0301/x', '/café/x'),
  read('/caf\xe9/x', '/caf%E9/x', '/café/x'),
  read('/%EF%BD%81dmin/x', '/\uff41dmin/x', '/admin/x'),
  read(`/public/${'a'.repeat(3100)}`),
  read(`/a/${'b/'.repeat(1500)}`),
]

/** Paths biased towards those that are written in odd ways. */
export const askedPaths: fc.Arbitrary<AskedPath> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...PLAIN).map((path) => read(path)) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(...PLAIN), fc.constantFrom(...DISGUISES))
      .map(([path, disguise]) => disguise(path)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...PLAIN), fc.constantFrom(...HIDDEN))
      .map(([path, disguise]) => disguise(path)),
  },
  { weight: 1, arbitrary: fc.constantFrom(...LETTERS) },
  { weight: 1, arbitrary: fc.constantFrom(...OURS).map((path) => read(path)) },
)

/** Queries, which no rule looks at. */
export const askedQueries: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '?',
      '?a=1&b=%2F',
      '?rd=https://evil.example',
      '?x=/../admin',
      '?q=a\\b',
      '?q="<>',
      '?\xfc=\xe9',
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(2000, 3000, 9000, 16_300, 17_000)
      .map((length) => `?${'q'.repeat(length)}`),
  },
)
