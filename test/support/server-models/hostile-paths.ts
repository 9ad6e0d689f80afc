import fc from 'fast-check'
import { words } from '../words.ts'
import type { PolicyRule } from './policy.ts'

const NAMES = words`admin Admin public Docs open x tool.php café cafe\u0301 m² 1º-x ａdmin`

const segment = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...NAMES) },
  { weight: 1, arbitrary: fc.constant('*') },
)
const pattern = fc
  .record({
    head: fc.array(segment, { maxLength: 2 }),
    tail: fc.constantFrom('', '/*', '/**', '/**', '/**/open'),
  })
  .map(({ head, tail }) => head.map((each) => `/${each}`).join('') + tail || '/')
const access = fc.constantFrom('public', 'signed-in', 'admins', 'deny', 'admins', 'deny')
const last = fc.constantFrom<PolicyRule>(
  { pattern: '/**', access: 'signed-in' },
  { pattern: '/**', access: 'public' },
  { pattern: '/**', access: 'deny' },
)

/** One to three rules for paths, and one for all others. */
export const policies: fc.Arbitrary<readonly PolicyRule[]> = fc
  .tuple(
    fc.array(fc.record({ pattern, access }) as fc.Arbitrary<PolicyRule>, {
      minLength: 1,
      maxLength: 3,
    }),
    last,
  )
  .map(([rules, rest]) => [...rules, rest])

function bytes(text: string): string {
  return [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
}
function again(escapes: string): string {
  return escapes.replaceAll('%', '%25')
}
function utf16(text: string): string {
  return [...text].map((each) => `%u${each.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
}
function fullWidth(text: string): string {
  return text.replace(/[!-~]/g, (each) => String.fromCharCode(each.charCodeAt(0) + 0xfee0))
}

/** Bytes that are no UTF-8, and in Latin-1 a letter or what is compatible with one. */
const LATIN1: Readonly<Record<string, string>> = {
  a: '%aa',
  o: '%ba',
  é: '%e9',
  º: '%ba',
  '²': '%b2',
}

/** How a letter may be disguised; what is beyond ASCII is always written in escapes. */
const disguises: readonly ((text: string) => string)[] = [
  bytes,
  (text) => again(bytes(text)),
  (text) => again(again(bytes(text))),
  utf16,
  (text) => LATIN1[text] ?? bytes(text),
  (text) => bytes(fullWidth(text)),
  (text) => again(bytes(fullWidth(text))),
  (text) => text.toUpperCase(),
]
function spelled(text: string) {
  return fc
    .array(fc.tuple(fc.nat(), fc.constantFrom(...disguises)), { maxLength: 2 })
    .map((changes) => {
      const letters = [...text].map((letter) => (letter > '~' ? bytes(letter) : letter))
      for (const [place, disguise] of changes) {
        const at = place % letters.length
        letters[at] = disguise([...text][at] ?? '')
      }
      return letters.map((letter) => letter.replace(/[^!-~]/g, bytes)).join('')
    })
}

const SEPARATORS =
  '// %2f %2F %5c \\ %252f %25252F %255c ;/ ;v=1/ %3bx/ %253bx/ /;/ /;x/ /./ /%2e/ %ef%bc%8f %25ef%25bc%258f %ef%bc%bc %u002f %u005c %09/ %20/ ./ %00/ %2520/ /%2f /.%09/'.split(
    ' ',
  )
const ENDS =
  '/ // . .. %20 %2e %00 %00.png %3f %3fx=1 %23 %253f %2523 %2500 ;x ;/ %3b %09 %0a %80 %c0%af %e0%80%af %ed%a0%80 %ff /..;x /..;/..;x /..;/..;/..;x %zz % /%2e%2e /..%5c /..%20'.split(
    ' ',
  )
const DETOURS =
  '/x/..%2f /x/..%5c /x/..\\ /x/..;/ /x/..;v/ /x/%2e%2e/ /x/.%2e/ /x/%252e%252e/ /x/..%252f /x/%ef%bc%8e%ef%bc%8e/ /x/%e2%80%a5/ /x/..%20/ /x/..%00/ /x/.%09./ /%2fx/ /%5cx/ /;x/ /.;/ /.%2f'.split(
    ' ',
  )
const INSERTED = '%80 %c0%ae %ff %00 %09 ; %3b . %20 %ad %aa %25 % %2fx %2Fx'.split(' ')

function often<T>(usual: T, weight: number, rare: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: rare })
}

/** A path that a pattern names, disguised; some lie beside it. */
export function pathOf(source: string): fc.Arbitrary<string> {
  const names = source
    .split('/')
    .slice(1)
    .map((name) => {
      if (name === '**') return fc.array(fc.constantFrom(...NAMES), { maxLength: 2 })
      return name === '*' ? fc.constantFrom(...NAMES).map((each) => [each]) : fc.constant([name])
    })
  return fc
    .tuple(...names)
    .map((each) => each.flat().filter(Boolean))
    .chain((segments) =>
      fc
        .tuple(
          often('/', 3, fc.constantFrom(...DETOURS)),
          often('', 2, fc.constantFrom(...ENDS)),
          ...segments.map((name) =>
            fc.tuple(
              spelled(name),
              often('', 8, fc.constantFrom(...INSERTED)),
              often('/', 3, fc.constantFrom(...SEPARATORS, ...DETOURS)),
            ),
          ),
        )
        .map(([start, end, ...parts]) => {
          const middle = parts.map(([name, inserted, separator]) => name + inserted + separator)
          return start + middle.join('').replace(/\/$/, '') + end
        }),
    )
}

/** Rules and a request target that means something to them. */
export const hostileRequests: fc.Arbitrary<readonly [readonly PolicyRule[], string]> =
  policies.chain((rules) =>
    fc
      .constantFrom(...rules)
      .chain(({ pattern: source }) => pathOf(source))
      .map((path) => [rules, path] as const),
  )
