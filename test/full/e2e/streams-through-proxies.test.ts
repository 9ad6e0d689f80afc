import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createAuthority } from '../../../stand-ins/certificates.ts'
import { startTcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { findProgram } from '../../../stand-ins/process.ts'
import { startGatewayProgram, type WriteGatewayFiles } from '../../../stand-ins/proxy/gateway.ts'
import { startProxy } from '../../../stand-ins/proxy/proxies.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { type EventClient, openEvents, untilEvents } from '../../support/event-client.ts'
import { openHttp2 } from '../../support/http2-client.ts'
import { readMetric } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { HOSTS } from '../../support/protected-app.ts'
import { startRelyingParty } from '../../support/relying-party.ts'

const BROADCAST_TOKEN = 'a-broadcast-token-that-is-long-enough'

/** Proxies by the program that each needs; nginx and Caddy stand before the stand-in, as before Traefik. */
const PROGRAMS = {
  'the stand-in': undefined,
  Traefik: 'traefik',
  'Traefik that compresses all': 'traefik',
  nginx: 'nginx',
  Caddy: 'caddy',
} as const
type Proxy = keyof typeof PROGRAMS
type Way = readonly [proxy: Proxy, protocol: 'HTTP/1.1' | 'HTTP/2']

const proxies = Object.keys(PROGRAMS) as Proxy[]
const ways: readonly Way[] = proxies.flatMap((proxy): Way[] =>
  proxy === 'the stand-in'
    ? [[proxy, 'HTTP/1.1']]
    : [
        [proxy, 'HTTP/1.1'],
        [proxy, 'HTTP/2'],
      ],
)
const isHere = ([proxy]: Way) => {
  const program = PROGRAMS[proxy]
  return program === undefined || findProgram(program) !== undefined
}

/** The example in this language on the page about connected clients. */
function example(language: string): string {
  const page = readFileSync('docs/connected-clients.md', 'utf8')
  const found = [...page.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))]
  expect(found, language).toHaveLength(1)
  return found[0]?.[1] ?? ''
}

interface Place {
  readonly folder: string
  readonly port: number
  readonly readyHost: string
  /** Address of the proxy behind, without scheme. */
  readonly behind: string
}

/** nginx as documented, with a compression that people switch on and shorter times than its own. */
const nginxFile = ({ folder, port, readyHost, behind }: Place) => `
daemon off; master_process off; pid ${folder}/pid; error_log stderr emerg;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`).join(' ')}
  gzip on; gzip_types *; gzip_min_length 0;
  keepalive_timeout 1s; client_header_timeout 1s; client_body_timeout 1s; send_timeout 1s; proxy_read_timeout 20s;
  ${example('nginx')
    .replaceAll(':443', `127.0.0.1:${port}`)
    .replace('listen 443', `listen 127.0.0.1:${port}`)
    .replaceAll('/etc/nginx', folder)
    .replace('traefik:80', behind)}
  server {
    listen 127.0.0.1:${port} ssl http2; server_name ${readyHost}; return 200;
    ssl_certificate ${folder}/tls.crt; ssl_certificate_key ${folder}/tls.key;
  }
}`

/** Caddy as documented, with shorter times than its own. */
const caddyFile = ({ folder, port, readyHost, behind }: Place) => {
  const tls = `bind 127.0.0.1\n  tls ${folder}/tls.crt ${folder}/tls.key`
  const [sites = '', ...rest] = example('caddyfile').replace('traefik:80', behind).split('\n')
  return `{
  admin off
  auto_https off
  servers {
    timeouts {
      read_body 1s
      read_header 1s
      idle 1s
    }
  }
}
https://${readyHost}:${port} {
  ${tls}
  respond "OK"
}
${sites.replaceAll(/[\w.]+(?=[, ])/g, `https://$&:${port}`)}
  ${tls}
