import fc from 'fast-check'
import { expect } from 'vitest'
import { isLater } from '../../src/core/event-id.ts'
import { type EventClient, openEvents, publicOrigin } from './event-client.ts'
import { ADMIN_TOKEN, askAdmin } from './operator.ts'
import { until } from './own-lag.ts'
import { HYBRID, type Replicas, startReplicasInProcess } from './replicas.ts'

const HOSTS = ['app.example.com', 'other.example.com'] as const
const USERS = ['alice', 'bob', 'carol'] as const
const REPLICAS = 3
/** Streams of a session at one replica, beyond which the oldest would go. */
const PER_SESSION = 10
/** Names to which no page belongs, or which only look like that of one. */
const NOBODY = ['Alice', 'alice ', 'bo', 'dave'] as const

interface Target {
  readonly user?: string
  readonly host?: string
}

type Step =
  | { readonly kind: 'send'; readonly replica: number; readonly targets: readonly Target[] }
  | {
      readonly kind: 'open'
      readonly replica: number
      readonly user: (typeof USERS)[number]
      /** Host of the address, and of the page where it is another one. */
      readonly address: (typeof HOSTS)[number]
      readonly page: (typeof HOSTS)[number]
      /** Age of the event after which it asks, counted in events of everybody; none for a page that begins now. */
      readonly after: number | undefined
    }
  | { readonly kind: 'close'; readonly which: number }

interface Sent extends Target {
  readonly id: string
  readonly data: string
}

interface Opened {
  /** Replica, user and address. */
  readonly place: string
  readonly user: string
  readonly host: string
  readonly client: EventClient
  /** Position after which events are meant for it. */
  readonly from: string
  readonly isOpen: boolean
}

const replica = fc.nat(REPLICAS - 1)
const target: fc.Arbitrary<Target> = fc.record(
  { user: fc.constantFrom(...USERS, ...NOBODY), host: fc.constantFrom(...HOSTS) },
  { requiredKeys: [] },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      replica,
      targets: fc.array(target, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      replica,
      user: fc.constantFrom(...USERS),
      address: fc.constantFrom(...HOSTS),
      page: fc.constantFrom(...HOSTS),
      after: fc.option(fc.nat(20), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const), which: fc.nat(20) }) },
)

/** Starts replicas, signs people in at two hosts, and follows random courses of broadcasts and pages among them. */
export async function startToldPages() {
  await using stack = new AsyncDisposableStack()
  const origins = HOSTS.map((host) => `https://${host}`)
  const replicas = stack.use(
    await startReplicasInProcess({
      count: REPLICAS,
      settings: { ...HYBRID, ADMIN_TOKEN },
      provider: { origins, users: USERS.map((sub) => ({ sub })) },
    }),
  )
  const cookies = new Map<string, string>()
  for (const user of USERS)
    for (const host of HOSTS)
      cookies.set(`${user} ${host}`, await replicas.first.signIn(user, host))
  const kept = stack.move()
  return {
    /** Asserts that in random courses each page is told what is meant for it, once and in order, and nothing else. */
    expectOwnEventsOnly: (numRuns: number, maxSteps: number) =>
      fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: maxSteps }), (steps) =>
          follow(steps, replicas, cookies),
        ),
        { numRuns, endOnFailure: true },
      ),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

async function follow(
  steps: readonly Step[],
  { all }: Replicas,
  cookies: ReadonlyMap<string, string>,
): Promise<void> {
  const sent: Sent[] = []
  const pages: Opened[] = []

  async function send(at: number, to: Target): Promise<Sent> {
    const data = `${sent.length} ${Math.random()} for ${JSON.stringify(to)}`
    const answer = await askAdmin(all[at] as (typeof all)[number], 'POST', 'broadcast', {
      event: 'notice',
      data,
      ...to,
    })
    expect(answer.status).toBe(202)
    const { id } = answer.body as { id: string }
    const one = { ...to, id, data: JSON.stringify(data) }
    sent.push(one)
    return one
  }

  async function open({ replica: at, user, address, page, after }: Step & { kind: 'open' }) {
    const place = `${at} ${user} ${address}`
    if (pages.filter((each) => each.isOpen && each.place === place).length === PER_SESSION) return
    const last = after === undefined ? undefined : sent.at(-1 - after)?.id
    const client = await openEvents({
      origin: publicOrigin(all[at] as (typeof all)[number]),
      cookie: cookies.get(`${user} ${address}`),
      page: `https://${address}/`,
      headers: {
        ...(page !== address && {
          Origin: `https://${page}`,
          'Sec-Fetch-Site': 'same-site',
        }),
        ...(last !== undefined && { 'Last-Event-ID': last }),
      },
    })
    expect(client.status).toBe(200)
    const from = last ?? /^id: (\S+)$/m.exec(client.text())?.[1] ?? '0-0'
    pages.push({ place, user, host: page, client, from, isOpen: true })
  }

  async function take(next: Step): Promise<void> {
    if (next.kind === 'open') await open(next)
    // Together, so that they cross on their way to the other replicas.
    else if (next.kind === 'send')
      await Promise.all(next.targets.map((to, at) => send((next.replica + at) % REPLICAS, to)))
    else if (pages.length > 0) closeOne(pages, next.which % pages.length)
  }

  try {
    // Two at a time, so that pages begin while events are under way.
    for (let at = 0; at < steps.length; at += 2)
      await Promise.all(steps.slice(at, at + 2).map((next) => take(next)))
    const end = await send(0, {})
    const open = pages.filter(({ isOpen }) => isOpen)
    await until('the last event everywhere', () =>
      open.every(({ client }) => client.events.some(({ id }) => id === end.id)),
    )
    for (const page of pages) expectOwn(page, sent)
  } finally {
    for (const { client } of pages) client.close()
  }
}

function closeOne(pages: Opened[], at: number): void {
  const page = pages[at] as Opened
  page.client.close()
  pages[at] = { ...page, isOpen: false }
}

function expectOwn({ user, host, client, from, isOpen }: Opened, sent: readonly Sent[]): void {
  const meant = sent
    .filter((one) => isLater(one.id, from))
    .filter((one) => (one.user ?? user) === user && (one.host ?? host) === host)
    .toSorted((a, b) => (isLater(a.id, b.id) ? 1 : -1))
    .map(({ id, data }) => `${id} ${data}`)
  const told = client.events.map(({ id, data }) => `${id} ${data}`)
  expect(told).toEqual(isOpen ? meant : meant.slice(0, told.length))
}
