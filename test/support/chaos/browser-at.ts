import { createCookieJar } from '../cookie-jar.ts'
import { createVisitor, type Visitor } from '../visitor.ts'
import type { ChaosReplica } from './chaos-replica.ts'

const HOST = 'app.example.com'

export const subOf = (person: number): string => `person-${person}`

/** People come from addresses of their own. */
export const browserAt = (
  { publicPort }: ChaosReplica,
  person: number,
  cookies = createCookieJar(),
): Visitor =>
  createVisitor({
    connectTo: { [HOST]: `http://127.0.0.1:${publicPort}` },
    headers: { 'X-Forwarded-For': `203.0.113.${person + 1}` },
    cookies,
  })
