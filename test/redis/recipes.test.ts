import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, expect, test } from 'vitest'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { until } from '../support/redis-state.ts'
import { startRelyingParty } from '../support/relying-party.ts'

const page = readFileSync('docs/redis.md', 'utf8')
const section = page.split('\n## Looking into Redis\n')[1]?.split('\n## ')[0] ?? ''
const blocks = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block)
const folder = await mkdtemp(join(tmpdir(), 'vestibule-recipes-'))
const PASSWORD = 'a password of this test'

const single = await startRedis({ password: PASSWORD })
const party = await startRelyingParty({
  REDIS_ENABLED: 'true',
  REDIS_ADDRESS: `127.0.0.1:${single.port}`,
  REDIS_PASSWORD: PASSWORD,
  SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
})
await party.attempt('alice')
const node = await startRedis({ args: ['--cluster-enabled', 'yes'] })
await node.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
await until('a cluster that serves', async () =>
  (await node.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'),
)
const sealed = await startRedis({ tls: { authority: await createAuthority() } })
const { ca, certificate, key } = sealed.clientFiles
for (const [from, to] of [
  [ca, 'ca.crt'],
  [certificate, 'client.crt'],
  [key, 'client.key'],
])
  await copyFile(from ?? '', join(folder, to ?? ''))
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  for (const redis of [single, node, sealed]) await redis.stop()
  await rm(folder, { recursive: true })
})

const serverOf = (block: string): RunningRedis =>
  /--tls/.test(block) ? sealed : /[cC]luster|-c GET|CLUSTER/.test(block) ? node : single

/** Runs a block of the page as a shell does, but at the port of the server, and for as long as it takes; returns what each line printed. */
async function run(block: string): Promise<readonly string[]> {
  const { port } = serverOf(block)
  const lines = block
    .trimEnd()
    .replaceAll(/\bredis-cli (?!--cluster call)/g, `redis-cli -h 127.0.0.1 -p ${port} `)
    .replaceAll('127.0.0.1:6379', `127.0.0.1:${port}`)
    .replaceAll(/timeout \d+ redis-cli(.*) -i 1/g, 'timeout 5 redis-cli$1 -i 0.1')
    .replaceAll(/timeout 2 (.*)head -n 20/g, 'timeout 60 $1head -n 1')
    .replaceAll(/"\$\(cat \/run\/secrets\/redis-password\)"/g, `'${PASSWORD}'`)
    .split('\n')
  const script = lines.map((line) => `${line}\nprintf '%s\\n' '--- end of a line'\n`).join('')
  const environment = serverOf(block) === single ? { REDISCLI_AUTH: PASSWORD } : {}
  // Ends MONITOR, whose reader has left after one line.
  const traffic = setInterval(() => void single.cli('PING'), 50)
  const shell = spawn('sh', ['-eu', '-c', script], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, errors] = await Promise.all([text(shell.stdout), text(shell.stderr)])
  clearInterval(traffic)
  expect(errors, block).toBe('')
  expect(out, block).not.toMatch(/^\(?error\)?|\b(ERR|NOAUTH|WRONGPASS|NOPERM|MOVED|CLUSTERDOWN) /m)
  return out.split('--- end of a line\n').slice(0, -1)
}

/** Patterns for the output of recipes, by words that only their line has. */
const PRINTS: readonly (readonly [string, RegExp])[] = [
  ['redis-cli PING', /^PONG$/m],
  ['ACL WHOAMI', /^default$/m],
  ['INFO memory', /maxmemory_policy:noeviction/],
  ['INFO stats', /rejected_connections:0\s[^]*evicted_keys:0/],
  ['INFO keyspace', /db0:keys=\d+,expires=\d+/],
  ['redis-cli DBSIZE', /^[1-9]\d*$/m],
  ["--pattern 'vestibule:*' ", /^vestibule:\{[\w-]{43}\}:s$/m],
  ['| wc -l', /^1\b/m],
  ['TTL "$key"', /^[1-9]\d{2,}$/m],
  ['MEMORY USAGE', /^[1-9]\d{2,}$/m],
  ['--bigkeys', /Biggest string found/],
  ['--memkeys', /Biggest \w+ found.*bytes/],
  ['SLOWLOG GET', /^/],
  ['LATENCY DOCTOR', /\w/],
  ['--latency', /^\d+ \d+ [\d.]+ \d+/m],
  ['CLIENT LIST', /name=vestibule .*user=default/],
  ['PUBSUB CHANNELS', /^vestibule:0:events/m],
  ['MONITOR', /^OK$/m],
  ['-c GET', /^$/m],
  ['CLUSTER INFO', /cluster_state:ok\s[^]*cluster_slots_ok:16384/],
  ['--cluster call', /127\.0\.0\.1:\d+: 0/],
  ['CLUSTER KEYSLOT', /^\d+$/m],
  ['--cert client.crt', /^redis_version:\d/m],
]

test('every recipe of docs/redis.md runs, and prints what it is for', async () => {
  const lines: [string, string][] = []
  for (const block of blocks) {
    const printed = await run(block)
    lines.push(
      ...block
        .trimEnd()
        .split('\n')
        .map((line, at): [string, string] => [line, printed[at] ?? 'nothing']),
    )
  }
  for (const [words, pattern] of PRINTS) {
    const found = lines.filter(([line]) => line.includes(words))
    expect(found.length, words).toBeGreaterThan(0)
    expect(found[0]?.[1], words).toMatch(pattern)
  }
})

test('the speed of the modes is that of docs/performance.md', () => {
  const measured = (mode: string) =>
    new RegExp(`^\\| ${mode} \\|(.*)$`, 'm')
      .exec(readFileSync('docs/performance.md', 'utf8').split('<!-- bench:reads -->')[1] ?? '')?.[1]
      ?.split('|')
      .slice(0, 4)
      .map((cell) => cell.trim().split(' ')[0])
  const rows = ['read, p50', 'read, p99', 'write, p50', 'reads a second'].map((row) =>
    new RegExp(`^\\| ${row} \\|(.*)\\|$`, 'm')
      .exec(page)?.[1]
      ?.split('|')
      .map((cell) => cell.trim().split(' ')[0]),
  )
  for (const [at, mode] of ['memory', 'redis', 'hybrid'].entries())
    expect(rows.map((row) => row?.[at])).toEqual(measured(mode))
})
