import type { Answer } from '../ask.ts'
import { type Finding, type FindingCode, finding, quoted } from '../finding.ts'
import { isWithoutRouter, type OwnAnswer, ownAnswerOf } from '../own-answer.ts'

/** Judges the answer that a program without a session gets for a path that needs one. */
export function judgeGuard(url: string, answer: Answer, loginUrl: string): readonly Finding[] {
  const asked = `${url} without a session was answered with ${answer.status}`
  const own = ownAnswerOf(answer)
  if (own) return judgeOwn(asked, own, loginUrl)
  const [code, how] = judgeOther(answer, loginUrl)
  return [finding(code, `${asked}${how}.`)]
}

/** Names the fault that an answer shows which is not the check's. */
function judgeOther(answer: Answer, loginUrl: string): readonly [FindingCode, how: string] {
  const { status, headers, body } = answer
  if (isWithoutRouter(answer)) return ['app_router_missing', ' by Traefik']
  if (status === 302 && headers.location?.startsWith(loginUrl))
    return ['answer_replaced', ' and a redirect, although no page was asked for']
  return OF_BODIES[`${status} ${body}`] ?? ['app_unguarded', ', not by Vestibule']
}

/** Faults by status and whole body. */
const OF_BODIES: Readonly<Record<string, readonly [FindingCode, how: string]>> = {
  '401 ': ['answer_replaced', ' and an empty body, as Traefik does'],
  '404 not found\n': ['check_address', ', as Vestibule’s public listener does at /auth'],
  '500 ': ['check_unreachable', ' and an empty body, as Traefik does'],
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
