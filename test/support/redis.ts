import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createClient } from 'redis'
import type { Authority, Certificate } from '../../stand-ins/certificates.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import {
  findRedisHome,
  type LaunchedRedis,
  launchRedis,
  type RedisHome,
  redisMissing,
} from './redis-home.ts'

export interface RedisOptions {
  readonly port?: number
  /** Password of the default user. */
  readonly password?: string | undefined
  /** ACL lines, such as `user app on >secret ~vestibule:* &vestibule:* +@all`. */
  readonly users?: readonly string[] | undefined
  readonly tls?: RedisTlsOptions | undefined
  /** Further lines of the configuration file, for directives that take no argument form. */
  readonly lines?: readonly string[] | undefined
  /** Further arguments of `redis-server`, such as `--maxmemory 2mb`, which override the defaults. */
  readonly args?: readonly string[] | undefined
}

export interface RedisTlsOptions {
  readonly authority: Authority
  readonly requireClientCertificate?: boolean
  /** Certificate of the server; by default, a valid one for localhost and 127.0.0.1. */
  readonly certificate?: Certificate
}

export interface RestartOptions extends Omit<RedisOptions, 'port'> {
  /** Keeps the data of a server that runs, or what `SAVE` wrote before it was killed. */
  readonly keepData?: boolean
}

export type RunningRedis = Awaited<ReturnType<typeof startRedis>>

const HOST = '127.0.0.1'
/** Loading its data may take a busy machine long. */
const ANSWERS_WITHIN_MS = 60_000
const ADMIN = { username: 'test-admin', password: randomBytes(16).toString('hex') }

