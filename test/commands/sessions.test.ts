import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { sessions } from '../../src/commands/sessions.ts'
import { type Listener, listen } from '../../src/listener/listen.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { useFolder } from '../support/configuration.ts'
import { useMonotonicClock } from '../support/monotonic-clock.ts'
import { ADMIN_TOKEN, ISSUER, startAdmin } from '../support/started-admin.ts'
import { newSession } from '../support/started-sessions.ts'
import { words } from '../support/words.ts'

const TOKENS_LIVE_ON = 'Tokens that apps or programs hold live on until their own end.\n'
const EVIL = 'Eve\x1b[2J\x9b31m\u202e\nID  alice'

const folder = useFolder()
useMonotonicClock()
let started: ReturnType<typeof startAdmin>
let listener: Listener
beforeEach(async () => {
  started = startAdmin()
  listener = await listen(started.app, { host: '127.0.0.1', port: 0 })
})
afterEach(async () => {
  vi.restoreAllMocks()
  await listener.close(0)
})

const run = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  let output = ''
  const note = (text: string | Uint8Array): boolean => {
    output += String(text)
    return true
  }
  vi.spyOn(process.stdout, 'write').mockImplementation(note)
  vi.spyOn(process.stderr, 'write').mockImplementation(note)
  const here = { ADMIN_TOKEN, INTERNAL_PORT: `${listener.port}` }
  try {
    return { code: await sessions({ ...here, ...env }, ...args), output }
  } finally {
    vi.restoreAllMocks()
  }
}
const serve = async (status: number, body: string) => {
  let seen = 0
  const server = createServer((_, answer) => {
    seen++
    answer.writeHead(status, { Location: '/elsewhere' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: () => seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
const idsLeft = async () => (await started.sessions.list(undefined, 99)).map(({ digest }) => digest)
const failed = (message: string) => ({ code: 1, output: `vestibule: ${message}\n` })

describe('vestibule sessions', () => {
  test('lists sessions for people, and for programs', async () => {
    const alice = await started.openFor('alice')
    started.elapse(1000)
    const bob = await started.openFor('bob')
    const { code, output } = await run(['list'])
    expect(code).toBe(0)
    const lines = output.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^ID {41} {2}USER +NAME +CREATED +ENDS +ADDRESS +USER AGENT$/)
    const shown = (id: string, sub: string) =>
      new RegExp(`^${id}  ${sub.padEnd(5)}  Alice  20\\S+Z  20\\S+Z  203\\.0\\.113\\.7$`)
    expect(lines.slice(1)).toEqual(
      [shown(bob, 'bob'), shown(alice, 'alice')].map(
        (each) => expect.stringMatching(each) as string,
      ),
    )
    const ofAlice = await run(['list', '--user', 'alice', `--issuer=${ISSUER}`])
    expect(ofAlice.output).toContain(alice)
    expect(ofAlice.output).not.toContain(bob)
    const json = await run(['list', '--json', '--user=alice'])
    expect(JSON.parse(json.output)).toMatchObject({ sessions: [{ id: alice }], truncated: false })
  })

  test('says that there are none, and that there are more', async () => {
    expect(await run(['list'])).toEqual({ code: 0, output: 'There are no sessions.\n' })
    await started.openFor('alice')
    const [, listed] = await started.answer('GET', '/admin/sessions')
    const more = JSON.stringify({ ...(listed as object), truncated: true })
    await using server = await serve(200, more)
    const { output } = await run(['list', '--url', server.url])
    expect(output).toMatch(/\nThere are more; name a user with --user\.\n$/)
  })

  test('ends one, and says so where there is none', async () => {
    const ids = await started.openAll('alice', 'alice')
    const ended = { code: 0, output: `1 session has ended. ${TOKENS_LIVE_ON}` }
    expect([await run(['end', `--id=${ids[0]}`]), await idsLeft()]).toEqual([ended, [ids[1]]])
    expect(await run(['end', `--id=${ids[0]}`])).toEqual(failed('There is no such session.'))
    for (const id of ['alice', '..', '../sessions?all=true', '%2e%2e'])
      expect((await run(['end', '--id', id])).code).toBe(1)
    expect(await idsLeft()).toEqual([ids[1]])
  })

  test('ends those of a user, of another issuer too, and those of everybody', async () => {
    await started.openAll('alice', 'alice', 'a&all=true', 'bob')
    await started.openFor('alice', 'https://other.example.com')
    const ended = (count: string) => ({ code: 0, output: `${count} ended. ${TOKENS_LIVE_ON}` })
    expect(await run(['end', '--user', 'alice'])).toEqual(ended('2 sessions have'))
    expect(await run(['end', '--user', 'a&all=true'])).toEqual(ended('1 session has'))
    expect(await run(['end', '--user', 'nobody'])).toEqual(ended('0 sessions have'))
    const elsewhere = ['--user=alice', '--issuer=https://other.example.com', '--json']
    expect(JSON.parse((await run(['end', ...elsewhere])).output)).toEqual({ ended: 1 })
    expect(await idsLeft()).toHaveLength(1)
    expect([await run(['end', '--all']), await idsLeft()]).toEqual([ended('1 session has'), []])
  })

  test('shows no character that a terminal obeys, whatever somebody calls themselves (A93)', async () => {
    const metadata = { ...newSession.metadata, displayName: EVIL, userAgent: EVIL }
    await started.open({ metadata })
    const table = await run(['list'])
    expect(table.output).toContain('Eve?[2J?31m??ID  alice')
    expect(table.output.trimEnd().split('\n')).toHaveLength(2)
    for (const { output } of [table, await run(['list', '--json'])]) {
      expect(output).toContain('Eve')
      expect(output).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
    }
    expect(table.output).not.toMatch(/\p{Cf}/u)
    expect(JSON.parse((await run(['list', '--json'])).output)).toMatchObject({
      sessions: [{ display_name: EVIL }],
    })
  })

  const misused = [
    ...words`lst list,alice list,--all list,--id,x list,--issuer,https://id.example.com`,
    ...words`list,--user,alice,--id,x end end,--user end,--id= end,--all,--user,alice`,
    ...words`end,--all,--user= end,--id,x,--user,alice end,--all,--issuer,https://id.example.com`,
    ...words`end,--al end,--all=true end,--all,now end,--all,--url,not\x20a\x20url`,
    ...words`end,--all,--url,ftp://127.0.0.1/ end,--all,--url,http://user:password@127.0.0.1/`,
  ].map((args) => args.split(','))
  test.for([[], ...misused])('%j is a usage error that ends nothing', async (args) => {
    await started.openFor('alice')
    const { code, output } = await run(args)
    expect(code).toBe(2)
    expect(output).toMatch(/^usage: vestibule sessions list /)
    expect(output).not.toContain('password@')
    expect(await idsLeft()).toHaveLength(1)
    expect(started.lines).toEqual([])
  })

  test('takes the token from a file, and the address from --url', async () => {
    const file = await folder.write(`${ADMIN_TOKEN}\n`)
    const env = { ADMIN_TOKEN: '', ADMIN_TOKEN_FILE: file, INTERNAL_PORT: '' }
    expect((await run(['list', `--url=http://127.0.0.1:${listener.port}`], env)).code).toBe(0)
  })

  const expectOneLine = async (env: Readonly<Record<string, string>>, message: string) =>
    expect(await run(['end', '--all'], env)).toEqual(failed(message))

  test('says in one line what keeps it from being done, and never the token', async () => {
    await started.openFor('alice')
    const unused = await steadyPort()
    const missing = folder.pathOf('missing')
    const here = `http://127.0.0.1:${listener.port}`
    const none = 'set ADMIN_TOKEN or ADMIN_TOKEN_FILE to the token that the service has'
    await expectOneLine({ ADMIN_TOKEN: '' }, none)
    await expectOneLine({ ADMIN_TOKEN: 'tökèn–' }, none)
    const unread = `ADMIN_TOKEN_FILE: ${missing} cannot be read (ENOENT): check the path and its permissions`
    await expectOneLine({ ADMIN_TOKEN: '', ADMIN_TOKEN_FILE: missing }, unread)
    const refused = `no answer from http://127.0.0.1:${unused}: ECONNREFUSED`
    await expectOneLine({ INTERNAL_PORT: `${unused}` }, refused)
    for (let guess = 0; guess < 10; guess++)
      await expectOneLine({ ADMIN_TOKEN: 'guess' }, `${here} does not accept this ADMIN_TOKEN`)
    await expectOneLine({}, `${here} was given too many wrong tokens; it listens again in 60 s`)
    expect(await idsLeft()).toHaveLength(1)
  })

  const REPEAT = 'some sessions may not have ended: repeat the request'
  const UNKNOWN = 'the answer is not understood: is that another version?'
  const answers = [
    [503, `{"message":"${REPEAT}"}`, `Redis is away: ${REPEAT}`],
    [503, 'busy', 'Redis is away'],
    [404, 'not found', ' has no /admin: is that the internal listener, with ADMIN_TOKEN set?'],
    [500, '', ' answered 500'],
    [200, '{"done":1}', UNKNOWN],
    [200, 'ok', UNKNOWN],
    [302, '', ': no answer'],
  ] as const
  test.for(answers)('an answer that is %i %j is no success', async ([status, body, message]) => {
    await using server = await serve(status, body)
    const { url, seen } = server
    const { code, output } = await run(['end', '--all', '--url', url])
    expect(code).toBe(1)
    if (status === 302) expect(output).toMatch(/^vestibule: no answer from /)
    else expect(output).toBe(`vestibule: ${message.replace(/^ /, `${url} `)}\n`)
    expect(seen()).toBe(1)
  })
})
