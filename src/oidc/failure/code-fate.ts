import { answerOf, refusedParametersOf, unsentCodeOf } from './failed-answer.ts'
import { isRefusal } from './final-answers.ts'
import { isUnavailable } from './translate.ts'

/** Fate of a code whose request failed; `unknown` where the provider may have spent it or not. */
export type CodeFate = 'unspent' | 'unknown' | 'spent'

/** Tells whether a code is as good as before: it was not sent, or the provider refused the request (finding C22). */
export async function fateOfCode(cause: unknown): Promise<CodeFate> {
  if (unsentCodeOf(cause) !== undefined || refusedParametersOf(cause)) return 'unspent'
  const answer = await answerOf(cause)
  if (isRefusal(answer)) return 'unspent'
  const isUnread = (answer.status ?? 0) >= 300 || isUnavailable(cause, answer)
  return isUnread ? 'unknown' : 'spent'
}
