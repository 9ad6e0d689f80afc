import type { ReplicaProcesses } from '../replicas.ts'
import type { Visit } from '../visitor.ts'

const refreshOf = ({ body }: Visit): string | undefined =>
  /http-equiv="refresh" content="\d+;url=([^"]+)"/.exec(body)?.[1]?.replaceAll('&amp;', '&')

/** A person whom the error page leads to a new sign-in until that is stopped as a loop. */
export async function signInAgainAndAgain({
  untilCallback,
}: Pick<ReplicaProcesses, 'untilCallback'>): Promise<void> {
  const { browser, callbackUrl } = await untilCallback()
  let page = await browser.get(callbackUrl)
  for (let url = refreshOf(page); url !== undefined; url = refreshOf(page))
    page = await browser.browse(url)
}
