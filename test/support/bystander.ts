import { askEverywhere, expectLetIn } from './refreshing-replicas.ts'
import type { RunningVestibule } from './vestibule.ts'

/** Asserts that `bob`, to whom nothing was done, is let in as himself and keeps his cookies. */
export async function expectBystanderServed(vestibule: RunningVestibule, cookie: string) {
  expectLetIn(await askEverywhere([vestibule], cookie, 5), 'bob')
}
