import type { FleetFinding } from './differences.ts'
import type { Fleet } from './fleet.ts'

/** Announces this replica to the others, and takes their announcements. */
export interface Announcer {
  readonly announce: () => void
  readonly receive: (text: string) => void
  /** Says goodbye, and announces nothing from then on. Resolves when Redis has taken it, or has refused to. */
  readonly leave: () => Promise<void>
}

export interface AnnouncerOptions {
  readonly fleet: Fleet
  readonly publish: (text: string) => Promise<unknown>
  /** Called with how other replicas differ whenever a text has been received. */
  readonly onFleet: (findings: readonly FleetFinding[]) => void
}

const ANNOUNCE_MS = 10_000

/** Announces every 10 s, and at once to a replica that was unknown. */
export function keepAnnouncing({ fleet, publish, onFleet }: AnnouncerOptions): Announcer {
  let leaving: Promise<void> | undefined

  function announce(): void {
    if (leaving) return
    publish(fleet.announcement()).catch(() => undefined)
  }

  const timer = setInterval(announce, ANNOUNCE_MS).unref()
  return {
    announce,
    receive(text) {
      if (fleet.receive(text)) announce()
      onFleet(fleet.findings)
    },
    leave() {
      clearInterval(timer)
      leaving ??= publish(fleet.goodbye()).then(
        () => undefined,
        () => undefined,
      )
      return leaving
    },
  }
}
