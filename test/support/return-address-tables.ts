import { expect, test } from 'vitest'
import { prepared } from './prepared.ts'
import { APP } from './relying-party.ts'
import {
  expectKnownLocations,
  expectRefusedReturn,
  rdQuery,
  startReturnToParty,
} from './return-to.ts'

type Row = string | readonly [rd: string, target: string | undefined]
type QueryRow = readonly [query: string, target: string | undefined]

/** A relying party of the file, and tables of return addresses for its sign-in. */
export function returnAddressTables(settings: Readonly<Record<string, string>> = {}) {
  const sut = prepared(() => startReturnToParty(settings))
  const leadsQueries = (title: string, rows: readonly QueryRow[], origins?: readonly string[]) => {
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
    /** Tests that a sign-in refuses each address, the last of its row, with a page that holds no hostile text. */
    refuses: (
      title: string,
      rows: readonly (string | readonly [label: string, rd: string])[],
      hostile?: readonly string[],
    ) => {
      test.for(rows.map((row) => [row].flat()))(title, async (row) => {
        expectRefusedReturn(await sut().login(rdQuery(row.at(-1) ?? '')), hostile)
      })
    },
    /** The same for queries that are sent as written. */
    refusesQueries: (title: string, queries: readonly string[]) => {
      test.for(queries)(title, async (query) => expectRefusedReturn(await sut().login(query)))
    },
    /**
     * Tests that the sign-in with each address ends at its target and passes no other origin on its way. A text alone is
     * its own target; with the target `undefined` the address is refused.
     */
    leads: (title: string, rows: readonly Row[], origins?: readonly string[]) =>
      leadsQueries(title, rows.map(queryAndTarget), origins),
    /** The same for queries that are sent as written. */
    leadsQueries,
  }
}

const OTHER = 'https://other.example.com'

/** The query of a row, and its target: the address itself where the row names no other. */
function queryAndTarget(row: Row): QueryRow {
  if (typeof row !== 'string') return [rdQuery(row[0]), row[1]]
  return [rdQuery(row), row.startsWith('/') ? APP + row : row]
}