/** Starts an empty Redis server at a loopback port. */
export async function startRedis(options: RedisOptions = {}, preferredHome?: RedisHome) {
  const home = await findRedisHome(preferredHome)
  if (!home) throw new Error(await redisMissing())
  const port = options.port ?? (await steadyPort())
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-redis-'))
  const socket = join(folder, 'redis.sock')
  let current: RedisOptions = options
  let launched: LaunchedRedis | undefined
  let admin: Admin | undefined

  const start = async (): Promise<void> => {
    await writeFiles(folder, current)
    launched = await launchRedis[home](argumentsOf(folder, port, current), folder)
    admin = await untilAnswered(launched, socket)
  }
  const kill = async (): Promise<void> => {
    await launched?.kill()
    launched = undefined
    if (admin?.isOpen) admin.destroy()
    admin = undefined
  }
  const running = (): LaunchedRedis => {
    if (!launched) throw new Error('this Redis does not run')
    return launched
  }
  const cli = async (...args: string[]) => {
    running()
    if (!admin?.isReady) admin = await connectAdmin(socket)
    return replyText(await admin.sendCommand<Reply>(args))
  }
  const stop = async (): Promise<void> => {
    await kill()
    await rm(folder, { recursive: true, force: true })
  }

  await start().catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return {
    host: HOST,
    port,
    /** URL with the password of the default user, if it has one. */
    get url() {
      const { password, tls } = current
      const credentials = password === undefined ? '' : `:${encodeURIComponent(password)}@`
      return `${tls ? 'rediss' : 'redis'}://${credentials}${HOST}:${port}`
    },
    /** Process id of the running server; `undefined` in a container. */
    get pid() {
      return launched?.pid
    },
    /** PEM files for a client of a server with TLS; a certificate for `vestibule` among them. */
    clientFiles: filesIn(folder, 'client'),
    /**
     * Runs a command as an administrator, over a connection that counts among `connected_clients`. Returns a list as one
     * item a line and null as an empty text. Throws error replies.
     */
    cli,
    /** Kills the server as `kill -9` does; `restart` starts it again. */
    kill,
    /** Freezes the server: its connections and its port stay open, but it answers nothing. */
    pause: async () => running().pause(),
    resume: async () => running().resume(),
    /** Kills the server if it runs and starts it at the same port, empty and with its options by default. */
    restart: async ({ keepData = false, ...changes }: RestartOptions = {}) => {
      if (keepData && launched) await cli('SAVE')
      await kill()
      if (!keepData) await rm(join(folder, 'dump.rdb'), { force: true })
      current = { ...current, ...changes }
      await start()
    },
    /** Kills the server and removes its folder, as the end of the scope of `await using` does. */
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

const filesIn = (folder: string, side: 'server' | 'client') => ({
  ca: join(folder, 'ca.pem'),
  certificate: join(folder, `${side}.pem`),
  key: join(folder, `${side}-key.pem`),
})

/** Writes the users to a file, because the list of processes shows arguments. */
async function writeFiles(folder: string, options: RedisOptions) {
  const { password, users = [], lines: further = [], tls } = options
  const lines = [
    ...(password === undefined ? [] : [`requirepass "${password}"`]),
    ...users,
    ...further,
    `user ${ADMIN.username} on >${ADMIN.password} ~* &* +@all`,
  ]
  await writeFile(join(folder, 'redis.conf'), `${lines.join('\n')}\n`)
  if (!tls) return
  const { authority } = tls
  const server = tls.certificate ?? (await authority.issue(['localhost', HOST]))
  const client = await authority.issue(['vestibule'])
  await writeFile(join(folder, 'ca.pem'), authority.certificate)
  for (const [side, issued] of [['server', server] as const, ['client', client] as const]) {
    const files = filesIn(folder, side)
    await writeFile(files.certificate, issued.certificate)
    await writeFile(files.key, issued.privateKey)
  }
}

function argumentsOf(folder: string, port: number, { tls, args = [] }: RedisOptions): string[] {
  const settings: readonly (readonly [name: string, value: string])[] = [
    ...(tls ? tlsSettings(folder, port, tls) : [['port', `${port}`] as const]),
    ['bind', HOST],
    ['dir', folder],
    ['unixsocket', join(folder, 'redis.sock')],
    ['save', ''],
    ['appendonly', 'no'],
    ['maxmemory-policy', 'noeviction'],
    ['enable-debug-command', 'yes'],
  ]
  return [
    join(folder, 'redis.conf'),
    ...settings.flatMap(([name, value]) => [`--${name}`, value]),
    ...args,
  ]
}

function tlsSettings(
  folder: string,
  port: number,
  { requireClientCertificate = false }: RedisTlsOptions,
) {
  const { ca, certificate, key } = filesIn(folder, 'server')
  return [
    ['port', '0'],
    ['tls-port', `${port}`],
    ['tls-ca-cert-file', ca],
    ['tls-cert-file', certificate],
    ['tls-key-file', key],
    ['tls-auth-clients', requireClientCertificate ? 'yes' : 'no'],
  ] as const
}

type Admin = Awaited<ReturnType<typeof connectAdmin>>

/** Connects over the Unix socket, which works with and without TLS. */
async function connectAdmin(path: string) {
  const client = createClient({
    ...ADMIN,
    RESP: 2,
    socket: { path, reconnectStrategy: false },
    disableClientInfo: true,
    maintNotifications: 'disabled',
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

async function untilAnswered(launched: LaunchedRedis, socket: string): Promise<Admin> {
  const endMs = performance.now() + ANSWERS_WITHIN_MS
  while (performance.now() < endMs && !launched.hasExited()) {
    try {
      const admin = await connectAdmin(socket)
      await admin.ping()
      return admin
    } catch {
      await wait(10)
    }
  }
  const output = await launched.output()
  await launched.kill()
  throw new Error(`Redis did not start:\n${output}`)
}

export type Reply = string | number | null | readonly Reply[]

/** Reads a number out of a section of INFO; what is not there is 0. */
export async function infoOf(redis: RunningRedis, section: string, name: string): Promise<number> {
  return Number(new RegExp(`${name}(\\d+)`).exec(await redis.cli('INFO', section))?.[1] ?? 0)
}

/** Returns a list as one item a line and null as an empty text. */
export const replyText = (reply: Reply): string =>
  typeof reply === 'object' ? (reply ?? []).map(replyText).join('\n') : `${reply}`
