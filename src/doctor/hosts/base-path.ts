import type { Answer } from '../ask.ts'
import { type Finding, finding, quoted } from '../finding.ts'
import { isWithoutRouter, isWithoutServer, type OwnAnswer, ownAnswerOf } from '../own-answer.ts'

/** Judges the answer at `BASE_PATH/me` without a session; `loginUrl` is how the sign-in of the host begins. */
export function judgeBasePath(url: string, answer: Answer, loginUrl: string): readonly Finding[] {
  const asked = `${url} was answered with ${answer.status}`
  const own = ownAnswerOf(answer)
  if (!own) return [judgeOther(asked, answer)]
  const known = judgeOwn(asked, own, loginUrl)
  if (known) return known
  const code = answer.status >= 500 ? 'sign_in_unavailable' : 'sign_in_failed'
  return [finding(code, `${asked} and ${own.error}.`)]
}

function judgeOwn(
  asked: string,
  { error, message, loginUrl: named }: OwnAnswer,
  loginUrl: string,
): readonly Finding[] | undefined {
  switch (error) {
    case 'login_required':
      if (named.startsWith(`${loginUrl}?`)) return []
      return [finding('other_settings', `${asked}; the sign-in is at ${quoted(named)}.`)]
    case 'sign_in_router':
      return [finding('base_path_guarded', `${asked} by the check.`)]
    case 'foreign_host':
      return [finding('host_unknown', `${asked}: ${quoted(message)}.`)]
    default:
      return undefined
  }
}

function judgeOther(asked: string, answer: Answer): Finding {
  const { status, headers, body } = answer
  if (isWithoutRouter(answer)) return finding('base_path_missing', `${asked} by Traefik.`)
  if (status === 404 && body === 'not found\n')
    return finding('base_path_stripped', `${asked} by Vestibule, which got another path.`)
  if (isWithoutServer(answer)) return finding('base_path_down', `${asked} by Traefik.`)
  const type = headers['content-type'] ?? 'nothing'
  return finding('base_path_elsewhere', `${asked} and ${quoted(type)}, not by Vestibule.`)
}
