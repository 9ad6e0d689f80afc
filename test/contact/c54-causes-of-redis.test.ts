import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server } from 'node:net'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { listenOn } from '../../stand-ins/network/server.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { base, settingsIn } from '../support/configuration.ts'
import { documentedCauses, quotedOf } from '../support/documented-causes.ts'
import { leastUser } from '../support/least-user.ts'
import { type RedisOptions, startRedis } from '../support/redis.ts'
import { openConfigured, until } from '../support/redis-state.ts'
import { describeWithRedis, SERVER_KEY } from '../support/replicas.ts'
import { SESSION_COOKIE, startLogin } from '../support/sign-in-steps.ts'
import { type Reply, speakWell, startSpokenRedis } from '../support/spoken-redis.ts'
import { startVestibule } from '../support/vestibule.ts'

const SECRET = 'the-redis-password-nobody-logs'

interface Place extends AsyncDisposable {
  readonly port: number
  readonly clientFiles?: { readonly ca: string }
}
interface Case {
  readonly start: () => Promise<Place>
  readonly settings?: string
  /** Whether the authority of the server is trusted. */
  readonly isTrusted?: true
  readonly host?: string
  /** Setting that names the address; by default, REDIS_ADDRESS. */
  readonly addressIn?: string
}

/** A real server, after these commands. */
const real = (options: RedisOptions = {}, ...commands: readonly string[]) =>
  async function start(): Promise<Place> {
    const redis = await startRedis(options)
    for (const command of commands) await redis.cli(...command.split(' '))
    return redis
  }
const withTls = (
  names?: readonly string[],
  validForMs?: number,
  requireClientCertificate = false,
) =>
  async function start(): Promise<Place> {
    const authority = await createAuthority()
    const certificate = names && (await authority.issue([...names], validForMs))
    return startRedis({
      tls: { authority, requireClientCertificate, ...(certificate && { certificate }) },
    })
  }
/** A server that answers every command but those of the connection with this error. */
const answering = (error: string, first = /^(?:HELLO|SUBSCRIBE|UNSUBSCRIBE)$/i) => {
  const reply: Reply = (command, connection) =>
    first.test(command[0] ?? '') ? speakWell(command, connection) : `-${error}\r\n`
  return async (): Promise<Place> => startSpokenRedis(reply)
}
const listening = (create: () => Server) =>
  async function start(): Promise<Place> {
    const server = create()
    const port = await listenOn(server)
    return { port, [Symbol.asyncDispose]: async () => void server.close() }
  }
const nothing = async (): Promise<Place> => ({
  port: await steadyPort(),
  [Symbol.asyncDispose]: async () => undefined,
})

const TLS = 'REDIS_ENABLE_TLS=true'
const UNVERIFIED = `${TLS} REDIS_TLS_SKIP_VERIFY=true`
const AS_APP = `REDIS_USERNAME=app REDIS_PASSWORD=${SECRET}`
const NEVER = /^never$/

