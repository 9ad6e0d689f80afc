import { BEFORE_ALL, type EventId, isLater } from '../../core/event-id.ts'
import { type EventLog, LOGGED_MS, type LoggedEvent, MAX_LOGGED } from '../event-log.ts'

/** Creates a log that is lost with its process; `now` is the wall clock, so that identifiers grow over a restart. */
export function createMemoryEventLog(now: () => number = Date.now): EventLog {
  let entries: readonly LoggedEvent[] = []
  let last: EventId = BEFORE_ALL

  function recent(): readonly LoggedEvent[] {
    const oldest = `${now() - LOGGED_MS}-0`
    return entries.filter(({ id }) => isLater(id, oldest))
  }

  function nextId(floor: EventId): EventId {
    const id = `${now()}-0`
    const atLeast = isLater(floor, last) ? floor : last
    if (isLater(id, atLeast)) return id
    const [ms = 0, number = 0] = atLeast.split('-').map(Number)
    return `${ms}-${number + 1}`
  }

  return {
    async append(sealed, floor) {
      const previous = last
      last = nextId(floor)
      entries = [...recent(), { id: last, sealed }].slice(-MAX_LOGGED)
      return { id: last, previous }
    },
    async readAfter(id) {
      return recent().filter((entry) => isLater(entry.id, id))
    },
  }
}
