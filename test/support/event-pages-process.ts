import { setTimeout as wait } from 'node:timers/promises'
import { type EventPage, openPages } from './event-pages.ts'
import { tally } from './tally.ts'

/** Question to the process of the pages, of which it answers one at a time. */
export type PagesQuestion =
  | { readonly kind: 'open'; readonly port: number; readonly cookies: readonly string[] }
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
  readonly lastAtMs: number
  readonly open: number
}

const pages: EventPage[] = []

process.on('message', (question: PagesQuestion) => {
  void answer(question).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

/** Follows events in a process of its own, so that reading them delays neither the test nor its clocks. */
function answer(question: PagesQuestion): Promise<Opened | Arrived | 'left'> {
  switch (question.kind) {
    case 'open':
      return open(question.port, question.cookies)
    case 'await':
      return untilArrived(question)
    case 'leave':
      return leave()
  }
}

async function open(port: number, cookies: readonly string[]): Promise<Opened> {
  const opened = await openPages({ port }, cookies)
  pages.push(...opened)
  return tally(opened.map(({ status }) => status))
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
  const arrivals = pages.map(({ received }) => received.filter(({ name }) => name === event))
  const times = arrivals.flatMap((each) => each.map(({ atMs }) => atMs))
  return {
    pages: arrivals.filter((each) => each.length > 0).length,
    doubled: arrivals.filter((each) => each.length > 1).length,
    lastAtMs: times.reduce((last, each) => Math.max(last, each), 0),
    open: pages.filter(({ isOpen }) => isOpen).length,
  }
}

async function leave(): Promise<'left'> {
  for (const page of pages) page.leave()
  while (pages.some(({ isOpen }) => isOpen)) await wait(10)
  pages.length = 0
  return 'left'
}
