import type { Answer } from '../ask.ts'
import { type Finding, type FindingCode, finding, quoted } from '../finding.ts'
import { isWithoutRouter, type OwnAnswer, ownAnswerOf } from '../own-answer.ts'

/** Judges the answer that a program without a session gets for a path that needs one. */
export function judgeGuard(url: string, answer: Answer, loginUrl: string): readonly Finding[] {
  const { status, headers, body } = answer
  const asked = `${url} without a session was answered with ${status}`
  const own = ownAnswerOf(answer)
  if (own) return judgeOwn(asked, own, loginUrl)
  if (isWithoutRouter(answer)) return [finding('app_router_missing', `${asked} by Traefik.`)]
  if (status === 500 && body === '')
    return [finding('check_unreachable', `${asked} and an empty body, as Traefik does.`)]
  if (status === 401 && body === '')
    return [finding('answer_replaced', `${asked} and an empty body, as Traefik does.`)]
  const { location = '' } = headers
  if (status === 302 && location.startsWith(loginUrl))
    return [finding('answer_replaced', `${asked} and a redirect, although no page was asked for.`)]
  return [finding('app_unguarded', `${asked}, not by Vestibule.`)]
}

const OF_ERRORS: Readonly<Record<string, FindingCode>> = {
  busy: 'check_unavailable',
  foreign_host: 'host_unknown',
  internal: 'check_unavailable',
  provider_unavailable: 'check_unavailable',
  store_unavailable: 'check_unavailable',
  untrusted_peer: 'untrusted_proxy',
}

function judgeOwn(asked: string, own: OwnAnswer, loginUrl: string): readonly Finding[] {
  const { error, message } = own
  const seen = `${asked} and ${error}${message === '' ? '' : `: ${quoted(message)}`}.`
  if (error === 'login_required') {
    if (own.loginUrl.startsWith(`${loginUrl}?`)) return []
    return [finding('other_settings', `${asked}; the sign-in is at ${quoted(own.loginUrl)}.`)]
  }
  if (error === 'token_required' || error === 'forbidden') return []
  if (error === 'invalid_request' && message.startsWith('X-Forwarded-Proto'))
    return [finding('forwarded_proto', seen)]
  return [finding(OF_ERRORS[error] ?? 'check_refused', seen)]
}
