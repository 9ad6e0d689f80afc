import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { type RunningProcess, startProcess } from '../../stand-ins/process.ts'

const dockerfile = readFileSync('Dockerfile', 'utf8')
const instructions = dockerfile
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
const stages = instructions
  .join('\n')
  .split(/^(?=FROM )/m)
  .slice(1)
const final = stages.at(-1)?.split('\n') ?? []
const valueOf = (name: string) =>
  final.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1)
const MAIN = '/app/dist/src/main.js'

describe('the Dockerfile', () => {
  test('builds on the Node that package.json asks for, by a name that needs no registry of ours', () => {
    const [, version = ''] = /^ARG NODE_VERSION=(\d+\.\d+\.\d+)$/m.exec(dockerfile) ?? []
    expect(isAtLeast(version, packageJson.engines.node.replace('>=', ''))).toBe(true)
    const bases = stages.map((stage) => /^FROM (\S+)/.exec(stage)?.[1])
    const known = ['node:${NODE_VERSION}-bookworm-slim', 'development']
    expect(bases.length).toBeGreaterThan(1)
    for (const base of bases) expect(known).toContain(base)
    expect(dockerfile).not.toMatch(/^# syntax=/m)
  })

  test('ends with the service: no root, no compiler, nothing to type', () => {
    expect(valueOf('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    expect(valueOf('ENV')).toBe('NODE_ENV=production')
    expect(valueOf('WORKDIR')).toBe('/app')
    expect(valueOf('STOPSIGNAL')).toBe('SIGTERM')
    expect(valueOf('EXPOSE')).toBe('4180 4181')
    expect(JSON.parse(valueOf('ENTRYPOINT') ?? '')).toEqual(['node', MAIN])
    expect(JSON.parse(valueOf('CMD') ?? '')).toEqual(['serve'])
    expect(valueOf('HEALTHCHECK')).toMatch(
      /CMD \["node", "\/app\/dist\/src\/main\.js", "healthcheck"\]$/,
    )
    expect(final.filter((line) => line.startsWith('RUN '))).toEqual([])
  })

  test('ships bundled code alone, and the licences of the packages that package.json lists as dependencies', () => {
    const sources = final
      .filter((line) => line.startsWith('COPY '))
      .map((line) => line.split(' ').slice(1).join(' '))
    expect(sources).toEqual([
      '--from=build /app/dist dist',
      '--from=packages /app/packages packages',
      '--from=build /app/bin /usr/local/bin',
      'LICENSE ./',
    ])
    const packages = stages.find((stage) => stage.includes(' AS packages'))
    expect(packages).toContain('RUN npm ci --omit=dev --omit=optional')
    const folder = mkdtempSync(join(tmpdir(), 'vestibule-packages-'))
    mkdirSync(join(folder, 'node_modules/@some/package'), { recursive: true })
    for (const name of ['LICENSE', 'licence.md', 'NOTICE', 'package.json', 'index.js'])
      writeFileSync(join(folder, 'node_modules/@some/package', name), '')
    const [, copy = ''] = /^RUN (mkdir packages .*)$/m.exec(packages ?? '') ?? []
    execFileSync('sh', ['-c', copy], { cwd: folder })
    const kept = readdirSync(join(folder, 'packages/node_modules/@some/package')).toSorted()
    rmSync(folder, { recursive: true })
    expect(kept).toEqual(['LICENSE', 'NOTICE', 'licence.md', 'package.json'])
  })

  /** The first release without the advisory: CVE-2026-111497 (Brotli), then Node's November 2026 security release. */
  test('C15: Node is a release without a known advisory, in the image and here', () => {
    const pinned = Object.values(packageJson.optionalDependencies)
    expect(pinned.length).toBeGreaterThan(0)
    for (const version of [...pinned, process.versions.node])
      expect(isAtLeast(version, '26.12.1'), version).toBe(true)
    const [, image = ''] = /^ARG NODE_VERSION=(.*)$/m.exec(dockerfile) ?? []
    expect(isAtLeast(image, '26.13.1'), image).toBe(true)
  })

  test('has the commands under the name by which the documentation calls them', () => {
    const build = stages.find((stage) => stage.includes(' AS build'))
    expect(build).toContain('RUN npm run build\n')
    expect(build).toContain(`RUN mkdir bin && ln -s ${MAIN} bin/vestibule`)
  })

  test('says which version it is', () => {
    expect(dockerfile).toContain(`image.version="${packageJson.version}"`)
  })

  test('sees nothing of the folder but what it copies', () => {
    const [everything, ...seen] = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    const copied = instructions
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1))
    expect(everything).toBe('*')
    expect(new Set(seen)).toEqual(new Set(copied.map((name) => `!${name}`)))
  })
})

describe('what npm run build makes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-build-'))
  const main = join(folder, 'dist/src/main.js')
  const environment = {
    HOST: '127.0.0.1',
    PORT: '0',
    INTERNAL_PORT: '0',
    DRAIN_SECONDS: '0',
    PROTECTED_HOSTS: 'app.example.com',
    ALLOW_ANY_USER: 'true',
    OIDC_ISSUER_URL: 'http://127.0.0.1:9',
    OIDC_CLIENT_ID: 'vestibule',
    SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    REDIS_ENABLED: 'true',
    REDIS_ADDRESS: '127.0.0.1:9',
    REDIS_CACHE_MODE: 'hybrid',
  }
  let running: RunningProcess | undefined

  // Builds only from the files that the build stage copies, and keeps only what the image gets.
  beforeAll(() => {
    const needed = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src']
    for (const name of needed) cpSync(name, join(folder, name), { recursive: true })
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
    execFileSync('npm', ['run', 'build'], { cwd: folder })
    for (const name of [...needed, 'node_modules']) rmSync(join(folder, name), { recursive: true })
  })
  afterAll(async () => {
    await running?.stop('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  test('serves without Redis and provider, says that it is well, and stops when told to', async () => {
    running = startProcess(process.execPath, [main], { env: environment })
    const listening = await untilListening(running)
    expect(listening['version']).toBe(packageJson.version)
    const internalPort = String(listening['internal_port'])
    expect((await fetch(`http://127.0.0.1:${internalPort}/readyz`)).status).toBe(200)

    const env = { INTERNAL_PORT: internalPort }
    const healthcheck = startProcess(process.execPath, [main, 'healthcheck'], { env })
    expect(await healthcheck.exited, healthcheck.output()).toBe(0)
    expect(await running.stop('SIGTERM')).toBe(0)
  })

  test('is a few files, because finding and reading a thousand takes most of the start', () => {
    const chunks = readdirSync(join(folder, 'dist/src')).filter((name) => name.endsWith('.js'))
    expect(chunks).toContain('serve.js')
    expect(chunks.length).toBeLessThan(30)
  })

  test('is a program by itself, also behind a link', async () => {
    const vestibule = join(folder, 'vestibule')
    symlinkSync(main, vestibule)
    const env = { ...environment, PATH: dirname(process.execPath) }
    const checked = startProcess(vestibule, ['check-config'], { env })
    expect(await checked.exited, checked.output()).toBe(0)
    expect(checked.output()).toContain('PROTECTED_HOSTS=app.example.com\n')
  })

  test('prints what Traefik must be told, as the sources do', async () => {
    const [built, direct] = [main, 'src/main.ts'].map((path) =>
      startProcess(process.execPath, [path, 'render', 'traefik'], { env: environment }),
    )
    expect(await built?.exited).toBe(0)
    expect(await direct?.exited).toBe(0)
    expect(built?.output()).toBe(direct?.output())
  })
})

const isAtLeast = (version: string, least: string): boolean =>
  /^v?\d+\.\d+\.\d+$/.test(version) &&
  version.replace('v', '').localeCompare(least, 'en', { numeric: true }) >= 0

const untilListening = async (process: RunningProcess): Promise<Record<string, unknown>> => {
  const listening = () =>
    process
      .output()
      .split('\n')
      .find((line) => line.includes('"event":"listening"') && line.endsWith('}'))
  await expect.poll(listening).toBeDefined()
  return JSON.parse(listening() ?? '') as Record<string, unknown>
}
