import { setTimeout as wait } from 'node:timers/promises'
import { type EventClient, openEvents } from './event-client.ts'
import { tally } from './tally.ts'

/** Question to the process of the pages, of which it answers one at a time. */
export type PagesQuestion =
  | { readonly kind: 'open'; readonly origin: string; readonly cookies: readonly string[] }
  | {
      readonly kind: 'await'
      readonly event: string
      readonly pages: number
      readonly withinMs: number
    }
  | { readonly kind: 'leave' }

/** Pages by the status of their answer. */
export type Opened = Readonly<Record<string, number>>

export interface Arrived {
  /** Pages that have it, and those that have it more than once. */
  readonly pages: number
  readonly doubled: number
  /** By the clock of the wall. */
  readonly lastAtMs: number
  readonly open: number
}

const TOGETHER = 100
const pages: EventClient[] = []

process.on('message', (question: PagesQuestion) => {
  void answer(question).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

/** Follows events in a process of its own, so that reading them delays neither the test nor its clocks. */
function answer(question: PagesQuestion): Promise<Opened | Arrived | 'left'> {
  switch (question.kind) {
    case 'open':
      return open(question.origin, question.cookies)
    case 'await':
      return untilArrived(question)
    case 'leave':
      return leave()
  }
}

async function open(origin: string, cookies: readonly string[]): Promise<Opened> {
  const before = pages.length
  for (let at = 0; at < cookies.length; at += TOGETHER) {
    const next = cookies.slice(at, at + TOGETHER)
    pages.push(...(await Promise.all(next.map((cookie) => openEvents({ origin, cookie })))))
  }
  return tally(pages.slice(before).map(({ status }) => status))
}

async function untilArrived({
  event,
  pages: count,
  withinMs,
}: PagesQuestion & { kind: 'await' }): Promise<Arrived> {
  const endMs = Date.now() + withinMs
  let arrived = arrivalsOf(event)
  while (arrived.pages < count && Date.now() < endMs) {
    await wait(20)
    arrived = arrivalsOf(event)
  }
  return arrived
}

function arrivalsOf(event: string): Arrived {
  const arrivals = pages.map(({ events }) => events.filter(({ name }) => name === event))
  const times = arrivals.flatMap((each) => each.map(({ atMs }) => atMs))
  return {
    pages: arrivals.filter((each) => each.length > 0).length,
    doubled: arrivals.filter((each) => each.length > 1).length,
    lastAtMs: performance.timeOrigin + times.reduce((last, each) => Math.max(last, each), 0),
    open: pages.filter(({ isOpen }) => isOpen()).length,
  }
}

async function leave(): Promise<'left'> {
  for (const page of pages) page.close()
  while (pages.some(({ isOpen }) => isOpen())) await wait(10)
  pages.length = 0
  return 'left'
}
