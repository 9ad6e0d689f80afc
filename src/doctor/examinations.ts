import type { Examination } from './examination.ts'

/** All examinations, in the order in which a request meets what they look at. */
export const EXAMINATIONS: readonly Examination[] = []