${rest.join('\n')}`
}

/** Writes the file of a proxy with a certificate for its hosts. */
function withFile(behind: string, text: (place: Place) => string, args: string) {
  const write: WriteGatewayFiles = async (folder, port, readyHost) => {
    const issued = await (await createAuthority()).issue([...HOSTS, readyHost])
    await writeFile(join(folder, 'tls.crt'), issued.certificate)
    await writeFile(join(folder, 'tls.key'), issued.privateKey)
    await writeFile(join(folder, 'proxy.conf'), text({ folder, port, readyHost, behind }))
    return args.replaceAll('FOLDER', folder).split(' ')
  }
  return write
}

/** One service behind all proxies that are here, each with times that are shorter than a stream. */
async function startBehindAll() {
  await using stack = new AsyncDisposableStack()
  const party = stack.use(await startRelyingParty({ BROADCAST_TOKEN }))
  const { vestibule } = party
  const wire = stack.use(await startTcpProxy(vestibule.publicPort))
  const publicUrl = `http://127.0.0.1:${wire.port}`
  const gateway = {
    hosts: HOSTS,
    vestibulePublicUrl: publicUrl,
    vestibuleCheckUrl: `http://127.0.0.1:${vestibule.internalPort}/auth`,
    appUrl: publicUrl,
    authResponseHeaders: [],
  }
  const placed = async () => ({ ...gateway, scheme: 'https' as const, port: await steadyPort() })
  const standIn = stack.use(await startProxy('stand-in', gateway))
  const behind = new URL(standIn.origin).host
  const { http } = parse(example('yaml')) as {
    http: { middlewares: { compress: { compress: object } } }
  }
  const traefik = async (compress: object) =>
    startProxy('traefik', {
      ...(await placed()),
      compress,
      respondingTimeouts: { readTimeout: '1s', idleTimeout: '1s' },
    })
  const nginx = withFile(behind, nginxFile, '-p FOLDER -e stderr -c FOLDER/proxy.conf')
  const caddy = withFile(behind, caddyFile, 'run --config FOLDER/proxy.conf --adapter caddyfile')
  const start = {
    'the stand-in': async () => standIn,
    Traefik: () => traefik(http.middlewares.compress.compress),
    'Traefik that compresses all': () => traefik({}),
    nginx: async () => startGatewayProgram('nginx', await placed(), nginx),
    Caddy: async () => startGatewayProgram('caddy', await placed(), caddy),
  } as const satisfies Record<Proxy, unknown>
  const origins = new Map<Proxy, string>()
  for (const proxy of proxies.filter((each) => isHere([each, 'HTTP/1.1']))) {
    origins.set(proxy, stack.use(await start[proxy]()).origin)
  }
  const cookies = { alice: await vestibule.signIn('alice'), bob: await vestibule.signIn('bob') }
  const kept = stack.move()
  const originOf = (proxy: Proxy) => origins.get(proxy) ?? ''
  const connect = (proxy: Proxy) =>
    openHttp2(Number(new URL(originOf(proxy)).port), { servername: HOSTS[0] ?? '' })
  return {
    vestibule,
    wire,
    originOf,
    connect,
    cookies,
    /** Opens a stream as a browser does, with a connection of its own. */
    open: async ([proxy, protocol]: Way, headers: Readonly<Record<string, string>> = {}) => {
      const opened = new AsyncDisposableStack()
      const connection = protocol === 'HTTP/2' ? opened.use(await connect(proxy)) : undefined
      const client = await openEvents({
        origin: originOf(proxy),
        cookie: cookies.alice,
        headers: { 'Accept-Encoding': 'gzip', ...headers },
        ...(connection && { connection }),
      })
      opened.defer(client.close)
      return { ...client, [Symbol.asyncDispose]: () => opened.disposeAsync() }
    },
    send: async (data: unknown): Promise<string> => {
      const url = `http://127.0.0.1:${vestibule.internalPort}/admin/broadcast`
      const answer = await fetch(url, {
        method: 'POST',
        headers: { Authorization: `Bearer ${BROADCAST_TOKEN}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ event: 'notice', data }),
      })
      expect(answer.status).toBe(202)
      return ((await answer.json()) as { id: string }).id
    },
    streams: () => readMetric(vestibule, 'vestibule_event_streams'),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

const dataOf = ({ events }: Pick<EventClient, 'events'>) =>
  events.map(({ data }) => JSON.parse(data) as unknown)

describe('a stream through', () => {
  const started = prepared(startBehindAll)

  const eachWay = (title: string, check: (way: Way) => Promise<void>, which = ways) =>
    test.for(which)(`%s over %s: ${title}`, async (way, { skip }) => {
      if (!isHere(way)) return skip(`${PROGRAMS[way[0]]} is not on PATH`)
      await check(way)
    })

  eachWay('begins at once and hands on each event as it comes', async (way) => {
    const { open, send } = started()
    await using client = await open(way)
    expect(client.status).toBe(200)
    expect(client.headers['content-type']).toMatch(/^text\/event-stream/)
    expect(client.retriesMs).toHaveLength(1)
    for (const count of [1, 2, 3]) {
      // The larger ones exceed what proxies collect before they compress.
      await send({ count, filling: 'x'.repeat(count * 1000) })
      await untilEvents(client, 'notice', count)
    }
    expect(dataOf(client)).toMatchObject([{ count: 1 }, { count: 2 }, { count: 3 }])
    expect(client.headers['content-encoding']).toBe(
      { nginx: 'gzip', 'Traefik that compresses all': 'gzip' }[way[0] as string],
    )
  })

  eachWay('is given up when its client leaves', async (way) => {
    const { open, streams } = started()
    await until('no stream of before', async () => (await streams()) === 0)
    await using client = await open(way)
    expect(await streams()).toBe(1)
    client.close()
    await until('no stream', async () => (await streams()) === 0)
  })

  eachWay('ends for its client when the connection behind breaks', async (way) => {
    const { open, wire } = started()
    await using client = await open(way)
    wire.cut()
    await client.ended
  })

  eachWay('goes on where its client was, also for a page of another host', async (way) => {
    const { open, send } = started()
    const before = await send('before')
    const missed = await send('missed')
    const origin = `https://${HOSTS[1]}`
    await using client = await open(way, { Origin: origin, 'Last-Event-ID': before })
    await untilEvents(client, 'notice')
    expect(dataOf(client)).toEqual(['missed'])
    expect(client.lastEventId()).toBe(missed)
    expect(client.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
    })
    await using foreign = await open(way, { Origin: 'https://evil.example' })
    expect(foreign.status).toBe(403)
  })

  eachWay(
    'is one of twelve over one connection',
    async ([proxy]) => {
      const { connect, cookies, originOf, send } = started()
      await using connection = await connect(proxy)
      const clients = await Promise.all(
        Array.from({ length: 12 }, (_, at) =>
          openEvents({
            origin: originOf(proxy),
            cookie: at % 2 ? cookies.alice : cookies.bob,
            connection,
          }),
        ),
      )
      await send('to all')
      await Promise.all(clients.map((client) => untilEvents(client, 'notice')))
    },
    ways.filter(([, protocol]) => protocol === 'HTTP/2'),
  )

  // Two comments are 15 seconds apart, which is longer than the service gives a request and a proxy a connection.
  test('any proxy outlives all times that count until an answer or between requests', async () => {
    const { open, send } = started()
    await using stack = new AsyncDisposableStack()
    const here = ways.filter(isHere)
    const clients = await Promise.all(here.map(async (way) => stack.use(await open(way))))
    await until('two comments', () => clients.every(({ comments }) => comments() >= 2), 60_000)
    await send('still here')
    await Promise.all(clients.map((client) => untilEvents(client, 'notice')))
    expect(clients.map(({ isOpen }) => isOpen())).toEqual(here.map(() => true))
  })
})