/** How each documented symptom is brought about. */
const cases: Readonly<Record<string, Case>> = {
  'Redis does not run': { start: nothing },
  'no such host': { start: nothing, host: 'no-such-host.invalid' },
  'the connection is closed at once': {
    start: listening(() => createServer((each) => each.destroy())),
  },
  'the server is silent': {
    start: listening(() => createServer((each) => void each.on('error', () => undefined).resume())),
    settings: 'REDIS_CONNECT_TIMEOUT=1',
  },
  'another service is at the port': { start: listening(() => createHttpServer()) },
  'TLS to a port without it': { start: real(), settings: `${TLS} REDIS_CONNECT_TIMEOUT=1` },
  'no TLS to a port with it': { start: withTls(), settings: 'REDIS_CONNECT_TIMEOUT=1' },
  'an unknown authority': { start: withTls(), settings: TLS },
  'an expired certificate': {
    start: withTls(['127.0.0.1'], -86_400_000),
    settings: TLS,
    isTrusted: true,
  },
  'a certificate for another name': {
    start: withTls(['redis.example.com']),
    settings: TLS,
    isTrusted: true,
  },
  'a client certificate is missing': {
    start: withTls(undefined, undefined, true),
    settings: UNVERIFIED,
  },
  'a wrong password': { start: real({ password: 'right' }), settings: `REDIS_PASSWORD=${SECRET}` },
  'no password, to a server without HELLO': {
    start: real({ password: 'right', lines: ['rename-command HELLO ""'] }),
  },
  'no right to SELECT': {
    start: real({ users: [leastUser('app', SECRET)] }),
    settings: `${AS_APP} REDIS_DB=3`,
  },
  'no Sentinel runs': {
    start: nothing,
    addressIn: 'REDIS_SENTINEL_ADDRESSES',
    settings: 'REDIS_SENTINEL_MASTER=main',
  },
  'no such database': { start: real(), settings: 'REDIS_DB=99' },
  'protected mode': {
    start: answering('DENIED Redis is running in protected mode because', NEVER),
  },
  'too many clients': { start: real({}, 'CONFIG SET maxclients 1') },
  'another error': { start: answering(`ERR odd words, ${SECRET}`, NEVER) },
  'a right is missing': {
    start: real({ users: [`${leastUser('app', SECRET)} -eval`] }),
    settings: AS_APP,
  },
  'a command is missing': { start: real({ lines: ['rename-command SCAN ""'] }) },
  'Redis is full': { start: real({}, 'CONFIG SET maxmemory 1') },
  'too few replicas': { start: real({}, 'CONFIG SET min-replicas-to-write 1') },
  'Redis loads its data': { start: answering('LOADING Redis is loading the dataset in memory') },
  'Redis cannot save': { start: answering('MISCONF Redis is configured to save RDB snapshots') },
  'a cluster behind a plain address': { start: answering('MOVED 3999 10.0.0.1:6381') },
  'a replica without its primary': { start: answering('MASTERDOWN Link with MASTER is down') },
  'a script runs for too long': { start: answering('BUSY Redis is busy running a script') },
}

const documented = documentedCauses(/^redis_/)

describeWithRedis('C54 the log names why Redis cannot be used', () => {
  test('docs/operations.md quotes the line of each cause', () => {
    expect(documented.map(({ symptom }) => symptom).toSorted()).toEqual(
      Object.keys(cases).toSorted(),
    )
  })

  test.for(documented)('$symptom', async ({ symptom, event, code, text }) => {
    const { start, settings = '', host = '127.0.0.1', isTrusted, ...rest } = cases[symptom] as Case
    await using place = await start()
    const address = `${host}:${place.port}`
    const environment: Environment = {
      ...base,
      SESSION_ENCRYPTION_KEY: SERVER_KEY,
      REDIS_ENABLED: 'true',
      [rest.addressIn ?? 'REDIS_ADDRESS']: address,
      ...(settings && settingsIn(settings)),
      ...(isTrusted && { REDIS_CA_FILE: place.clientFiles?.ca }),
    }
    const lines: Record<string, unknown>[] = []
    const log = pino({ base: null }, { write: (line) => lines.push(JSON.parse(line) as never) })
    const state = openConfigured(loadConfig(environment), log)
    try {
      const ofEvent = () => lines.filter((line) => line['event'] === event)
      await until('the line', () => ofEvent().length > 0)
      expect(ofEvent().map((line) => quotedOf(line, address))).toContain(`${event} ${code} ${text}`)
      if (event === 'redis_disconnected')
        expect(ofEvent()[0]).toMatchObject({ host, port: place.port })
      expect(JSON.stringify(lines)).not.toContain(SECRET)
    } finally {
      await state.close()
    }
  })

  test('the line of a refused request names the server and the cause', async () => {
    const port = await steadyPort()
    await using vestibule = await startVestibule({
      SESSION_ENCRYPTION_KEY: SERVER_KEY,
      REDIS_ENABLED: 'true',
      REDIS_ADDRESS: `127.0.0.1:${port}`,
    })
    await until('a start', async () => (await vestibule.internal('/startupz')).status === 200)
    const secret = 'A'.repeat(43)
    const { status } = await vestibule.check(
      {},
      { Cookie: `${SESSION_COOKIE}=v1.${secret}.${secret}` },
    )
    const refused = vestibule.log().findLast(({ event }) => event === 'refused')
    expect([status, refused]).toMatchObject([
      503,
      {
        reason: 'Redis: connection',
        server: `127.0.0.1:${port}`,
        explanation: expect.stringContaining('connection refused') as string,
      },
    ])
    const login = await startLogin(vestibule.visitor())
    expect([
      login.status,
      vestibule.log().findLast(({ event }) => event === 'refused'),
    ]).toMatchObject([
      503,
      { server: `127.0.0.1:${port}`, explanation: expect.stringContaining('refused') as string },
    ])
  })
})
