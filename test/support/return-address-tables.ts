import { expect, test } from 'vitest'
import { prepared } from './prepared.ts'
import { APP } from './relying-party.ts'
import {
  expectKnownLocations,
  expectRefusedReturn,
  type ReturnToParty,
  rdQuery,
  startReturnToParty,
} from './return-to.ts'
import type { RunningVestibule } from './vestibule.ts'

type Row = string | readonly [rd: string, target: string | undefined]
type QueryRow = readonly [query: string, target: string | undefined]

export interface ReturnAddressTables {
  readonly sut: () => ReturnToParty
  readonly vestibule: () => RunningVestibule
  /** Tests that a sign-in refuses each address, the last of its row, with a page that holds no hostile text. */
  readonly refuses: (
    title: string,
    rows: readonly (string | readonly [label: string, rd: string])[],
    hostile?: readonly string[],
  ) => void
  /** The same for queries that are sent as written. */
  readonly refusesQueries: (title: string, queries: readonly string[]) => void
  /**
   * Tests that the sign-in with each address ends at its target and passes no other origin on its way. A text alone is
   * its own target; with the target `undefined` the address is refused.
   */
  readonly leads: (title: string, rows: readonly Row[], origins?: readonly string[]) => void
  /** The same for queries that are sent as written. */
  readonly leadsQueries: (
    title: string,
    rows: readonly QueryRow[],
    origins?: readonly string[],
  ) => void
}

/** A relying party of the file, and tables of return addresses for its sign-in. */
export function returnAddressTables(
  settings: Readonly<Record<string, string>> = {},
): ReturnAddressTables {
  const sut = prepared(() => startReturnToParty(settings))
  const leadsQueries: ReturnAddressTables['leadsQueries'] = (title, rows, origins) => {
    test.for(rows)(title, async ([query, target]) => {
      if (target === undefined) return expectRefusedReturn(await sut().login(query))
      const landing = await sut().land(query)
      expect(landing.target).toBe(target)
      const known = [...(origins ?? [APP, OTHER]), new URL(target).origin]
      expectKnownLocations(landing.trail, sut().party.provider.issuer, known)
    })
  }
  return {
    sut,
    vestibule: () => sut().party.vestibule,
    refuses: (title, rows, hostile) => {
      test.for(rows.map((row) => [row].flat()))(title, async (row) => {
        expectRefusedReturn(await sut().login(rdQuery(row.at(-1) ?? '')), hostile)
      })
    },
    refusesQueries: (title, queries) => {
      test.for(queries)(title, async (query) => expectRefusedReturn(await sut().login(query)))
    },
    leads: (title, rows, origins) => leadsQueries(title, rows.map(queryAndTarget), origins),
    leadsQueries,
  }
}

const OTHER = 'https://other.example.com'

/** The query of a row, and its target: the address itself where the row names no other. */
function queryAndTarget(row: Row): QueryRow {
  if (typeof row !== 'string') return [rdQuery(row[0]), row[1]]
  return [rdQuery(row), row.startsWith('/') ? APP + row : row]
}
