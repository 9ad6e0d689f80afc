import { words } from './words.ts'

/** One return address that leads elsewhere somewhere, in some browser, framework or version. */
export interface OpenRedirect {
  readonly idea: string
  /** As the application reads it, after its one decoding. */
  readonly rd: string
}

const EVIL = 'evil.example'
const HOME = 'app.example.com'

/** Several hundred return addresses, made by combining what has led elsewhere before (threats A40-A45). */
export function* openRedirects(): Generator<OpenRedirect> {
  const seen = new Set<string>()
  for (const [idea, make] of Object.entries(ideas)) {
    for (const rd of make()) {
      if (seen.has(rd)) continue
      seen.add(rd)
      yield { idea, rd }
    }
  }
}

const combine = (...parts: readonly (readonly string[])[]): string[] =>
  parts.reduce<string[]>(
    (made, part) => made.flatMap((start) => part.map((end) => start + end)),
    [''],
  )

const BLANKS = [' ', '\t', '\n', '\r', '\r\n', '\v', '\f', '\0', '\x1b', '\x7f']
const WIDE_BLANKS = Array.from(
  '\x85\xa0\xad\u1680\u180e\u2000\u200b\u200d\u200e\u2028\u2029\u202e\u202f',
)
const INVISIBLE = [...WIDE_BLANKS, ...Array.from('\u205f\u2060\u3000\ufeff\ufff9\uffff')]
const SLASHES = words`// /// //// /\\ \\/ \\\\ \\ /\\/ \\/\\ //\\ \\\\\\`
const DOTS = words`. .. ... %2e %2e%2e .%2e %2E.`
const TAILS = words`${EVIL} ${EVIL}/ ${EVIL}/%2e%2e ${EVIL}%2f%2e%2e ${EVIL}?x ${EVIL}#${HOME}`
const SCHEMES = words`https: http: HTTPS: hTtPs: ftp: ws: wss: file: https :`
const RUNNING = words`javascript: JavaScript: data: vbscript: blob: view-source: about:`
const HOSTILE_HOSTS = words`
  1.2.3.4 0x7f.1 0x7f000001 2130706433 017700000001 127.1 [::1] [::ffff:1.2.3.4] [::1%25eth0]
  evil。example evil．example evil｡example ⓔvil.example ｅvil.example evil℀example
  xn--80ak6aa92e.com app。example。com ａpp.example.com аpp.example.com
  app.example.com. app.example.com.. .app.example.com app..example.com app.example.com\u200d
  app.\u00adexample.com app.example\ufe0f.com app%2eexample.com app.example.com%00
  app.example.com%2f app.exampl%65.com
`

