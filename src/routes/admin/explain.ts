import type { Explain } from '../../core/access/explain/explain.ts'
import { parseJson } from '../../core/json.ts'
import { invalidRequest } from '../../errors.ts'
import { json } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import { describeIssues, question } from './question.ts'
import { isJson, notJson, operatorOf, readParameters } from './request.ts'

export interface AdminExplainOptions {
  readonly explain: Explain
  /** Issuer of the user that a question names. */
  readonly issuer: string
  readonly log: Log
}

export interface AdminExplain {
  readonly explain: (c: NodeContext) => Promise<Response>
}

/** Serves `POST /admin/explain`, by the rules that this replica has in force. */
export function createAdminExplain({ explain, issuer, log }: AdminExplainOptions): AdminExplain {
  return {
    async explain(c) {
      readParameters(c, [])
      if (!isJson(c)) return notJson()
      const { data, error } = question.safeParse(parseJson(await c.req.text()))
      if (error)
        throw invalidRequest(`The body is no question: ${describeIssues(error).join('; ')}`)
      const explanation = { ...explain(data) }
      const user = explanation.person?.user
      const about = {
        ...(user !== undefined && { user: userDigest(issuer, user) }),
        ...operatorOf(c),
      }
      log.info({ event: 'explained', ...about }, 'an operator asked what the rules permit')
      return json(200, explanation, about.request_id)
    },
  }
}
