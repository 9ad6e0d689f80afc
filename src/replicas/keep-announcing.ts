import type { Fleet, FleetFinding } from './fleet.ts'

/** Announces this replica to the others, and takes their announcements. */
export interface Announcer {
  readonly announce: () => void
  readonly receive: (text: string) => void
  readonly stop: () => void
}

export interface AnnouncerOptions {
  readonly fleet: Fleet
  readonly publish: (announcement: string) => Promise<unknown>
  /** Called with how other replicas differ whenever a text has been received. */
  readonly onFleet: (findings: readonly FleetFinding[]) => void
}

const ANNOUNCE_MS = 10_000

/** Announces every 10 s, and at once to a replica that was unknown. */
export function keepAnnouncing({ fleet, publish, onFleet }: AnnouncerOptions): Announcer {
  function announce(): void {
    publish(fleet.announcement()).catch(() => undefined)
  }

  const timer = setInterval(announce, ANNOUNCE_MS).unref()
  return {
    announce,
    receive(text) {
      if (fleet.receive(text)) announce()
      onFleet(fleet.findings)
    },
    stop: () => clearInterval(timer),
  }
}