const ideas: Readonly<Record<string, () => readonly string[]>> = {
  'slashes that a browser takes for two': () => combine(SLASHES, TAILS),
  'blanks that a browser drops, before the address': () =>
    combine(BLANKS, ['//', '/\\', 'https://', 'https:'], [EVIL]),
  'blanks that a browser drops, inside': () =>
    combine(['/', '\\', 'https:/', 'ht'], BLANKS, ['/', 'tps://'], [EVIL]),
  'code points that nobody sees': () => [
    ...combine(INVISIBLE, [`//${EVIL}`, `https://${EVIL}`]),
    ...combine(['/', 'https://'], INVISIBLE, [`/${EVIL}`, EVIL]),
    ...combine([`https://${HOME}`], INVISIBLE, [`.${EVIL}`, `@${EVIL}`]),
  ],
  'escapes, decoded once too often': () => [
    ...combine(['/%2f', '/%5c', '%2f%2f', '%2f/', '/%09/', '/%0a/', '/%0d%0a/', '%09//'], TAILS),
    ...combine(['/%252f', '%252f%252f', '/%255c', '/%2509/', '/%25%32%66'], TAILS),
    ...combine(['/%2f%5c%2f%67%6f', '/%e2%80%a8/', '/%c0%af', '/%ff/', '/%/', '/%2'], TAILS),
  ],
  'dot segments that leave two slashes behind': () => [
    ...combine(['/'], DOTS, ['//', '/\\', '\\/', '\\\\', '/%09/', '/\t/'], [EVIL]),
    ...combine(['/a/', '/a/b/'], DOTS, ['/', '/../'], ['', '..//', '/'], [EVIL]),
    ...combine(['/;', '/a;b/..;/', '/a/../'], ['/', '//', '/\\'], [EVIL]),
    ...combine([`https://${HOME}/`], ['/', '../', './', '..//', './/', '%2e%2e//'], [EVIL]),
  ],
  'schemes without slashes, or with the wrong ones': () =>
    combine(SCHEMES, ['', '/', '//', '///', '\\\\', '/\\', '\\/', '////'], [EVIL]),
  'schemes that run or hold something': () =>
    combine(['', ' ', '\t', '\x19', '/', `//${HOME}/`], RUNNING, [
      'alert(1)',
      `//${HOME}/%0aalert(1)`,
      `https://${HOME}/`,
      'text/html,<script>',
    ]),
  'schemes with something inside': () =>
    combine(['java', 'Jav', 'da'], ['\t', '\n', '\0', '%09', '%0d'], ['script:alert(1)', 'ta:,x']),
  'user info before the host': () =>
    combine(
      ['https://', 'http://', '//', '/\\', 'https:'],
      [HOME, `${HOME}:443`, `${HOME}%2f`, `${HOME}%00`, `${HOME};`, `a:b`, '', ':', `@${HOME}`],
      ['@', '@@', '%40', '\\@', '@/'],
      [EVIL],
    ),
  'names that begin or end like ours': () =>
    combine(
      ['https://', 'https://www.', '//'],
      words`
        ${HOME}.${EVIL} ${HOME}${EVIL} evil-${HOME} evil${HOME} evil.${HOME} appexample.com
        example.com app.example.co app.example.comm ${HOME}-${EVIL} com
      `,
      ['', '/', '/..', '?x', '#x'],
    ),
  'the end of the host moved': () =>
    combine([`https://${EVIL}`], words`\\. #. #@ ?. ?@ /. /@ ;. &. %23. %5c. %2f. %00. \t.`, [
      HOME,
      `${HOME}/`,
    ]),
  'hosts that are numbers, or other letters': () => [
    ...combine(['https://', '//', '/\\'], HOSTILE_HOSTS),
    ...combine(['https://'], HOSTILE_HOSTS, [`@${HOME}`, `.${HOME}`, ':443/']),
  ],
  ports: () =>
    combine(
      [`https://${HOME}:`, `http://${HOME}:`],
      ['', ' 443', ...words`0 80 443 8443 65536 99999 -1 443abc %34%34%33 443@${EVIL}`],
      ['', '/'],
    ),
  'our own host over http': () => combine(['http://', 'HTTP://', 'ws://'], [HOME], ['', '/', '/x']),
  'other forms of a path': () => [
    ...combine(['', '?', '#', '.', '..', './', '../', 'a', '*', '@', '~'], [EVIL, `/${EVIL}`]),
    ...combine(['<>', '〱', '〵', 'ゝ', 'ー', '／', '⁄', '∕', '⧸', '//'], ['', '/'], [EVIL]),
    ...combine(['/〱', '/／', '/⁄', '/∕', '/＼', '/﹨'], [EVIL]),
    ...combine(['/'], ['@', ':', ';@', '.', ',', '&', '='], [EVIL, `/${EVIL}`]),
  ],
  'line breaks for a second header': () =>
    combine(
      ['/', `https://${HOME}/`, '/x?y='],
      ['\r\n', '\n', '\r', '%0d%0a', '\u560d\u560a'],
      [`Location: https://${EVIL}`, 'Set-Cookie: a=b'],
    ),
}
